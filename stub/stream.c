/*
 * Moves the bytes of a standard stream.
 *
 * Towards the guest they are read straight into its buffers. From the guest they
 * are written straight out of its buffers; only what the reader does not take
 * at once is kept, and the connection's credit bounds how much that can be.
 */
#include "stream.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static ssize_t fill_from_host(void *context, struct iovec *iov, unsigned count)
{
	struct stream *stream = context;

	return host_stream_read(&stream->in, iov, count);
}

static void end_input(struct stream *stream)
{
	if (stream->in_ended || stream->in_fd < 0)
		return;
	stream->in_ended = true;
	loop_remove(stream->loop, &stream->in_source);
	if (stream->out_fd >= 0)	/* a terminal, which is ours to restore */
		return;
	/* Who writes to the other end must see that nobody reads it any more. */
	if (stream->in.fd != stream->in_fd)
		close(stream->in.fd);
	close(stream->in_fd);
	stream->in_fd = -1;
}

/* Reads on until the host has nothing or the guest has no room. */
static void pump_input(struct stream *stream)
{
	while (stream->connection && !stream->in_ended) {
		ssize_t sent = vsock_send(stream->connection, fill_from_host, stream);

		if (sent > 0)
			continue;
		if (sent == -EAGAIN) {
			/* Without room there is no use in waiting for the host. */
			loop_watch(stream->loop, &stream->in_source,
				   stream->connection->blocked ? 0 : LOOP_READ);
		} else if (sent != -EINTR) {
			/* The end, or as good as that: a terminal that hung up says EIO. */
			vsock_finish(stream->connection);
			end_input(stream);
		}
		return;
	}
}

static void on_input(struct loop_source *source, unsigned events)
{
	(void)events;
	pump_input(source->context);
}

static void on_writable(struct vsock_connection *connection)
{
	struct stream *stream = connection->context;

	if (stream->in_source.added)
		pump_input(stream);
}

static void close_output(struct stream *stream)
{
	/* Who reads the other end must see the end: no description may be left. */
	loop_remove(stream->loop, &stream->out_source);
	if (stream->out.fd != stream->out_fd)
		close(stream->out.fd);
	if (stream->out_fd == STDOUT_FILENO)
		close(stream->out_fd);
	stream->out_fd = -1;
}

static void drained(struct stream *stream)
{
	if (stream->out_finished && stream->out_fd >= 0 && stream->in_fd < 0)
		close_output(stream);
	if (stream->drained)
		stream->drained(stream);
}

/* Nobody reads it any more: the guest's writer gets to know. */
static void give_up_output(struct stream *stream)
{
	stream->backlog_size = 0;
	loop_watch(stream->loop, &stream->out_source, 0);
	if (stream->connection) {
		vsock_close(stream->connection);
		stream->connection = NULL;
	}
	stream->out_finished = true;
	drained(stream);
}

static void keep(struct stream *stream, const struct iovec *iov, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		const uint8_t *bytes = iov[i].iov_base;
		size_t left = iov[i].iov_len;

		while (left) {
			size_t end = (stream->backlog_start + stream->backlog_size) % VSOCK_WINDOW;
			size_t part = VSOCK_WINDOW - end < left ? VSOCK_WINDOW - end : left;

			memcpy(stream->backlog + end, bytes, part);
			stream->backlog_size += part;
			bytes += part;
			left -= part;
		}
	}
}

static void on_received(struct vsock_connection *connection, struct iovec *iov, unsigned count,
			size_t size)
{
	struct stream *stream = connection->context;
	ssize_t written = 0;

	if (stream->out_fd < 0) {
		vsock_consumed(connection, size);
		return;
	}
	if (!stream->backlog_size) {
		written = host_stream_write(&stream->out, iov, count);
		if (written == -EAGAIN || written == -EINTR)
			written = 0;
		if (written < 0) {
			give_up_output(stream);
			return;
		}
	}
	unsigned first = iov_trim_front(iov, count, (size_t)written);

	keep(stream, iov + first, count - first);
	if (stream->backlog_size)
		loop_watch(stream->loop, &stream->out_source, LOOP_WRITE);
	if (written)
		vsock_consumed(connection, (size_t)written);
}

static void on_output(struct loop_source *source, unsigned events)
{
	struct stream *stream = source->context;
	size_t until_end = VSOCK_WINDOW - stream->backlog_start;
	struct iovec iov[2] = {
		{ .iov_base = stream->backlog + stream->backlog_start,
		  .iov_len = stream->backlog_size < until_end ? stream->backlog_size : until_end },
		{ .iov_base = stream->backlog },
	};

	(void)events;	/* a hangup shows as an error of the write */
	iov[1].iov_len = stream->backlog_size - iov[0].iov_len;

	ssize_t written = host_stream_write(&stream->out, iov, iov[1].iov_len ? 2 : 1);

	if (written == -EAGAIN || written == -EINTR)
		return;
	if (written < 0) {
		give_up_output(stream);
		return;
	}
	stream->backlog_start = (stream->backlog_start + (size_t)written) % VSOCK_WINDOW;
	stream->backlog_size -= (size_t)written;
	if (!stream->backlog_size)
		loop_watch(stream->loop, &stream->out_source, 0);
	if (stream->connection)
		vsock_consumed(stream->connection, (size_t)written);
	if (!stream->backlog_size)
		drained(stream);
}

static bool on_accept(struct vsock_listener *listener, struct vsock_connection *connection)
{
	struct stream *stream = listener->context;

	/* One connection for good: another would have credit for what is still kept of the first. */
	if (stream->connection || stream->out_finished)
		return false;
	stream->connection = connection;
	if (stream->in_source.added)	/* there is input, and it is not paused */
		pump_input(stream);
	return true;
}

static void on_finished(struct vsock_connection *connection)
{
	struct stream *stream = connection->context;

	stream->out_finished = true;
	if (stream_is_drained(stream))
		drained(stream);
}

static void on_refused(struct vsock_connection *connection)
{
	end_input(connection->context);
}

static void on_closed(struct vsock_connection *connection)
{
	struct stream *stream = connection->context;

	stream->connection = NULL;
	end_input(stream);
	on_finished(connection);
}

int stream_init(struct stream *stream, struct loop *loop, struct vsock *vsock, uint32_t port,
		int in_fd, int out_fd)
{
	int error = 0;

	stream->loop = loop;
	stream->in_fd = in_fd;
	stream->out_fd = out_fd;
	stream->listener = (struct vsock_listener){
		.port = port,
		.accept = on_accept,
		.received = on_received,
		.writable = on_writable,
		.finished = on_finished,
		.refused = on_refused,
		.closed = on_closed,
		.context = stream,
	};
	if (in_fd >= 0) {
		host_stream_open(&stream->in, in_fd, false);
		stream->in_source = (struct loop_source){
			.fd = stream->in.fd, .ready = on_input, .context = stream,
		};
		error = loop_add(loop, &stream->in_source, 0);
	}
	if (out_fd >= 0 && !error) {
		stream->backlog = mmap(NULL, VSOCK_WINDOW, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (stream->backlog == MAP_FAILED)
			return -ENOMEM;
		host_stream_open(&stream->out, out_fd, true);
		stream->out_source = (struct loop_source){
			.fd = stream->out.fd, .ready = on_output, .context = stream,
		};
		error = loop_add(loop, &stream->out_source, 0);
	}
	return error ? error : vsock_listen(vsock, &stream->listener);
}

void stream_pause_input(struct stream *stream, bool paused)
{
	if (stream->in_ended || stream->in_fd < 0)
		return;
	if (paused) {
		loop_remove(stream->loop, &stream->in_source);
	} else if (!stream->in_source.added) {
		loop_add(stream->loop, &stream->in_source, 0);
		pump_input(stream);
	}
}

bool stream_is_drained(const struct stream *stream)
{
	return stream->backlog_size == 0;
}
