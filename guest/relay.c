/* Moves bytes from one descriptor to another. */
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Buffers moved before other descriptors get their turn. */
#define MAX_ROUNDS	8
#define MAX_SPLICED	(MAX_ROUNDS * RELAY_BUFFER_SIZE)

static bool is_empty(const struct relay *relay)
{
	return relay->start == relay->end;
}

static bool waits_for_sink(const struct relay *relay)
{
	return relay->sink_full || !is_empty(relay);
}

void relay_prepare(const struct relay *relay, struct pollfd *source, struct pollfd *sink)
{
	if (waits_for_sink(relay))
		sink->events |= POLLOUT;
	else
		source->events |= POLLIN;
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

/* What was in the buffer, and what fills it again. Returns as relay_pump(). */
static bool copy(struct relay *relay, int source, int sink)
{
	for (int round = 0; round < MAX_ROUNDS; round++) {
		ssize_t moved;

		if (is_empty(relay)) {
			moved = read(source, relay->buffer, sizeof(relay->buffer));
			if (moved <= 0)
				return !moved || !is_transient(errno);
			relay->start = 0;
			relay->end = (size_t)moved;
		}
		moved = write(sink, relay->buffer + relay->start, relay->end - relay->start);
		if (moved < 0)
			return !is_transient(errno);
		relay->start += (size_t)moved;
	}
	return false;
}

/*
 * poll() has said that the source has bytes, or had when the sink was full, and nobody else
 * reads it: when nothing moves, it is for the sink.
 */
static bool move_pages(struct relay *relay, int source, int sink)
{
	ssize_t moved = splice(source, NULL, sink, NULL, MAX_SPLICED, SPLICE_F_NONBLOCK);

	relay->sink_full = moved < 0;
	return !moved || (moved < 0 && !is_transient(errno));
}

bool relay_pump(struct relay *relay, const struct pollfd *source, const struct pollfd *sink)
{
	if (is_broken(relay, sink))
		return true;
	if (!(waits_for_sink(relay) ? sink->revents : source->revents))
		return false;
	return relay->from_pipe ? move_pages(relay, source->fd, sink->fd) :
				  copy(relay, source->fd, sink->fd);
}
