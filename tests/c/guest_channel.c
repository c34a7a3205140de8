/* The guest's channel on abstract Unix sockets, in place of vsock. */
#include "guest_channel.h"

#include "channel.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static pid_t owner;

static socklen_t make_address(struct sockaddr_un *address, enum proto_port port)
{
	int length;

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	length = snprintf(address->sun_path + 1, sizeof(address->sun_path) - 1,
			  "smolpack-test-%d-%u", (int)owner, port);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

int guest_channel_listen(enum proto_port port)
{
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	owner = getpid();
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, make_address(&address, port)) < 0 ||
	    listen(fd, 1) < 0)
		return -errno;
	return fd;
}

int channel_connect(enum proto_port port)
{
	struct sockaddr_un address;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&address, make_address(&address, port)) < 0)
		return -errno;
	return fd;
}
