/*
 * What runs in the measured machines: workload hello | hold | send BYTES | receive BYTES
 *
 * As process 1 it is the peer's init as well (peer_init.c), so that both sides
 * run the very same program.
 */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peer_init.h"

#define CHUNK (64u << 10)

static char buffer[CHUNK];

static int say(const char *text)
{
	size_t size = strlen(text);

	return write(STDOUT_FILENO, text, size) == (ssize_t)size ? 0 : 1;
}

/* A virtio-serial port reports a write as done when it is queued: the other side has the last word. */
static int await_receipt(void)
{
	return read(STDIN_FILENO, buffer, 1) == 1 ? 0 : 1;
}

static int send_bytes(uint64_t count)
{
	struct pollfd polled = { .fd = STDOUT_FILENO, .events = POLLOUT };

	while (count) {
		ssize_t sent = write(STDOUT_FILENO, buffer, count < CHUNK ? (size_t)count : CHUNK);

		if (sent < 0 && errno != EAGAIN)
			return 1;
		if (sent > 0)
			count -= (uint64_t)sent;
		else	/* its queue was full */
			poll(&polled, 1, -1);
	}
	return await_receipt();
}

static int receive_bytes(uint64_t count)
{
	while (count) {
		ssize_t received = read(STDIN_FILENO, buffer, count < CHUNK ? (size_t)count : CHUNK);

		if (received <= 0)
			return 1;
		count -= (uint64_t)received;
	}
	return say("r") || await_receipt();
}

int main(int argc, char **argv)
{
	if (getpid() == 1)
		peer_init();
	uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;

	if (argc < 2)
		return 2;
	if (!strcmp(argv[1], "hello"))
		return say("hello\n");
	if (say("r"))	/* ready */
		return 1;
	if (!strcmp(argv[1], "send"))
		return send_bytes(count);
	if (!strcmp(argv[1], "receive"))
		return receive_bytes(count);
	pause();	/* hold */
	return 0;
}
