/* The tests' launcher: listens on Unix sockets where the guest's agent would use vsock. */
#ifndef SMOLPACK_TESTS_GUEST_CHANNEL_H
#define SMOLPACK_TESTS_GUEST_CHANNEL_H

#include "proto.h"

/* Returns a listening socket that channel_connect(port) of this process' children reaches. */
int guest_channel_listen(enum proto_port port);

#endif
