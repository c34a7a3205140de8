/* Users and groups, as images have them: listed, numeric, malformed. */
#include "check.h"
#include "user.h"

#include <stdlib.h>

static const char passwd[] =
	"root:x:0:0:root:/root:/bin/sh\n"
	"\n"
	"# a comment\n"
	"broken\n"
	"halfway:x:12\n"
	"bad:x:minus:1::/:\n"
	"huge:x:99999999999:1::/:\n"
	"nochange:x:4294967295:1::/:\n"
	"1234:x:77:78:digits for a name:/digits:\n"
	"homeless:x:5:6\n"
	"bob:x:1000:1001:Bob:/home/bob:/bin/sh";	/* no newline at the end */

static const char group[] =
	"root:x:0:\n"
	"bob:x:1001:\n"
	"video:x:44:alice,bob\n"
	"audio:x:29:bobby,bo\n"
	"staff:x:50:bob\n"
	"bad:x:no:bob\n"
	"short";

static struct identity identity;
static struct error error;

/* In memory of exactly that size, so that a read beyond it is found. */
static int resolve_in(const char *specification, const char *passwd_, const char *group_)
{
	struct text users = { strdup(passwd_), strlen(passwd_) };
	struct text groups = { strdup(group_), strlen(group_) };
	char *exact = malloc(users.size ? users.size : 1);
	int result;

	memcpy(exact, users.start, users.size);
	free((void *)users.start);
	users.start = exact;
	result = user_resolve(specification, users, groups, &identity, &error);
	free(exact);
	free((void *)groups.start);
	return result;
}

static int resolve(const char *specification)
{
	return resolve_in(specification, passwd, group);
}

static void test_name(void)
{
	REQUIRE(!resolve("bob"));
	CHECK_INT(identity.uid, 1000);
	CHECK_INT(identity.gid, 1001);
	CHECK_STR(identity.home, "/home/bob");
	CHECK_INT(identity.group_count, 2);
	CHECK_INT(identity.groups[0], 44);
	CHECK_INT(identity.groups[1], 50);
}

static void test_listed_number(void)
{
	REQUIRE(!resolve("1000"));
	CHECK_INT(identity.gid, 1001);
	CHECK_STR(identity.home, "/home/bob");
	CHECK_INT(identity.group_count, 2);
}

static void test_unlisted_number(void)
{
	REQUIRE(!resolve("4242"));
	CHECK_INT(identity.uid, 4242);
	CHECK_INT(identity.gid, 0);
	CHECK_STR(identity.home, "/");
	CHECK_INT(identity.group_count, 0);
}

static void test_name_before_number(void)
{
	REQUIRE(!resolve("1234"));
	CHECK_INT(identity.uid, 77);
	CHECK_INT(identity.gid, 78);
}

static void test_group(void)
{
	REQUIRE(!resolve("bob:video"));
	CHECK_INT(identity.uid, 1000);
	CHECK_INT(identity.gid, 44);
	CHECK_INT(identity.group_count, 0);
	REQUIRE(!resolve("4242:4343"));
	CHECK_INT(identity.uid, 4242);
	CHECK_INT(identity.gid, 4343);
	REQUIRE(!resolve("bob:0"));
	CHECK_INT(identity.gid, 0);
}

static void test_incomplete_entry(void)
{
	REQUIRE(!resolve("homeless"));
	CHECK_INT(identity.uid, 5);
	CHECK_STR(identity.home, "/");
}

static void refuse(const char *specification, const char *why)
{
	CHECK_INT(resolve(specification), -1);
	CHECK_INT(error.status, ERROR_MACHINE);
	if (!CHECK(strstr(error.text, why)))
		fprintf(stderr, "\tgot \"%s\", want \"%s\"\n", error.text, why);
}

static void test_unknown(void)
{
	refuse("alice", "\"alice\" is not in the image's /etc/passwd");
	refuse("bo", "/etc/passwd");
	refuse("", "/etc/passwd");
	refuse(":video", "/etc/passwd");
	refuse("bad", "/etc/passwd");
	refuse("huge", "/etc/passwd");
	refuse("nochange", "/etc/passwd");
	refuse("4294967295", "/etc/passwd");
	refuse("-1", "/etc/passwd");
	refuse("+1", "/etc/passwd");
	refuse("bob:nosuch", "group \"nosuch\" is not in the image's /etc/group");
	refuse("bob:", "/etc/group");
	refuse("bob:bad", "/etc/group");
}

static void test_no_files(void)
{
	REQUIRE(!resolve_in("7:8", "", ""));
	CHECK_INT(identity.uid, 7);
	CHECK_INT(identity.gid, 8);
	CHECK_INT(resolve_in("root", "", ""), -1);
}

static void test_many_groups(void)
{
	const size_t count = USER_MAX_GROUPS + 1;
	char *groups = malloc(count * 16 + 1), *end = groups;

	for (size_t i = 0; i < count; i++)
		end += sprintf(end, "g%zu:x:%zu:bob\n", i, i);
	CHECK_INT(resolve_in("bob", passwd, groups), -1);
	*strstr(groups, "g1024:") = '\0';
	CHECK_INT(resolve_in("bob", passwd, groups), 0);
	CHECK_INT(identity.group_count, USER_MAX_GROUPS);
	free(groups);
}

static void test_long_home(void)
{
	static char entry[PATH_MAX + 64];

	memset(entry, 'h', sizeof(entry) - 1);
	memcpy(entry, "bob:x:1:1::/", 12);
	REQUIRE(!resolve_in("bob", entry, ""));
	CHECK_STR(identity.home, "/");
}

int main(void)
{
	CHECK_RUN(test_name);
	CHECK_RUN(test_listed_number);
	CHECK_RUN(test_unlisted_number);
	CHECK_RUN(test_name_before_number);
	CHECK_RUN(test_group);
	CHECK_RUN(test_incomplete_entry);
	CHECK_RUN(test_unknown);
	CHECK_RUN(test_no_files);
	CHECK_RUN(test_many_groups);
	CHECK_RUN(test_long_home);
	return check_report();
}
