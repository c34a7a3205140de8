/* The most exact answer wins. (Setting the clock is tested in whole machines.) */
#include "check.h"
#include "clock.h"

#define SECOND_NS	UINT64_C(1000000000)

static void test_first_answer(void)
{
	struct clock_answer answer = { 0 };
	const uint64_t now_ns = clock_monotonic_ns();
	const uint64_t round_trip_ns = clock_hear(&answer, now_ns - SECOND_NS, now_ns + 7);

	CHECK(round_trip_ns >= SECOND_NS && round_trip_ns < 2 * SECOND_NS);
	CHECK_INT(answer.round_trip_ns, round_trip_ns);
	CHECK(answer.offset_ns <= 7 && answer.offset_ns > 7 - (int64_t)SECOND_NS);
}

static void test_quicker_answer_wins(void)
{
	struct clock_answer answer = { 0 };
	const uint64_t now_ns = clock_monotonic_ns();

	clock_hear(&answer, now_ns - 8 * SECOND_NS, now_ns);
	CHECK(clock_hear(&answer, now_ns - 2 * SECOND_NS, now_ns + 99 * SECOND_NS) < 4 * SECOND_NS);
	CHECK(answer.offset_ns > (int64_t)(90 * SECOND_NS));
}

static void test_slower_answer_is_dropped(void)
{
	struct clock_answer answer = { 0 };
	const uint64_t now_ns = clock_monotonic_ns();

	clock_hear(&answer, now_ns - 2 * SECOND_NS, now_ns);
	CHECK(clock_hear(&answer, now_ns - 8 * SECOND_NS, now_ns + 99 * SECOND_NS) < 4 * SECOND_NS);
	CHECK(answer.offset_ns <= 0);
}

int main(void)
{
	CHECK_RUN(test_first_answer);
	CHECK_RUN(test_quicker_answer_wins);
	CHECK_RUN(test_slower_answer_is_dropped);
	return check_report();
}
