/* Measures the time stamp counter's rate. */
#include "tsc_x86.h"

#include <cpuid.h>
#include <stdbool.h>
#include <time.h>

#define NS_PER_SECOND		1000000000ull
#define NS_PER_MS		1000000ull
#define MEASUREMENT_NS		(10 * NS_PER_MS)
#define ATTEMPTS		5

#define CPUID_POWER_MANAGEMENT	0x80000007u
#define EDX_INVARIANT_TSC	(1u << 8)

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

struct tsc_reading tsc_read(void)
{
	struct tsc_reading best = { 0 };
	uint64_t best_width = UINT64_MAX;

	/* Between two readings of the clock; the narrowest pair was not interrupted. */
	for (int i = 0; i < ATTEMPTS; i++) {
		uint64_t before = now_ns();
		uint64_t ticks = __builtin_ia32_rdtsc();
		uint64_t width = now_ns() - before;

		if (width < best_width) {
			best_width = width;
			best = (struct tsc_reading){ .ticks = ticks, .ns = before + width / 2 };
		}
	}
	return best;
}

static bool is_invariant(void)
{
	unsigned eax, ebx, ecx, edx;

	return __get_cpuid(CPUID_POWER_MANAGEMENT, &eax, &ebx, &ecx, &edx) &&
	       edx & EDX_INVARIANT_TSC;
}

uint64_t tsc_khz(const struct tsc_reading *start)
{
	if (!is_invariant())
		return 0;
	uint64_t passed = now_ns() - start->ns;

	if (passed < MEASUREMENT_NS)
		nanosleep(&(struct timespec){ .tv_nsec = (long)(MEASUREMENT_NS - passed) }, NULL);
	struct tsc_reading end = tsc_read();

	return (end.ticks - start->ticks) * NS_PER_MS / (end.ns - start->ns);
}
