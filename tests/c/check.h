/*
 * The C unit tests' harness. A test program is one .c file:
 *
 *	static void test_sum(void)
 *	{
 *		CHECK_INT(1 + 1, 2);
 *	}
 *
 *	int main(void)
 *	{
 *		CHECK_RUN(test_sum);
 *		return check_report();
 *	}
 *
 * A failed check prints where and what, is counted, and the test goes on; REQUIRE
 * leaves the test function, for what later lines depend on. CHECK_SKIP says why a
 * test cannot run here and is counted as well.
 */
#ifndef SMOLPACK_TESTS_CHECK_H
#define SMOLPACK_TESTS_CHECK_H

#include <stdio.h>
#include <string.h>

static struct {
	const char	*test;
	int		tests, checks, failures, skips;
} check_state;

/* Counts one check; returns ok. */
static inline int check_that(int ok, const char *file, int line, const char *text)
{
	check_state.checks++;
	if (!ok) {
		check_state.failures++;
		fprintf(stderr, "%s:%d: %s: failed: %s\n", file, line, check_state.test, text);
	}
	return ok;
}

static inline void check_int(long long got, long long want, const char *file, int line,
			     const char *text)
{
	if (!check_that(got == want, file, line, text))
		fprintf(stderr, "\tgot %lld, want %lld\n", got, want);
}

static inline void check_string(const char *got, const char *want, const char *file, int line,
				const char *text)
{
	if (!check_that(got && want ? !strcmp(got, want) : got == want, file, line, text))
		fprintf(stderr, "\tgot \"%s\", want \"%s\"\n", got ? got : "(null)",
			want ? want : "(null)");
}

static inline void check_run(void (*test)(void), const char *name)
{
	check_state.test = name;
	check_state.tests++;
	test();
}

/* Prints the totals; returns what main returns. */
static inline int check_report(void)
{
	printf("%d tests, %d checks, %d failures, %d skipped\n", check_state.tests,
	       check_state.checks, check_state.failures, check_state.skips);
	return check_state.failures || !(check_state.checks + check_state.skips) ? 1 : 0;
}

#define CHECK_RUN(test)		check_run(test, #test)
#define CHECK(condition)	check_that(!!(condition), __FILE__, __LINE__, #condition)
#define CHECK_INT(got, want) \
	check_int((long long)(got), (long long)(want), __FILE__, __LINE__, #got " == " #want)
#define CHECK_STR(got, want) \
	check_string(got, want, __FILE__, __LINE__, #got " == " #want)
#define CHECK_MEM(got, want, size) \
	check_that(!memcmp(got, want, size), __FILE__, __LINE__, #got " == " #want)
#define REQUIRE(condition)					\
	do {							\
		if (!CHECK(condition))				\
			return;					\
	} while (0)
#define CHECK_SKIP(reason)					\
	do {							\
		check_state.skips++;				\
		printf("%s: skipped: %s\n", check_state.test, reason); \
		return;						\
	} while (0)

#endif
