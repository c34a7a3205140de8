/* Frames on the control connection: a header, then its payload. */
#include "frame.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Adds bytes to the frame; returns 1 when it holds `end` bytes. */
static int receive_until(int socket, struct frame *frame, uint8_t *buffer, size_t offset,
			 size_t end)
{
	while (frame->received < end) {
		ssize_t got = recv(socket, buffer + (frame->received - offset),
				   end - frame->received, MSG_DONTWAIT);

		if (got > 0)
			frame->received += (size_t)got;
		else if (got == 0)
			return -ECONNRESET;
		else if (errno == EAGAIN)
			return 0;
		else if (errno != EINTR)
			return -errno;
	}
	return 1;
}

int frame_receive(int socket, struct frame *frame)
{
	const size_t start = sizeof(frame->header);
	int whole = receive_until(socket, frame, (uint8_t *)&frame->header, 0, start);

	if (whole <= 0)
		return whole;
	if (frame->header.size > PROTO_MAX_PAYLOAD)
		return -EPROTO;
	if (!frame->header.size)
		return 1;
	if (!frame->payload) {
		frame->payload = malloc(frame->header.size);
		if (!frame->payload)
			return -ENOMEM;
	}
	return receive_until(socket, frame, frame->payload, start, start + frame->header.size);
}

void frame_clear(struct frame *frame)
{
	free(frame->payload);
	*frame = (struct frame){ 0 };
}

int frame_send(int socket, enum proto_type type, const void *payload, size_t size,
	       const void *extra, size_t extra_size)
{
	struct proto_header header = { .type = type, .size = (uint32_t)(size + extra_size) };
	struct iovec parts[] = {
		{ .iov_base = &header, .iov_len = sizeof(header) },
		{ .iov_base = (void *)payload, .iov_len = size },
		{ .iov_base = (void *)extra, .iov_len = extra_size },
	};
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = 3 };

	while (message.msg_iovlen) {
		ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL);

		if (sent < 0 && errno == EAGAIN) {
			struct pollfd writable = { .fd = socket, .events = POLLOUT };

			poll(&writable, 1, -1);
			continue;
		}
		if (sent < 0 && errno != EINTR)
			return -errno;
		for (; sent >= 0 && message.msg_iovlen; message.msg_iov++, message.msg_iovlen--) {
			struct iovec *part = message.msg_iov;

			if ((size_t)sent < part->iov_len) {
				part->iov_base = (char *)part->iov_base + sent;
				part->iov_len -= (size_t)sent;
				break;
			}
			sent -= (ssize_t)part->iov_len;
		}
	}
	return 0;
}
