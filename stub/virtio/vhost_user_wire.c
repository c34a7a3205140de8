/* vhost-user messages on their socket. */
#include "vhost_user_wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER_SIZE		offsetof(struct vhost_user_message, payload)
#define MAX_PAYLOAD		(sizeof(struct vhost_user_message) - HEADER_SIZE)

#define FLAGS_VERSION		1u
#define FLAGS_VERSION_MASK	3u
#define FLAGS_REPLY		4u

/* Keeps the descriptors that came with a piece of a message. */
static int receive_fds(struct vhost_user_wire *wire, struct msghdr *header)
{
	int error = header->msg_flags & MSG_CTRUNC ? -EPROTO : 0;
	const struct cmsghdr *part = CMSG_FIRSTHDR(header);

	if (!part || part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
		return error;
	size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	/* One control message at most: the kernel puts all descriptors into it. */
	for (size_t i = 0; i < count; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(part) + i * sizeof(fd), sizeof(fd));
		if (wire->fd_count < VHOST_USER_MAX_FDS) {
			wire->fds[wire->fd_count++] = fd;
		} else {
			close(fd);
			error = -EPROTO;
		}
	}
	return error;
}

/* Receives up to byte @end of the message and never past it. Return: as vhost_user_receive(). */
static int receive_until(struct vhost_user_wire *wire, size_t end)
{
	union {
		struct cmsghdr	align;
		char		bytes[CMSG_SPACE(VHOST_USER_MAX_FDS * sizeof(int))];
	} control;
	struct iovec iov = {
		.iov_base = (char *)&wire->message + wire->received,
		.iov_len = end - wire->received,
	};
	struct msghdr header = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	if (iov.iov_len == 0)
		return 1;
	ssize_t got = recvmsg(wire->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (got == 0)
		return -ECONNRESET;
	int error = receive_fds(wire, &header);

	if (error)
		return error;
	wire->received += (size_t)got;
	return wire->received == end;
}

static int check_header(const struct vhost_user_message *message)
{
	if ((message->flags & FLAGS_VERSION_MASK) != FLAGS_VERSION || message->flags & FLAGS_REPLY)
		return -EPROTO;
	return message->size > MAX_PAYLOAD ? -EMSGSIZE : 0;
}

int vhost_user_receive(struct vhost_user_wire *wire)
{
	if (wire->received < HEADER_SIZE) {
		int result = receive_until(wire, HEADER_SIZE);

		if (result <= 0)
			return result;
		result = check_header(&wire->message);
		if (result)
			return result;
	}
	return receive_until(wire, HEADER_SIZE + wire->message.size);
}

void vhost_user_finish(struct vhost_user_wire *wire)
{
	while (wire->fd_count)
		close(vhost_user_take_fd(wire));
	wire->received = 0;
}

int vhost_user_take_fd(struct vhost_user_wire *wire)
{
	return wire->fd_count ? wire->fds[--wire->fd_count] : -1;
}

int vhost_user_reply(struct vhost_user_wire *wire, uint32_t size)
{
	size_t total = HEADER_SIZE + size;

	wire->message.flags = FLAGS_VERSION | FLAGS_REPLY;
	wire->message.size = size;
	ssize_t sent = send(wire->fd, &wire->message, total, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent < 0)
		return -errno;
	return (size_t)sent == total ? 0 : -EPROTO;
}
