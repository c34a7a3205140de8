/* Directories that the image does not have, or not in the layer above it. */
#ifndef SMOLPACK_GUEST_DIRECTORY_H
#define SMOLPACK_GUEST_DIRECTORY_H

#include "error.h"
#include "user.h"

/**
 * directory_provide() - see to it that there is a directory at @path
 * @path: absolute
 * @what: what it is for, as the message calls it
 *
 * A missing one is made with mode 0755 and given to @owner; missing parents are root's. Links
 * are followed, and what a dangling one points to is made.
 *
 * Return: 0, or -1 with @error set.
 */
int directory_provide(const char *path, const char *what, const struct identity *owner,
		      struct error *error);

/**
 * directory_copy() - make a directory at @path with the owner and mode of another
 * @model: when it is missing, root and 0755
 *
 * Return: 0, or -1 with errno set.
 */
int directory_copy(const char *model, const char *path);

#endif
