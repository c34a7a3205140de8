/* The launcher's own standard streams: never blocking, never disturbing who shares them. */
#ifndef SMOLPACK_HOST_STDSTREAM_H
#define SMOLPACK_HOST_STDSTREAM_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

enum host_stream_kind {
	HOST_STREAM_PLAIN,	/* never blocks: a file, or our own non-blocking description */
	HOST_STREAM_SOCKET,
	HOST_STREAM_SHARED,	/* may block: asked before each transfer */
};

struct host_stream {
	int			fd;
	enum host_stream_kind	kind;
};

/** host_stdio_prepare - descriptors 0, 1 and 2 are open when this returns, if only to /dev/null. */
void host_stdio_prepare(void);

/**
 * host_stream_open - use standard descriptor @fd without blocking on it.
 *
 * O_NONBLOCK belongs to the open file description, which others share (the
 * user's shell!), so it is never set on @fd itself.
 */
void host_stream_open(struct host_stream *stream, int fd, bool writing);

/** host_stream_read - Return: bytes, 0 at the end, -EAGAIN, or another negative errno. */
ssize_t host_stream_read(const struct host_stream *stream, const struct iovec *iov, unsigned count);

/** host_stream_write - Return: bytes taken, -EAGAIN, or another negative errno. */
ssize_t host_stream_write(const struct host_stream *stream, const struct iovec *iov, unsigned count);

#endif
