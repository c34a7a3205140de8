/* Numbers that seem random and are the same in every run, so that what fails fails again. */
#ifndef SMOLPACK_TESTS_NEXT_RANDOM_H
#define SMOLPACK_TESTS_NEXT_RANDOM_H

#include <stdint.h>

/* Marsaglia's xorshift. */
static inline uint32_t next_random(void)
{
	static uint32_t state = 2463534242u;

	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

#endif
