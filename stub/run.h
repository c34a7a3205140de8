/* The vCPU loop. */
#ifndef SMOLPACK_RUN_H
#define SMOLPACK_RUN_H

#include <stdatomic.h>

#include "bus.h"
#include "hv/hv.h"

/**
 * run_vcpu - let the vCPU run and answer its exits until @stopping becomes true or it cannot go on.
 *
 * Return: NULL when told to stop, else why the machine stopped, in plain words.
 */
const char *run_vcpu(struct hv_vcpu *vcpu, const struct bus *ports, const struct bus *memory,
		     const atomic_bool *stopping);

#endif
