/* The program's standard streams, each with a connection of its own to the launcher. */
#include "stream.h"

#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* The more a program can write at once, the less often it and the agent take turns. */
#define OUTPUT_PIPE_SIZE	(1 << 20)

/* One for each direction that there can be; a page is used when bytes pass it. */
static struct relay stdin_relay, stdout_relay, stderr_relay, input_relay, output_relay;

static int connect_stream(struct stream *stream, enum proto_port port, struct error *error)
{
	stream->connection = channel_connect(port);
	if (stream->connection < 0)
		return error_set(error, ERROR_MACHINE, "cannot connect a standard stream to the "
				 "launcher: %s", strerror(-stream->connection));
	return 0;
}

int stream_open_pipe(struct stream *stream, enum proto_port port, struct error *error)
{
	int ends[2], ours = port == PROTO_PORT_STDIN;

	if (connect_stream(stream, port, error))
		return -1;
	/* pipes, not sockets: the program can open /dev/stdout and its kin */
	if (pipe2(ends, O_CLOEXEC) < 0 || fcntl(ends[ours], F_SETFL, O_NONBLOCK) < 0)
		return error_set(error, ERROR_MACHINE, "cannot make a pipe: %s", strerror(errno));

	stream->local = ends[ours];
	stream->to_guest = port == PROTO_PORT_STDIN ? &stdin_relay : NULL;
	stream->to_host = port == PROTO_PORT_STDOUT ? &stdout_relay :
			  port == PROTO_PORT_STDERR ? &stderr_relay : NULL;
	if (stream->to_host) {
		stream->to_host->from_pipe = true;
		fcntl(stream->local, F_SETPIPE_SZ, OUTPUT_PIPE_SIZE);	/* smaller will do */
	}
	return ends[!ours];
}

int stream_open_terminal(struct stream *stream, int master, struct error *error)
{
	stream->local = master;
	stream->to_guest = &input_relay;
	stream->to_host = &output_relay;
	return connect_stream(stream, PROTO_PORT_TERMINAL, error);
}

void stream_prepare(const struct stream *stream, struct pollfd polled[2])
{
	struct pollfd *connection = &polled[0], *local = &polled[1];

	*connection = (struct pollfd){ .fd = stream->connection };
	*local = (struct pollfd){ .fd = stream->connection < 0 ? -1 : stream->local };
	if (stream->connection < 0)
		return;
	if (stream->to_guest)
		relay_prepare(stream->to_guest, connection, local);
	if (stream->to_host)
		relay_prepare(stream->to_host, local, connection);

	/* POLLHUP cannot be masked: nothing to ask a source for means not to look at it */
	if (!connection->events)
		connection->fd = -1;
	if (!local->events)
		local->fd = -1;
}

bool stream_service(struct stream *stream, const struct pollfd polled[2])
{
	/* stream_prepare() hid from poll() what it had nothing to ask of: a pump may still use it */
	const struct pollfd connection = { .fd = stream->connection, .revents = polled[0].revents };
	const struct pollfd local = { .fd = stream->local, .revents = polled[1].revents };

	if (stream->connection < 0)
		return false;
	/* output first: what the program wrote before its end is not to be lost */
	return (stream->to_host && relay_pump(stream->to_host, &local, &connection)) ||
	       (stream->to_guest && relay_pump(stream->to_guest, &connection, &local));
}

void stream_end_input(struct stream *stream)
{
	if (!stream->to_host)
		stream_close(stream);
	stream->to_guest = NULL;
}

void stream_close(struct stream *stream)
{
	if (stream->connection < 0)
		return;
	close(stream->connection);
	close(stream->local);
	stream->connection = -1;
}
