/* The event loop on Linux: epoll and timerfd. */
#include "../loop.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define BATCH 16

static uint32_t to_epoll(unsigned events)
{
	return (events & LOOP_READ ? EPOLLIN : 0) | (events & LOOP_WRITE ? EPOLLOUT : 0);
}

static unsigned from_epoll(uint32_t events)
{
	return (events & EPOLLIN ? LOOP_READ : 0) | (events & EPOLLOUT ? LOOP_WRITE : 0) |
	       (events & (EPOLLHUP | EPOLLERR) ? LOOP_HANGUP : 0);
}

int loop_init(struct loop *loop)
{
	*loop = (struct loop){
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.poll_fd = epoll_create1(EPOLL_CLOEXEC),
		.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	};
	/* An event without a source: it only ends the wait. */
	struct epoll_event wake = { .events = EPOLLIN };

	if (loop->poll_fd < 0 || loop->wake_fd < 0 ||
	    epoll_ctl(loop->poll_fd, EPOLL_CTL_ADD, loop->wake_fd, &wake) < 0)
		return -errno;
	return 0;
}

int loop_add(struct loop *loop, struct loop_source *source, unsigned events)
{
	struct epoll_event event = { .events = to_epoll(events), .data.ptr = source };

	source->events = events;
	source->always_ready = false;
	source->added = true;
	if (!events)
		return 0;
	if (epoll_ctl(loop->poll_fd, EPOLL_CTL_ADD, source->fd, &event) < 0) {
		if (errno != EPERM) {
			source->added = false;
			return -errno;
		}
		source->always_ready = true;
		source->next_always_ready = loop->always_ready;
		loop->always_ready = source;
	}
	return 0;
}

void loop_watch(struct loop *loop, struct loop_source *source, unsigned events)
{
	struct epoll_event event = { .events = to_epoll(events), .data.ptr = source };

	if (!source->added || source->events == events)
		return;
	if (source->always_ready)
		source->events = events;
	else if (source->events && events)
		epoll_ctl(loop->poll_fd, EPOLL_CTL_MOD, source->fd, &event);
	else if (source->events)
		/* Not a mask of 0: that would still report hangups, again and again. */
		epoll_ctl(loop->poll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	else
		loop_add(loop, source, events);
	source->events = events;
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
	if (!source->added)
		return;
	source->added = false;
	if (!source->always_ready) {
		if (source->events)
			epoll_ctl(loop->poll_fd, EPOLL_CTL_DEL, source->fd, NULL);
		return;
	}
	for (struct loop_source **at = &loop->always_ready; *at; at = &(*at)->next_always_ready) {
		if (*at == source) {
			*at = source->next_always_ready;
			break;
		}
	}
}

/* Regular files: one turn each; a removed neighbour must not be followed. */
static bool run_always_ready(struct loop *loop)
{
	bool any = false;

	for (struct loop_source *source = loop->always_ready; source;
	     source = source->next_always_ready) {
		if (!source->events)
			continue;
		any = true;
		source->ready(source, source->events);
		if (!source->added)
			break;
	}
	return any;
}

int loop_run(struct loop *loop)
{
	struct epoll_event events[BATCH];

	int error = 0;

	pthread_mutex_lock(&loop->lock);
	while (!loop->stopped) {
		bool busy = run_always_ready(loop);

		if (loop->stopped)
			break;
		pthread_mutex_unlock(&loop->lock);
		int count = epoll_wait(loop->poll_fd, events, BATCH, busy ? 0 : -1);

		pthread_mutex_lock(&loop->lock);
		if (count < 0 && errno != EINTR) {
			error = -errno;
			break;
		}
		for (int i = 0; i < count && !loop->stopped; i++) {
			struct loop_source *source = events[i].data.ptr;

			/* An earlier event of this batch may have removed or paused it. */
			if (source && source->added && source->events)
				source->ready(source, from_epoll(events[i].events));
		}
	}
	uint64_t stops;
	ssize_t ignored = read(loop->wake_fd, &stops, sizeof(stops));

	(void)ignored;
	pthread_mutex_unlock(&loop->lock);
	return error;
}

void loop_stop(struct loop *loop)
{
	uint64_t one = 1;
	ssize_t ignored = write(loop->wake_fd, &one, sizeof(one));

	(void)ignored;	/* a full counter wakes as well */
	loop->stopped = true;
}

int loop_timer_init(struct loop *loop, struct loop_source *source,
		    void (*ready)(struct loop_source *, unsigned), void *context)
{
	*source = (struct loop_source){
		.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
		.ready = ready,
		.context = context,
	};
	if (source->fd < 0)
		return -errno;
	return loop_add(loop, source, LOOP_READ);
}

void loop_timer_arm(struct loop_source *source, uint64_t ms)
{
	struct itimerspec when = {
		.it_value = {
			.tv_sec = (time_t)(ms / 1000),
			.tv_nsec = (long)(ms % 1000) * 1000000,
		},
	};
	uint64_t expirations;
	ssize_t ignored = read(source->fd, &expirations, sizeof(expirations));

	(void)ignored;	/* forgets an expiry that was not yet reported */
	timerfd_settime(source->fd, 0, &when, NULL);
}
