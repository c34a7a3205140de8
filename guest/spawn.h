/* Starts the program. */
#ifndef SMOLPACK_GUEST_SPAWN_H
#define SMOLPACK_GUEST_SPAWN_H

#include "error.h"
#include "records.h"
#include "user.h"

#include <sys/types.h>

/**
 * spawn() - start the program as a child in a process group of its own
 * @descriptors: what become 0, 1 and 2; none of them is below 3
 * @terminal: descriptor of the controlling terminal, in which the program becomes the
 *	foreground group, or -1
 *
 * Call with all signals blocked. Waits until the program has been executed. Fails with
 * 127 when there is no such program, 126 when it cannot be executed, else 125.
 *
 * Return: its process id, or -1 with @error set.
 */
pid_t spawn(const struct program *program, const struct identity *identity,
	    const int descriptors[3], int terminal, struct error *error);

#endif
