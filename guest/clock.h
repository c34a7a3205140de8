/* The machine's wall clock, from the launcher's. */
#ifndef SMOLPACK_GUEST_CLOCK_H
#define SMOLPACK_GUEST_CLOCK_H

#include <stdint.h>

/* What one exchange with the launcher told about its clock; all zero: none yet. */
struct clock_answer {
	int64_t		offset_ns;	/* of its clock from our monotonic one, at the least */
	uint64_t	round_trip_ns;	/* and by how much it may be more */
};

/** clock_monotonic_ns() - time since the machine was started, in nanoseconds */
uint64_t clock_monotonic_ns(void);

/**
 * clock_hear() - note an answer, if it is more exact than the one before
 * @asked_ns: clock_monotonic_ns() when the launcher was asked, just before now
 * @told_ns: what it said
 *
 * Return: the round trip of the most exact answer so far, in nanoseconds.
 */
uint64_t clock_hear(struct clock_answer *answer, uint64_t asked_ns, uint64_t told_ns);

/** clock_set() - set the wall clock */
void clock_set(const struct clock_answer *answer);

#endif
