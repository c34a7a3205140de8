/* Moves bytes from one descriptor to another. */
#include "relay.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* Buffers moved before other descriptors get their turn. */
#define MAX_ROUNDS	8

static bool is_empty(const struct relay *relay)
{
	return relay->start == relay->end;
}

void relay_prepare(const struct relay *relay, struct pollfd *source, struct pollfd *sink)
{
	if (is_empty(relay))
		source->events |= POLLIN;
	else
		sink->events |= POLLOUT;
	if (!relay->sink_half_closed)
		sink->events |= POLLRDHUP;
}

/*
 * Finds out that nobody reads the sink any more, before there is something to write. A pipe
 * says POLLERR. A socket's POLLRDHUP can also mean that its peer only sends nothing more; a
 * write of no bytes tells.
 */
static bool is_broken(struct relay *relay, const struct pollfd *sink)
{
	if (sink->revents & POLLERR)
		return true;
	if (!(sink->revents & (POLLRDHUP | POLLHUP)))
		return false;
	if (send(sink->fd, NULL, 0, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != ENOTSOCK)
		return true;
	relay->sink_half_closed = true;
	return false;
}

static bool is_transient(int error)
{
	return error == EAGAIN || error == EINTR;
}

bool relay_pump(struct relay *relay, const struct pollfd *source, const struct pollfd *sink)
{
	if (is_broken(relay, sink))
		return true;
	if (!(is_empty(relay) ? source->revents : sink->revents))
		return false;

	for (int round = 0; round < MAX_ROUNDS; round++) {
		ssize_t moved;

		if (is_empty(relay)) {
			moved = read(source->fd, relay->buffer, sizeof(relay->buffer));
			if (moved <= 0)
				return !moved || !is_transient(errno);
			relay->start = 0;
			relay->end = (size_t)moved;
		}
		moved = write(sink->fd, relay->buffer + relay->start, relay->end - relay->start);
		if (moved < 0)
			return !is_transient(errno);
		relay->start += (size_t)moved;
	}
	return false;
}
