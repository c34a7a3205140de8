/*
 * The one event loop for all host I/O: descriptors and timers.
 *
 * Everything that is not a vCPU happens on the thread that calls loop_run(), with
 * the loop's lock held while a handler runs. A vCPU's thread that must touch what
 * handlers touch (a device's registers) takes the lock first.
 * A source belongs to its caller, who keeps its memory for as long as the loop
 * runs: it may be removed and added again, but not freed.
 */
#ifndef SMOLPACK_LOOP_H
#define SMOLPACK_LOOP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define LOOP_READ	1u
#define LOOP_WRITE	2u
#define LOOP_HANGUP	4u	/* reported, never asked for: the other end is gone */

struct loop_source {
	int		fd;
	/* Called with what happened (LOOP_*); may change or remove any source. */
	void		(*ready)(struct loop_source *source, unsigned events);
	void		*context;	/* the caller's */

	/* Private to the loop. */
	unsigned		events;
	bool			added;
	bool			always_ready;	/* regular files cannot be waited for */
	struct loop_source	*next_always_ready;
};

struct loop {
	pthread_mutex_t		lock;
	int			poll_fd;
	int			wake_fd;	/* readable from loop_stop() to the end of loop_run() */
	bool			stopped;
	struct loop_source	*always_ready;
};

/** loop_init - Return: 0 or a negative errno. */
int loop_init(struct loop *loop);

/** loop_add - watch @source->fd for @events; 0 pauses it: nothing is reported. Return: 0 or a negative errno. */
int loop_add(struct loop *loop, struct loop_source *source, unsigned events);

/** loop_watch - change what an added source waits for; cheap when nothing changes. */
void loop_watch(struct loop *loop, struct loop_source *source, unsigned events);

/** loop_remove - forget @source; harmless when it was not added. Does not close its descriptor. */
void loop_remove(struct loop *loop, struct loop_source *source);

/** loop_run - dispatch events until loop_stop(). Return: 0 or a negative errno. */
int loop_run(struct loop *loop);

/**
 * loop_stop - make loop_run() return after the event at hand.
 *
 * From a handler, or from a vCPU's thread that holds the lock.
 */
void loop_stop(struct loop *loop);

/**
 * loop_timer_init - make @source a timer that calls @ready after each arming.
 *
 * @ready arms or disarms it, which is what acknowledges the expiry.
 *
 * Return: 0 or a negative errno.
 */
int loop_timer_init(struct loop *loop, struct loop_source *source,
		    void (*ready)(struct loop_source *, unsigned), void *context);

/** loop_timer_arm - fire in @ms milliseconds; 0 disarms. */
void loop_timer_arm(struct loop_source *source, uint64_t ms);

#endif
