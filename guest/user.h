/* Who the program runs as: looked up in the guest's own /etc/passwd and /etc/group. */
#ifndef SMOLPACK_GUEST_USER_H
#define SMOLPACK_GUEST_USER_H

#include "error.h"

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

#define USER_MAX_GROUPS	1024

struct identity {
	uid_t	uid;
	gid_t	gid;
	size_t	group_count;
	gid_t	groups[USER_MAX_GROUPS];	/* supplementary */
	char	home[PATH_MAX];
};

/**
 * user_resolve() - find out who @specification is
 * @specification: `name` or `uid`, either with `:group` or `:gid`; an empty user is root, an
 *	empty group is none given
 * @passwd: /etc/passwd, @group: /etc/group, open for reading; -1: there is none
 *
 * As with container engines: digits are a number even where they are a name, too; a number need
 * not be listed (group 0 and home / then); supplementary groups are those that list the user,
 * none when a group is given.
 *
 * Return: 0, or -1 with @error set.
 */
int user_resolve(const char *specification, int passwd, int group, struct identity *identity,
		 struct error *error);

/**
 * user_lookup() - user_resolve() with the files of the root file system
 * @specification: NULL for root, which needs no file to be read
 *
 * Return: 0, or -1 with @error set.
 */
int user_lookup(const char *specification, struct identity *identity, struct error *error);

#endif
