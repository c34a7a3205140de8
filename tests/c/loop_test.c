// sources: stub/host/linux_loop.c
/* The event loop: what is reported, what is not, and what handlers may do to other sources. */
#include <errno.h>
#include <semaphore.h>
#include <poll.h>
#include <sys/mman.h>

#include "check.h"
#include "fake_turns.h"
#include "loop.h"

static struct loop loop;
static struct loop_source first, second;
static int first_end, second_end;
static unsigned first_calls, second_calls, last_events;

static void count_first(struct loop_source *source, unsigned events)
{
	(void)source;
	first_calls++;
	last_events = events;
}

static void count_second(struct loop_source *source, unsigned events)
{
	(void)source;
	(void)events;
	second_calls++;
}

static void open_pipe(struct loop_source *source, int *end,
		      void (*ready)(struct loop_source *, unsigned))
{
	int ends[2];

	CHECK_INT(pipe(ends), 0);
	*source = (struct loop_source){ .fd = ends[0], .ready = ready };
	*end = ends[1];
}

static void open_loop(void)
{
	CHECK_INT(loop_init(&loop), 0);
	open_pipe(&first, &first_end, count_first);
	open_pipe(&second, &second_end, count_second);
	first_calls = second_calls = last_events = 0;
}

static void close_loop(void)
{
	close(first.fd);
	close(second.fd);
	close(first_end);
	close(second_end);
	close(loop.poll_fd);
	close(loop.wake_fd);
}

static unsigned calls_in_turns(void)
{
	first_calls = second_calls = 0;
	CHECK_INT(turns_run(&loop), 0);
	return first_calls;
}

static void test_readable(void)
{
	open_loop();
	CHECK_INT(loop_add(&loop, &first, LOOP_READ), 0);
	CHECK_INT(calls_in_turns(), 0);
	CHECK_INT(write(first_end, "x", 1), 1);
	CHECK(calls_in_turns() > 0);
	CHECK_INT(last_events, LOOP_READ);
	loop_remove(&loop, &first);
	CHECK_INT(calls_in_turns(), 0);
	loop_remove(&loop, &first);	/* harmless */
	CHECK_INT(loop_add(&loop, &first, LOOP_READ), 0);
	CHECK(calls_in_turns() > 0);
	close_loop();
}

static void test_pause(void)
{
	open_loop();
	CHECK_INT(loop_add(&loop, &first, 0), 0);
	CHECK_INT(write(first_end, "x", 1), 1);
	CHECK_INT(calls_in_turns(), 0);
	loop_watch(&loop, &first, LOOP_READ);
	CHECK(calls_in_turns() > 0);
	loop_watch(&loop, &first, 0);
	CHECK_INT(calls_in_turns(), 0);
	close(first_end);	/* not even a hangup is reported */
	CHECK_INT(calls_in_turns(), 0);
	loop_watch(&loop, &first, LOOP_READ);
	CHECK(calls_in_turns() > 0);
	CHECK(last_events & LOOP_HANGUP);
	loop_remove(&loop, &first);
	loop_watch(&loop, &first, LOOP_READ);	/* not added: nothing */
	CHECK_INT(calls_in_turns(), 0);
	close_loop();
}

static void test_writable(void)
{
	struct loop_source output = { .ready = count_first };

	open_loop();
	output.fd = first_end;
	CHECK_INT(loop_add(&loop, &output, LOOP_READ), 0);
	CHECK_INT(calls_in_turns(), 0);
	loop_watch(&loop, &output, LOOP_WRITE);
	CHECK(calls_in_turns() > 0);
	CHECK_INT(last_events, LOOP_WRITE);
	close_loop();
}

static void test_bad_descriptor(void)
{
	struct loop_source bad = { .fd = -1, .ready = count_first };

	open_loop();
	CHECK_INT(loop_add(&loop, &bad, LOOP_READ), -EBADF);
	CHECK(!bad.added);
	loop_remove(&loop, &bad);
	close_loop();
}

static void remove_both(struct loop_source *source, unsigned events)
{
	(void)events;
	source == &first ? first_calls++ : second_calls++;
	loop_remove(&loop, &first);
	loop_remove(&loop, &second);
}

static void pause_both(struct loop_source *source, unsigned events)
{
	(void)events;
	source == &first ? first_calls++ : second_calls++;
	loop_watch(&loop, &first, 0);
	loop_watch(&loop, &second, 0);
}

static void remove_other(struct loop_source *source, unsigned events)
{
	(void)events;
	source == &first ? first_calls++ : second_calls++;
	loop_remove(&loop, source == &first ? &second : &first);
}

/* Both are ready at once: who comes first decides that the other is not called. */
static void test_changes_inside_a_handler(void)
{
	static void (*const handlers[])(struct loop_source *, unsigned) = {
		remove_both, pause_both,
	};

	for (unsigned i = 0; i < 2; i++) {
		open_loop();
		first.ready = second.ready = handlers[i];
		CHECK_INT(write(first_end, "x", 1), 1);
		CHECK_INT(write(second_end, "x", 1), 1);
		CHECK_INT(loop_add(&loop, &first, LOOP_READ), 0);
		CHECK_INT(loop_add(&loop, &second, LOOP_READ), 0);
		CHECK_INT(turns_run(&loop), 0);
		CHECK_INT(first_calls + second_calls, 1);
		close_loop();
	}
}

/* Regular files cannot be waited for: they are ready in every turn. */
static void use_regular_files(void)
{
	close(first.fd);
	close(second.fd);
	first.fd = memfd_create("first", 0);
	second.fd = memfd_create("second", 0);
}

static void test_regular_files(void)
{
	open_loop();
	use_regular_files();
	CHECK_INT(loop_add(&loop, &first, LOOP_READ), 0);
	CHECK_INT(loop_add(&loop, &second, 0), 0);
	CHECK(calls_in_turns() >= TURNS);
	CHECK_INT(second_calls, 0);
	loop_watch(&loop, &second, LOOP_WRITE);
	loop_watch(&loop, &first, 0);
	CHECK_INT(calls_in_turns(), 0);
	CHECK(second_calls >= TURNS);
	loop_remove(&loop, &first);
	loop_remove(&loop, &second);
	calls_in_turns();
	CHECK_INT(first_calls + second_calls, 0);
	CHECK_INT(loop_add(&loop, &first, LOOP_READ), 0);
	CHECK(calls_in_turns() >= TURNS);
	close_loop();
}

static void test_regular_files_removed_inside_a_handler(void)
{
	open_loop();
	use_regular_files();
	first.ready = second.ready = remove_both;
	CHECK_INT(loop_add(&loop, &first, LOOP_READ), 0);
	CHECK_INT(loop_add(&loop, &second, LOOP_READ), 0);
	CHECK_INT(turns_run(&loop), 0);
	CHECK_INT(first_calls + second_calls, 1);
	close_loop();
}

static void stop_at_third(struct loop_source *timer, unsigned events)
{
	(void)events;
	if (++first_calls == 3)
		loop_stop(&loop);
	else
		loop_timer_arm(timer, 1);
}

/* Whatever their order: once removed, the other one is not called. */
static void test_neighbour_removed_inside_a_handler(void)
{
	for (unsigned regular = 0; regular < 2; regular++) {
		open_loop();
		if (regular)
			use_regular_files();
		first.ready = second.ready = remove_other;
		CHECK_INT(write(regular ? first.fd : first_end, "x", 1), 1);
		CHECK_INT(write(regular ? second.fd : second_end, "x", 1), 1);
		CHECK_INT(loop_add(&loop, &first, LOOP_READ), 0);
		CHECK_INT(loop_add(&loop, &second, LOOP_READ), 0);
		CHECK_INT(turns_run(&loop), 0);
		CHECK((first_calls == 0) != (second_calls == 0));
		close_loop();
	}
}

static void test_timer(void)
{
	struct loop_source timer;

	open_loop();
	CHECK_INT(loop_timer_init(&loop, &timer, stop_at_third, NULL), 0);
	CHECK_INT(calls_in_turns(), 0);	/* not armed */
	loop_timer_arm(&timer, 1);
	loop.stopped = false;
	CHECK_INT(loop_run(&loop), 0);
	CHECK_INT(first_calls, 3);
	loop_timer_arm(&timer, 3600 * 1000);
	CHECK_INT(calls_in_turns(), 0);
	loop_timer_arm(&timer, UINT32_MAX * 3600000ull);	/* the longest that can be asked for */
	CHECK_INT(calls_in_turns(), 0);
	close(timer.fd);
	close_loop();
}

/* An expiry that was not yet reported is forgotten when the timer is disarmed. */
static void test_disarmed_timer(void)
{
	struct pollfd expired;
	struct loop_source timer;

	open_loop();
	CHECK_INT(loop_timer_init(&loop, &timer, count_first, NULL), 0);
	loop_timer_arm(&timer, 1);
	expired = (struct pollfd){ .fd = timer.fd, .events = POLLIN };
	CHECK_INT(poll(&expired, 1, -1), 1);
	loop_timer_arm(&timer, 0);
	CHECK_INT(calls_in_turns(), 0);
	close(timer.fd);
	close_loop();
}

static sem_t handled;

static void report_and_pause(struct loop_source *source, unsigned events)
{
	(void)events;
	loop_watch(&loop, source, 0);
	sem_post(&handled);
}

static void *stop_while_it_waits(void *argument)
{
	sem_wait(&handled);
	pthread_mutex_lock(&loop.lock);	/* free only while the loop waits */
	loop_stop(&loop);
	pthread_mutex_unlock(&loop.lock);
	return argument;
}

/* As a vCPU's thread does, when the guest resets a device that the program needs. */
static void test_stop_from_another_thread(void)
{
	pthread_t thread;

	open_loop();
	sem_init(&handled, 0, 0);
	first.ready = report_and_pause;
	CHECK_INT(write(first_end, "x", 1), 1);
	CHECK_INT(loop_add(&loop, &first, LOOP_READ), 0);
	REQUIRE(pthread_create(&thread, NULL, stop_while_it_waits, NULL) == 0);
	alarm(10);	/* a loop that is not woken waits for ever */
	CHECK_INT(loop_run(&loop), 0);
	alarm(0);
	pthread_join(thread, NULL);
	close_loop();
}

int main(void)
{
	CHECK_RUN(test_readable);
	CHECK_RUN(test_pause);
	CHECK_RUN(test_writable);
	CHECK_RUN(test_bad_descriptor);
	CHECK_RUN(test_changes_inside_a_handler);
	CHECK_RUN(test_regular_files);
	CHECK_RUN(test_regular_files_removed_inside_a_handler);
	CHECK_RUN(test_neighbour_removed_inside_a_handler);
	CHECK_RUN(test_timer);
	CHECK_RUN(test_disarmed_timer);
	CHECK_RUN(test_stop_from_another_thread);
	return check_report();
}
