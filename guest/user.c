/* Who the program runs as: looked up in the guest's own /etc/passwd and /etc/group. */
#include "user.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* passwd(5): name:password:uid:gid:comment:home:shell */
enum { PASSWD_NAME, PASSWD_UID = 2, PASSWD_GID, PASSWD_HOME = 5, PASSWD_FIELDS = 7 };
/* group(5): name:password:gid:members */
enum { GROUP_NAME, GROUP_GID = 2, GROUP_MEMBERS, GROUP_FIELDS };

#define MAX_FIELDS	PASSWD_FIELDS

/* Takes what stands before the first `separator` (or all) out of `text`. */
static struct text take(struct text *text, char separator)
{
	const char *end = text->size ? memchr(text->start, separator, text->size) : NULL;
	struct text taken = { text->start, end ? (size_t)(end - text->start) : text->size };
	size_t skip = taken.size + (end ? 1 : 0);

	text->size -= skip;
	if (skip)
		text->start += skip;
	return taken;
}

static bool equal(struct text a, struct text b)
{
	return a.size == b.size && (!a.size || !memcmp(a.start, b.start, a.size));
}

/* A decimal id; the highest value means "no change" to the kernel and is none. */
static bool parse_id(struct text text, uint32_t *id)
{
	uint64_t value = 0;

	if (!text.size || text.size > 10)
		return false;
	for (size_t i = 0; i < text.size; i++) {
		if (text.start[i] < '0' || text.start[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text.start[i] - '0');
	}
	if (value >= UINT32_MAX)
		return false;
	*id = (uint32_t)value;
	return true;
}

/* Splits the next line into `count` fields, missing ones empty; false at the end. */
static bool next_entry(struct text *file, struct text *fields, size_t count)
{
	while (file->size) {
		struct text line = take(file, '\n');

		for (size_t i = 0; i < count; i++)
			fields[i] = take(&line, ':');
		if (fields[0].size)
			return true;
	}
	return false;
}

static bool find_passwd(struct text file, struct text wanted, bool by_id, struct text *fields)
{
	uint32_t id, wanted_id = 0;

	if (by_id && !parse_id(wanted, &wanted_id))
		return false;
	while (next_entry(&file, fields, PASSWD_FIELDS)) {
		if (!parse_id(fields[PASSWD_UID], &id))
			continue;
		if (by_id ? id == wanted_id : equal(fields[PASSWD_NAME], wanted))
			return true;
	}
	return false;
}

static bool find_group(struct text file, struct text wanted, gid_t *gid)
{
	struct text fields[MAX_FIELDS];

	while (next_entry(&file, fields, GROUP_FIELDS))
		if (equal(fields[GROUP_NAME], wanted) && parse_id(fields[GROUP_GID], gid))
			return true;
	return parse_id(wanted, gid);
}

static bool is_member(struct text members, struct text name)
{
	while (members.size)
		if (equal(take(&members, ','), name))
			return true;
	return false;
}

static int add_groups(struct text file, struct text name, struct identity *identity,
		      struct error *error)
{
	struct text fields[MAX_FIELDS];
	uint32_t gid;

	while (next_entry(&file, fields, GROUP_FIELDS)) {
		if (!is_member(fields[GROUP_MEMBERS], name) || !parse_id(fields[GROUP_GID], &gid))
			continue;
		if (identity->group_count == USER_MAX_GROUPS)
			return error_set(error, ERROR_MACHINE, "user \"%.*s\" is in more than %d "
					 "groups: give one with USER:GROUP", (int)name.size,
					 name.start, USER_MAX_GROUPS);
		identity->groups[identity->group_count++] = gid;
	}
	return 0;
}

static void set_home(struct identity *identity, struct text home)
{
	if (!home.size || home.size >= sizeof(identity->home))
		home = (struct text){ "/", 1 };
	memcpy(identity->home, home.start, home.size);
	identity->home[home.size] = '\0';
}

int user_resolve(const char *specification, struct text passwd, struct text group,
		 struct identity *identity, struct error *error)
{
	struct text rest = { specification, strlen(specification) };
	bool has_group = strchr(specification, ':');
	struct text user = take(&rest, ':'), fields[MAX_FIELDS];
	bool listed = find_passwd(passwd, user, false, fields) ||
		      find_passwd(passwd, user, true, fields);

	identity->gid = 0;
	identity->group_count = 0;
	if (listed) {
		parse_id(fields[PASSWD_UID], &identity->uid);
		parse_id(fields[PASSWD_GID], &identity->gid);
	} else if (!parse_id(user, &identity->uid)) {
		return error_set(error, ERROR_MACHINE, "user \"%.*s\" is not in the image's "
				 "/etc/passwd: use a name from there or a number",
				 (int)user.size, user.start);
	}
	set_home(identity, listed ? fields[PASSWD_HOME] : (struct text){ 0 });

	if (!has_group)
		return listed ? add_groups(group, fields[PASSWD_NAME], identity, error) : 0;
	if (!find_group(group, rest, &identity->gid))
		return error_set(error, ERROR_MACHINE, "group \"%s\" is not in the image's "
				 "/etc/group: use a name from there or a number", rest.start);
	return 0;
}

/* Empty when there is no such file. */
static struct text map_file(const char *path)
{
	struct text text = { 0 };
	struct stat status;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return text;
	if (!fstat(fd, &status) && S_ISREG(status.st_mode) && status.st_size) {
		void *map = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);

		if (map != MAP_FAILED)
			text = (struct text){ map, (size_t)status.st_size };
	}
	close(fd);
	return text;
}

static void unmap_file(struct text text)
{
	if (text.size)
		munmap((void *)text.start, text.size);
}

int user_lookup(const char *specification, struct identity *identity, struct error *error)
{
	struct text passwd, group;
	int failed;

	if (!specification) {
		identity->uid = 0;
		identity->gid = 0;
		identity->group_count = 0;
		strcpy(identity->home, "/root");
		return 0;
	}
	passwd = map_file("/etc/passwd");
	group = map_file("/etc/group");
	failed = user_resolve(specification, passwd, group, identity, error);
	unmap_file(passwd);
	unmap_file(group);
	return failed;
}
