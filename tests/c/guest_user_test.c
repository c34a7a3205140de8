/* Users and groups, as images have them: listed, numeric, malformed. */
#include "check.h"
#include "lines.h"
#include "user.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

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

/* A file with that text; -1 when it is NULL. */
static int make_file(const char *text)
{
	int fd = text ? memfd_create("file", MFD_CLOEXEC) : -1;

	if (text) {
		CHECK_INT(write(fd, text, strlen(text)), strlen(text));
		lseek(fd, 0, SEEK_SET);
	}
	return fd;
}

static int resolve_in(const char *specification, const char *passwd_, const char *group_)
{
	int users = make_file(passwd_), groups = make_file(group_);
	int result = user_resolve(specification, users, groups, &identity, &error);

	close(users);
	close(groups);
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

static void test_number_before_name(void)
{
	REQUIRE(!resolve("1234"));
	CHECK_INT(identity.uid, 1234);
	CHECK_INT(identity.gid, 0);
	CHECK_STR(identity.home, "/");
	REQUIRE(!resolve("bob:1"));
	CHECK_INT(identity.gid, 1);
}

static void test_empty_parts(void)
{
	REQUIRE(!resolve(""));
	CHECK_INT(identity.uid, 0);
	CHECK_STR(identity.home, "/root");
	REQUIRE(!resolve(":video"));
	CHECK_INT(identity.uid, 0);
	CHECK_INT(identity.gid, 44);
	REQUIRE(!resolve("bob:"));
	CHECK_INT(identity.gid, 1001);
	CHECK_INT(identity.group_count, 2);
	REQUIRE(!resolve(":"));
	CHECK_INT(identity.uid, 0);
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

static void refuse_in(const char *specification, const char *passwd_, const char *group_,
		      const char *why)
{
	CHECK_INT(resolve_in(specification, passwd_, group_), -1);
	CHECK_INT(error.status, ERROR_MACHINE);
	if (!CHECK(strstr(error.text, why)))
		fprintf(stderr, "\tgot \"%s\", want \"%s\"\n", error.text, why);
}

static void refuse(const char *specification, const char *why)
{
	refuse_in(specification, passwd, group, why);
}

static void test_unknown(void)
{
	refuse("alice", "\"alice\" is not in the image's /etc/passwd");
	refuse("bo", "/etc/passwd");
	refuse("bad", "/etc/passwd");
	refuse("huge", "/etc/passwd");
	refuse("nochange", "/etc/passwd");
	refuse("4294967295", "/etc/passwd");
	refuse("-1", "/etc/passwd");
	refuse("+1", "/etc/passwd");
	refuse("bob:nosuch", "group \"nosuch\" is not in the image's /etc/group");
	refuse("bob:video:", "/etc/group");
	refuse("bob:bad", "/etc/group");
}

static void test_no_files(void)
{
	REQUIRE(!resolve_in("7:8", "", ""));
	CHECK_INT(identity.uid, 7);
	CHECK_INT(identity.gid, 8);
	CHECK_INT(resolve_in("root", "", ""), -1);
	REQUIRE(!resolve_in("7:8", NULL, NULL));
	CHECK_INT(identity.gid, 8);
	CHECK_INT(resolve_in("root", NULL, NULL), -1);
	REQUIRE(!resolve_in("0", NULL, NULL));
	CHECK_STR(identity.home, "/");
	CHECK_INT(resolve_in("7:wheel", NULL, NULL), -1);
	refuse_in("bob:wheel", passwd, NULL, "/etc/group");
}

/* A line that no buffer holds is no entry; those around it count. */
static void test_endless_line(void)
{
	const size_t size = 3 * LINES_LONGEST;
	char *text = malloc(size + 256);

	strcpy(text, "amy:x:1:2::/amy:\nbob:x:3:4:");
	memset(text + strlen(text), ':', size - strlen(text));
	strcpy(text + size, "\nbob:x:5:6::/bob:\n");
	REQUIRE(!resolve_in("amy", text, NULL));
	CHECK_INT(identity.uid, 1);
	REQUIRE(!resolve_in("bob", text, NULL));
	CHECK_INT(identity.uid, 5);
	CHECK_STR(identity.home, "/bob");
	memset(text, 'b', size + 16);
	CHECK_INT(resolve_in("bob", text, NULL), -1);
	free(text);
}

/* More than a buffer: entries lie across its end. */
static void test_huge_file(void)
{
	const unsigned count = 200000;
	char *text = malloc(count * 64), *end = text, name[16];

	for (unsigned i = 0; i < count; i++)
		end += sprintf(end, "u%u:x:%u:%u::/h%u:\n", i, i + 7, i + 8, i);
	for (unsigned i = 0; i < count; i += count / 5 - 1) {
		sprintf(name, "u%u", i);
		REQUIRE(!resolve_in(name, text, NULL));
		CHECK_INT(identity.uid, i + 7);
		CHECK_INT(identity.gid, i + 8);
	}
	CHECK_INT(resolve_in("u", text, NULL), -1);
	free(text);
}

static void test_unreadable(void)
{
	int directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), users = make_file(passwd);

	CHECK_INT(user_resolve("0", directory, -1, &identity, &error), -1);
	CHECK(strstr(error.text, "cannot read the image's /etc/passwd"));
	CHECK_INT(user_resolve("bob", users, directory, &identity, &error), -1);
	CHECK(strstr(error.text, "cannot read the image's /etc/group"));
	close(users);
	close(directory);
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

static void test_odd_home(void)
{
	const char text[] = "bob:x:1:1::\0/home:\n";
	int file = memfd_create("file", MFD_CLOEXEC);

	CHECK_INT(write(file, text, sizeof(text) - 1), sizeof(text) - 1);
	lseek(file, 0, SEEK_SET);
	CHECK_INT(user_resolve("bob", file, -1, &identity, &error), 0);
	CHECK_STR(identity.home, "/");
	close(file);
	REQUIRE(!resolve_in("bob", "bob:x:1:1::not absolute:\n", NULL));
	CHECK_STR(identity.home, "not absolute");
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
	CHECK_RUN(test_number_before_name);
	CHECK_RUN(test_empty_parts);
	CHECK_RUN(test_group);
	CHECK_RUN(test_incomplete_entry);
	CHECK_RUN(test_unknown);
	CHECK_RUN(test_no_files);
	CHECK_RUN(test_endless_line);
	CHECK_RUN(test_huge_file);
	CHECK_RUN(test_unreadable);
	CHECK_RUN(test_many_groups);
	CHECK_RUN(test_odd_home);
	CHECK_RUN(test_long_home);
	return check_report();
}
