/* The machine's wall clock, from the launcher's. */
#include "clock.h"

#include <time.h>

#define SECOND_NS	UINT64_C(1000000000)

static uint64_t read_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

uint64_t clock_hear(struct clock_answer *answer, uint64_t asked_ns, uint64_t told_ns)
{
	const uint64_t now_ns = clock_monotonic_ns();

	if (!answer->round_trip_ns || now_ns - asked_ns < answer->round_trip_ns)
		*answer = (struct clock_answer){
			.offset_ns = (int64_t)(told_ns - now_ns),
			.round_trip_ns = now_ns - asked_ns,
		};
	return answer->round_trip_ns;
}

void clock_set(const struct clock_answer *answer)
{
	const uint64_t monotonic_ns = clock_monotonic_ns();
	const uint64_t least_ns = monotonic_ns + (uint64_t)answer->offset_ns;
	uint64_t now_ns = read_ns(CLOCK_REALTIME);
	struct timespec now;

	/* the answer itself took between nothing and the whole round trip: a clock within that
	 * (a paravirtual one) is better than our guess of half of it */
	if (now_ns - least_ns <= answer->round_trip_ns)
		return;
	now_ns = least_ns + answer->round_trip_ns / 2;
	now.tv_sec = (time_t)(now_ns / SECOND_NS);
	now.tv_nsec = (long)(now_ns % SECOND_NS);
	clock_settime(CLOCK_REALTIME, &now);
}
