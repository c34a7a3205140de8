/*
 * The files of /etc that are this machine's and not the image's: hosts, hostname and
 * resolv.conf. As under container engines, what the image has under those names is not seen,
 * be it files, directories or links.
 *
 * They are put into the writable layer before it is mounted over the image: nothing of the image
 * needs to be read or removed for them, no link is followed, and writing them costs next to
 * nothing.
 */
#ifndef SMOLPACK_GUEST_ETC_H
#define SMOLPACK_GUEST_ETC_H

#include "error.h"

/**
 * etc_cover() - lay empty files over what the image has
 * @image: /etc of the image; when it is not a directory, nothing is done, here and later
 * @layer: /etc of the layer that will be mounted over it
 *
 * Return: 0, or -1 with @error set.
 */
int etc_cover(const char *image, const char *layer, struct error *error);

/**
 * etc_fill() - write the files, as soon as the machine has a name
 * @etc: where they are
 * @hostname: with or without a domain; NULL: none
 *
 * Return: 0, or -1 with @error set.
 */
int etc_fill(const char *etc, const char *hostname, struct error *error);

#endif
