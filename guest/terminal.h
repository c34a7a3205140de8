/* The program's terminal: a pty. */
#ifndef SMOLPACK_GUEST_TERMINAL_H
#define SMOLPACK_GUEST_TERMINAL_H

#include "error.h"
#include "proto.h"

#include <stdbool.h>
#include <sys/types.h>

struct terminal {
	int	master;		/* non-blocking; -1: there is no terminal */
	int	slave;		/* init's own, keeps the terminal alive while the program lives */
};

/**
 * terminal_open() - make a pty and the caller's controlling terminal of it
 *
 * The caller is a session leader without one.
 *
 * Return: 0, or -1 with @error set.
 */
int terminal_open(struct terminal *terminal, const struct proto_winsize *winsize,
		  bool raw_output, struct error *error);

/** terminal_resize() - set the size; the foreground process group gets SIGWINCH */
void terminal_resize(const struct terminal *terminal, const struct proto_winsize *winsize);

/** terminal_foreground() - the foreground process group, or 0 */
pid_t terminal_foreground(const struct terminal *terminal);

#endif
