/* Who the program runs as: looked up in the guest's own /etc/passwd and /etc/group. */
#include "user.h"

#include "lines.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* passwd(5): name:password:uid:gid:comment:home:shell */
enum { PASSWD_NAME, PASSWD_UID = 2, PASSWD_GID, PASSWD_HOME = 5, PASSWD_FIELDS = 7 };
/* group(5): name:password:gid:members */
enum { GROUP_NAME, GROUP_GID = 2, GROUP_MEMBERS, GROUP_FIELDS };

/* What the fields of entries point into. */
static struct lines passwd_lines, group_lines;

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
static bool next_entry(struct lines *lines, struct text *fields, size_t count)
{
	struct text line;

	while (lines_next(lines, &line)) {
		for (size_t i = 0; i < count; i++)
			fields[i] = take(&line, ':');
		if (fields[0].size)
			return true;
	}
	return false;
}

/* Finds the entry of a user: by number when `wanted` is one, whatever names there are. */
static bool find_user(struct text wanted, struct text *fields)
{
	uint32_t id, wanted_id;
	bool by_id = parse_id(wanted, &wanted_id);

	while (next_entry(&passwd_lines, fields, PASSWD_FIELDS)) {
		if (!parse_id(fields[PASSWD_UID], &id))
			continue;
		if (by_id ? id == wanted_id : equal(fields[PASSWD_NAME], wanted))
			return true;
	}
	return false;
}

static bool find_group(struct text wanted, gid_t *gid)
{
	struct text fields[GROUP_FIELDS];

	if (parse_id(wanted, gid))
		return true;
	while (next_entry(&group_lines, fields, GROUP_FIELDS))
		if (equal(fields[GROUP_NAME], wanted) && parse_id(fields[GROUP_GID], gid))
			return true;
	return false;
}

static bool is_member(struct text members, struct text name)
{
	while (members.size)
		if (equal(take(&members, ','), name))
			return true;
	return false;
}

static int add_groups(struct text name, struct identity *identity, struct error *error)
{
	struct text fields[GROUP_FIELDS];
	uint32_t gid;

	while (next_entry(&group_lines, fields, GROUP_FIELDS)) {
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
	if (!home.size || home.size >= sizeof(identity->home) ||
	    memchr(home.start, '\0', home.size))
		home = (struct text){ "/", 1 };
	memcpy(identity->home, home.start, home.size);
	identity->home[home.size] = '\0';
}

static int unreadable(const char *path, int reason, struct error *error)
{
	return error_set(error, ERROR_MACHINE, "cannot read the image's %s: %s: the file may be "
			 "damaged, pack it again", path, strerror(reason));
}

static int resolve_user(struct text user, struct identity *identity, struct text *name,
			struct error *error)
{
	struct text fields[PASSWD_FIELDS];
	bool listed = find_user(user, fields);

	if (passwd_lines.error)
		return unreadable("/etc/passwd", passwd_lines.error, error);
	if (listed) {
		parse_id(fields[PASSWD_UID], &identity->uid);
		parse_id(fields[PASSWD_GID], &identity->gid);
		*name = fields[PASSWD_NAME];
	} else if (!parse_id(user, &identity->uid)) {
		return error_set(error, ERROR_MACHINE, "user \"%.*s\" is not in the image's "
				 "/etc/passwd: use a name from there or a number",
				 (int)user.size, user.start);
	}
	set_home(identity, listed ? fields[PASSWD_HOME] : (struct text){ 0 });
	return 0;
}

int user_resolve(const char *specification, int passwd, int group, struct identity *identity,
		 struct error *error)
{
	struct text wanted_group = { specification, strlen(specification) };
	struct text user = take(&wanted_group, ':'), name = { 0 };
	bool found = true;

	lines_begin(&passwd_lines, passwd);
	lines_begin(&group_lines, group);
	identity->gid = 0;
	identity->group_count = 0;
	if (resolve_user(user.size ? user : (struct text){ "0", 1 }, identity, &name, error))
		return -1;

	if (wanted_group.size)
		found = find_group(wanted_group, &identity->gid);
	else if (name.size && add_groups(name, identity, error))
		return -1;
	if (group_lines.error)
		return unreadable("/etc/group", group_lines.error, error);
	if (!found)
		return error_set(error, ERROR_MACHINE, "group \"%s\" is not in the image's "
				 "/etc/group: use a name from there or a number",
				 wanted_group.start);
	return 0;
}

/* -1 when it is not a file with something in it. */
static int open_file(const char *path)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	/* files of /proc and /sys, which a link may lead to, are empty by their size */
	if (fd >= 0 && (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode) || !status.st_size)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int user_lookup(const char *specification, struct identity *identity, struct error *error)
{
	int passwd, group, failed;

	if (!specification) {
		identity->uid = 0;
		identity->gid = 0;
		identity->group_count = 0;
		strcpy(identity->home, "/root");
		return 0;
	}
	passwd = open_file("/etc/passwd");
	group = open_file("/etc/group");
	failed = user_resolve(specification, passwd, group, identity, error);
	close(passwd);
	close(group);
	return failed;
}
