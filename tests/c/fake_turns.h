/* Runs the event loop for as long as there is something to do at once. */
#ifndef SMOLPACK_TESTS_FAKE_TURNS_H
#define SMOLPACK_TESTS_FAKE_TURNS_H

#include <sys/eventfd.h>
#include <unistd.h>

#include "loop.h"

/* Enough for what one event makes ready to be handled as well. */
#define TURNS 4

struct fake_turns {
	struct loop		*loop;
	struct loop_source	ticker;	/* always readable: every wait returns */
	unsigned		left;
};

static inline void turns_tick(struct loop_source *source, unsigned events)
{
	struct fake_turns *turns = source->context;

	(void)events;
	if (--turns->left == 0)
		loop_stop(turns->loop);
}

/* Return: what loop_run() returned. */
static inline int turns_run(struct loop *loop)
{
	struct fake_turns turns = {
		.loop = loop,
		.ticker = { .fd = eventfd(1, EFD_CLOEXEC), .ready = turns_tick, .context = &turns },
		.left = TURNS,
	};

	loop->stopped = false;
	loop_add(loop, &turns.ticker, LOOP_READ);

	int error = loop_run(loop);

	loop_remove(loop, &turns.ticker);
	close(turns.ticker.fd);
	return error;
}

#endif
