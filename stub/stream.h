/* A standard stream: host descriptors at one end, a connection of the guest at the other. */
#ifndef SMOLPACK_STREAM_H
#define SMOLPACK_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/stdstream.h"
#include "loop.h"
#include "virtio/vsock.h"

struct stream {
	struct vsock_listener	listener;
	struct vsock_connection	*connection;	/* NULL before the guest connects and after it is gone */
	struct loop		*loop;
	/* Called whenever everything that came from the guest has been written (or cannot be). */
	void			(*drained)(struct stream *stream);
	void			*context;

	int			in_fd, out_fd;	/* -1: no such direction */
	struct host_stream	in, out;
	struct loop_source	in_source, out_source;
	bool			in_ended;	/* end of file here, or the guest reads no more */
	bool			out_finished;	/* the guest will write no more */
	uint8_t			*backlog;	/* ring of VSOCK_WINDOW bytes that were not yet written */
	size_t			backlog_start, backlog_size;
};

/**
 * stream_init - serve @port of @vsock from @in_fd and to @out_fd (-1: none).
 *
 * Return: 0 or a negative errno.
 */
int stream_init(struct stream *stream, struct loop *loop, struct vsock *vsock, uint32_t port,
		int in_fd, int out_fd);

/** stream_pause_input - stop or go on reading from the host (a terminal in the background). */
void stream_pause_input(struct stream *stream, bool paused);

/** stream_is_drained - whether nothing waits to be written. */
bool stream_is_drained(const struct stream *stream);

#endif
