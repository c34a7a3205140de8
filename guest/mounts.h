/* The file systems that the program sees. */
#ifndef SMOLPACK_GUEST_MOUNTS_H
#define SMOLPACK_GUEST_MOUNTS_H

#include "error.h"

/**
 * mounts_root() - mount the packed image with a writable layer on top and move into it
 *
 * Return: 0, or -1 with @error set.
 */
int mounts_root(struct error *error);

/**
 * mounts_system() - mount /dev, /proc, /sys and what is below them; make /tmp and /run
 *
 * Return: 0, or -1 with @error set.
 */
int mounts_system(struct error *error);

#endif
