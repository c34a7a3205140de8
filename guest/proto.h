/*
 * The wire between launcher and guest agent: the only copy of it, included by
 * guest/agent.c and stub/control.c.
 *
 * Everything travels over vsock; the guest (any CID) connects to the host
 * (CID 2). One control connection carries frames, every standard stream has a
 * connection of its own, so that EOF (shutdown) and back-pressure (credit) are
 * the transport's.
 *
 *	guest					launcher
 *	connect PROTO_PORT_CONTROL
 *	HELLO				->
 *					<-	RUN
 *	TIME				->
 *					<-	TIME
 *	connect the streams that RUN asks for, start the program
 *	STARTED				->
 *					<-	SIGNAL, WINSIZE …
 *	STOPPED …			->
 *	all output sent, EXIT		->	flush, exit
 *
 * When the program cannot be started, ERROR takes the place of STARTED … EXIT.
 * After EXIT or ERROR the guest waits: the launcher ends the machine.
 * All integers are little-endian.
 */
#ifndef SMOLPACK_PROTO_H
#define SMOLPACK_PROTO_H

#include <assert.h>
#include <stdint.h>

#define PROTO_VERSION		1
#define PROTO_MAX_PAYLOAD	(2u << 20)	/* argv and environment fit: ARG_MAX */

enum proto_port {
	PROTO_PORT_CONTROL	= 1024,
	PROTO_PORT_STDIN	= 1025,		/* host to guest */
	PROTO_PORT_STDOUT	= 1026,		/* guest to host */
	PROTO_PORT_STDERR	= 1027,		/* guest to host */
	PROTO_PORT_TERMINAL	= 1028,		/* both ways: the pty's master side */
};

enum proto_type {
	/* guest to host */
	PROTO_HELLO	= 1,	/* struct proto_hello */
	PROTO_STARTED	= 2,	/* no payload: the program runs */
	PROTO_STOPPED	= 3,	/* struct proto_signal: a stop signal stopped the program */
	PROTO_EXIT	= 4,	/* struct proto_exit */
	PROTO_ERROR	= 5,	/* struct proto_error, then one line of text, no newline */
	PROTO_TIME	= 6,	/* no payload: what time is it? The host: struct proto_time */
	/* host to guest */
	PROTO_RUN	= 64,	/* struct proto_run, then records */
	PROTO_SIGNAL	= 65,	/* struct proto_signal */
	PROTO_WINSIZE	= 66,	/* struct proto_winsize */
};

/* Starts every frame; `size` bytes of payload follow. */
struct proto_header {
	uint32_t	type;
	uint32_t	size;
};

struct proto_hello {
	uint32_t	version;
	uint32_t	reserved;
};

struct proto_winsize {
	uint16_t	rows;
	uint16_t	columns;
	uint16_t	x_pixels;
	uint16_t	y_pixels;
};

/*
 * Records follow: `key=value` NUL, any number of them, the same encoding as the
 * file's config section. Keys: arg (in order, argv[0] first; the program is
 * looked up in PATH of the env records as execvp does), env (NAME=value, in order),
 * workdir and volume (absolute paths, made when missing; any number of volumes), user
 * (`name`, `uid`, either with `:group`), hostname.
 */
struct proto_run {
	uint8_t		seed[32];	/* for the guest's random number generator */
	uint32_t	terminal;	/* bit n: descriptor n is the terminal, else a pipe */
	uint32_t	raw_output;	/* 1: the host's terminal post-processes output, not the pty */
	struct proto_winsize winsize;
};

struct proto_time {
	uint64_t	realtime_ns;	/* wall clock when the frame was sent */
};

struct proto_signal {
	uint32_t	number;		/* Linux signal number (x86 and arm agree) */
	uint32_t	to_group;	/* 1: came from the terminal, goes to the foreground group */
};

struct proto_exit {
	uint32_t	code;		/* exit code, 0 when killed by a signal */
	uint32_t	signal;		/* signal that killed the program, or 0 */
	uint32_t	oom_kills;	/* processes that the guest killed for lack of memory */
	uint32_t	reserved;
};

struct proto_error {
	uint32_t	status;		/* what the launcher exits with: 125, 126 or 127 */
	uint32_t	reserved;
};

static_assert(sizeof(struct proto_header) == 8, "header");
static_assert(sizeof(struct proto_run) == 48, "run");
static_assert(sizeof(struct proto_exit) == 16, "exit");

#endif
