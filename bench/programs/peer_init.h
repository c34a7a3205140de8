/* The init of the machine that QEMU runs for comparison. */
#ifndef SMOLPACK_BENCH_PEER_INIT_H
#define SMOLPACK_BENCH_PEER_INIT_H

/**
 * peer_init - run the workload as a child, then end the machine.
 *
 * The kernel passes on what it does not know of its command line as environment:
 * PEER_PORT, the device that is the workload's standard streams; PEER_PIPES, set when
 * pipes are to stand between the two; PEER_ROOT, the block device with its root file
 * system, if any; PEER_RUN, its words, joined by ','.
 */
_Noreturn void peer_init(void);

#endif
