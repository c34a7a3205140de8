/* Connections to the launcher: vsock in the guest, something else in tests. */
#ifndef SMOLPACK_GUEST_CHANNEL_H
#define SMOLPACK_GUEST_CHANNEL_H

#include "proto.h"

/**
 * channel_connect() - begin to connect to a port of the launcher
 *
 * Does not wait: the socket is non-blocking and becomes writable when connected.
 *
 * Return: a close-on-exec socket, or a negative errno.
 */
int channel_connect(enum proto_port port);

#endif
