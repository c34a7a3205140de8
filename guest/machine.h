/* What makes a booted kernel a machine to run a program in: clock, randomness, name … */
#ifndef SMOLPACK_GUEST_MACHINE_H
#define SMOLPACK_GUEST_MACHINE_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

/**
 * machine_prepare() - what every machine needs: loopback network, resource limits
 *
 * Return: 0, or -1 with @error set.
 */
int machine_prepare(struct error *error);

/**
 * machine_seed_random() - make the random number generator start from @seed
 *
 * Return: 0, or -1 with @error set.
 */
int machine_seed_random(const uint8_t *seed, size_t size, struct error *error);

/**
 * machine_set_hostname() - set the host name
 *
 * Return: 0, or -1 with @error set.
 */
int machine_set_hostname(const char *name, struct error *error);

/** machine_set_oom_score() - this process's oom_score_adj: how likely it is killed, -1000 … 1000 */
void machine_set_oom_score(const char *score);

/** machine_oom_kills() - number of processes that the kernel killed for lack of memory */
uint32_t machine_oom_kills(void);

#endif
