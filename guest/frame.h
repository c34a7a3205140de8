/* Frames on the control connection: a header, then its payload. */
#ifndef SMOLPACK_GUEST_FRAME_H
#define SMOLPACK_GUEST_FRAME_H

#include "proto.h"

#include <stddef.h>
#include <stdint.h>

/* A frame that is being received; all zero before the first. */
struct frame {
	struct proto_header	header;
	uint8_t			*payload;	/* header.size bytes, owned by the frame */
	size_t			received;	/* of header and payload together */
};

/**
 * frame_receive() - go on receiving a frame from a non-blocking socket
 *
 * Return: 1 when @frame is complete (call frame_clear() before the next), 0 when
 * more has to arrive first, -ECONNRESET at the end of the connection, -EPROTO when
 * the frame is larger than PROTO_MAX_PAYLOAD, else a negative errno.
 */
int frame_receive(int socket, struct frame *frame);

/** frame_clear() - free the payload and make ready for the next frame */
void frame_clear(struct frame *frame);

/**
 * frame_send() - send a frame whose payload is @size bytes at @payload, then the
 * @extra_size bytes at @extra; waits while the launcher is slow
 *
 * Return: 0 or a negative errno.
 */
int frame_send(int socket, enum proto_type type, const void *payload, size_t size,
	       const void *extra, size_t extra_size);

#endif
