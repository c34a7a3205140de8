/* Directories that the image does not have, or not in the layer above it. */
#include "directory.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_LINKS	40	/* the kernel's own limit for a path */

/* Sets errno when it is not. */
static bool is_directory(const char *path)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return false;
	errno = ENOTDIR;
	return S_ISDIR(status.st_mode);
}

/*
 * Puts where the link at the first `length` bytes of `path` points in place of them.
 * Returns 0, or -1 with errno set.
 */
static int resolve_link(char path[PATH_MAX], size_t length)
{
	char link[PATH_MAX], target[PATH_MAX], resolved[PATH_MAX];
	ssize_t size;
	int parent = 0, total;

	snprintf(link, sizeof(link), "%.*s", (int)length, path);
	size = readlink(link, target, sizeof(target));
	if (size <= 0)
		return -1;
	if (target[0] != '/')
		parent = (int)(strrchr(link, '/') - link) + 1;
	total = snprintf(resolved, sizeof(resolved), "%.*s%.*s%s", parent, link, (int)size, target,
			 path + length);
	if (total < 0 || (size_t)total >= sizeof(resolved)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(path, resolved, (size_t)total + 1);
	return 0;
}

/*
 * Makes what is missing of the absolute `path`. Returns whether its last part had to be made, or
 * -1 with errno set; `path` then ends at what is in the way.
 */
static int make_path(char path[PATH_MAX])
{
	unsigned links = 0;
	char *end = path;
	bool made;

	do {
		char separator;

		end += strspn(end, "/");
		end += strcspn(end, "/");
		separator = *end;
		*end = '\0';
		made = !mkdir(path, 0755);
		if (!made && errno != EEXIST)
			return -1;
		if (made || is_directory(path)) {
			*end = separator;
			continue;
		}
		/* there is something that leads nowhere: a link */
		if (errno != ENOENT || ++links > MAX_LINKS)
			return -1;
		*end = separator;
		if (resolve_link(path, (size_t)(end - path)) < 0) {
			*end = '\0';
			return -1;
		}
		end = path;
	} while (end[strspn(end, "/")]);
	return made;
}

int directory_provide(const char *path, const char *what, const struct identity *owner,
		      struct error *error)
{
	char place[PATH_MAX];
	int made;

	if (is_directory(path))
		return 0;
	if ((size_t)snprintf(place, sizeof(place), "%s%s", *path == '/' ? "" : "/", path) >=
	    sizeof(place))
		return error_set(error, ERROR_MACHINE, "cannot make the %s \"%s\": %s", what, path,
				 strerror(ENAMETOOLONG));
	made = make_path(place);
	if (made > 0 && (owner->uid || owner->gid) && chown(place, owner->uid, owner->gid) < 0)
		made = -1;
	if (made < 0)
		return error_set(error, ERROR_MACHINE, "cannot make the %s \"%s\": \"%s\": %s: "
				 "choose another, or change the image", what, path, place,
				 strerror(errno));
	return 0;
}

int directory_copy(const char *model, const char *path)
{
	struct stat status;

	if (lstat(model, &status) < 0)
		return errno == ENOENT ? mkdir(path, 0755) : -1;
	if (mkdir(path, 0755) < 0 || chown(path, status.st_uid, status.st_gid) < 0)
		return -1;
	return chmod(path, status.st_mode & 07777);
}
