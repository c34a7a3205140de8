/* The time stamp counter: its rate, for guests that have no clock to measure it against. */
#ifndef SMOLPACK_HV_TSC_X86_H
#define SMOLPACK_HV_TSC_X86_H

#include <stdint.h>

struct tsc_reading {
	uint64_t	ticks;
	uint64_t	ns;	/* CLOCK_MONOTONIC */
};

/** tsc_read - counter and clock at the same moment, to a fraction of a microsecond. */
struct tsc_reading tsc_read(void);

/**
 * tsc_khz - the counter's rate since @start.
 *
 * Waits until enough time has passed for an error below 50 parts in a million.
 * Return: kHz, or 0 when the rate of this processor's counter is not constant.
 */
uint64_t tsc_khz(const struct tsc_reading *start);

#endif
