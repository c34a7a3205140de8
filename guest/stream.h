/* The program's standard streams, each with a connection of its own to the launcher. */
#ifndef SMOLPACK_GUEST_STREAM_H
#define SMOLPACK_GUEST_STREAM_H

#include "error.h"
#include "proto.h"
#include "relay.h"

/*
 * A stream lives until one of its directions comes to an end: the program's or the
 * launcher's end of file, or a side that does not read any more.
 */
struct stream {
	int		connection;	/* to the launcher; -1: the stream is over */
	int		local;		/* our end of the pipe, or the pty's master */
	struct relay	*to_guest;	/* NULL: nothing goes that way */
	struct relay	*to_host;
};

/**
 * stream_open_pipe() - make the pipe behind a standard descriptor and begin to connect
 * @port: PROTO_PORT_STDIN, PROTO_PORT_STDOUT or PROTO_PORT_STDERR
 *
 * Return: the program's end of the pipe, or -1 with @error set.
 */
int stream_open_pipe(struct stream *stream, enum proto_port port, struct error *error);

/**
 * stream_open_terminal() - begin to connect the pty whose master side is @master
 * @master: owned by the stream from now on
 *
 * Return: 0, or -1 with @error set.
 */
int stream_open_terminal(struct stream *stream, int master, struct error *error);

/** stream_prepare() - set up two entries for poll(): connection and local */
void stream_prepare(const struct stream *stream, struct pollfd polled[2]);

/**
 * stream_service() - relay after poll()
 *
 * Return: true when the stream has just come to its end; stream_close() it.
 */
bool stream_service(struct stream *stream, const struct pollfd polled[2]);

/** stream_end_input() - no program is left to read: relay only what was written */
void stream_end_input(struct stream *stream);

/** stream_close() - close both sides, if they are open */
void stream_close(struct stream *stream);

#endif
