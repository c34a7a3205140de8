/* The standard streams on Linux. */
#include "stdstream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

void host_stdio_prepare(void)
{
	int fd;

	/* open() takes the lowest free number: what is closed among 0, 1, 2 fills up. */
	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* A description of our own for the same pipe or terminal, or -1. */
static int reopen(int fd, bool writing)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, (writing ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/*
 * A pipe that holds several packets of the guest: one wake-up of its reader serves them all.
 * Where the kernel refuses, it stays as it is.
 */
#define PIPE_SIZE	(1 << 20)

void host_stream_open(struct host_stream *stream, int fd, bool writing)
{
	struct stat status;

	*stream = (struct host_stream){ .fd = fd, .kind = HOST_STREAM_PLAIN };
	if (fstat(fd, &status) < 0)
		return;
	if (S_ISSOCK(status.st_mode)) {
		stream->kind = HOST_STREAM_SOCKET;
	} else if (S_ISFIFO(status.st_mode) || isatty(fd)) {
		int own = reopen(fd, writing);

		if (writing && fcntl(fd, F_GETPIPE_SZ) < PIPE_SIZE)
			fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE);	/* a terminal says no to both */
		if (own >= 0)
			stream->fd = own;
		else
			stream->kind = HOST_STREAM_SHARED;
	}
}

static bool would_block(int fd, short events)
{
	struct pollfd poll_fd = { .fd = fd, .events = events };

	return poll(&poll_fd, 1, 0) == 0;
}

ssize_t host_stream_read(const struct host_stream *stream, const struct iovec *iov, unsigned count)
{
	ssize_t got;

	if (stream->kind == HOST_STREAM_SHARED && would_block(stream->fd, POLLIN))
		return -EAGAIN;
	if (stream->kind == HOST_STREAM_SOCKET)
		got = recvmsg(stream->fd, &(struct msghdr){
			.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = count,
		}, MSG_DONTWAIT);
	else
		got = readv(stream->fd, iov, (int)count);
	return got < 0 ? -errno : got;
}

ssize_t host_stream_write(const struct host_stream *stream, const struct iovec *iov, unsigned count)
{
	ssize_t taken;

	if (stream->kind == HOST_STREAM_SHARED) {
		/* A pipe that polls writable takes PIPE_BUF bytes without blocking. */
		struct iovec part = iov[0];

		if (would_block(stream->fd, POLLOUT))
			return -EAGAIN;
		if (part.iov_len > PIPE_BUF)
			part.iov_len = PIPE_BUF;
		taken = write(stream->fd, part.iov_base, part.iov_len);
	} else if (stream->kind == HOST_STREAM_SOCKET) {
		taken = sendmsg(stream->fd, &(struct msghdr){
			.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = count,
		}, MSG_DONTWAIT | MSG_NOSIGNAL);
	} else {
		taken = writev(stream->fd, iov, (int)count);
	}
	return taken < 0 ? -errno : taken;
}
