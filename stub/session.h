/*
 * One run of the program in the guest, as its user sees it: standard streams,
 * terminal, signals, exit status.
 */
#ifndef SMOLPACK_SESSION_H
#define SMOLPACK_SESSION_H

#include <stdbool.h>

#include "control.h"
#include "loop.h"
#include "stream.h"

struct session {
	struct loop		*loop;
	struct control		control;
	struct stream		streams[4];	/* by descriptor, then the terminal's */
	struct loop_source	signals;
	struct loop_source	timer;
	uint64_t		timeout_ms;
	unsigned		stop_signal;	/* what SIGTERM is to the program */
	uint64_t		memory_size;	/* for what is said when it was too little */
	unsigned		terminals;	/* bit n: descriptor n is a terminal */
	bool			started, timed_out, ending;
	int			status;		/* what the launcher exits with */

	/* SIGINT and SIGTERM of the last seconds: impatience. */
	unsigned		urgent_count;
	uint64_t		urgent_since_ns;
	void			(*say_last_words)(struct session *session);
	void			*context;
};

/** session_prepare - before any thread starts: take signals, look at the standard streams. */
int session_prepare(struct session *session, struct loop *loop);

/** session_open - listen for the guest's agent and streams. @records: what to run, see guest/proto.h. */
int session_open(struct session *session, struct vsock *vsock, const char *records, size_t size);

/** session_run - let it all happen. Return: the exit status for the launcher. */
int session_run(struct session *session);

/** session_has_begun - whether the guest's init has reported; before that no code of the user ran. */
bool session_has_begun(const struct session *session);

/** session_lost - the machine is gone before the program ended; @reason in plain words. */
void session_lost(struct session *session, const char *reason);

#endif
