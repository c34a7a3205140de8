/* What the launcher asks of the host's operating system besides files and threads. */
#ifndef SMOLPACK_HOST_H
#define SMOLPACK_HOST_H

#include <stddef.h>
#include <stdint.h>

/** host_open_self - Return: the running program's own file, opened for reading, or a negative errno. */
int host_open_self(void);

/** host_reserve_ram - address space for @size bytes of guest RAM; only touched pages cost memory. NULL: none. */
void *host_reserve_ram(uint64_t size);

/** host_memory_size - bytes of RAM that the host has. */
uint64_t host_memory_size(void);

/** host_cpu_count - processors that this process may run on, at least 1. */
unsigned host_cpu_count(void);

/** host_realtime_ns - the wall clock, nanoseconds since 1970. */
uint64_t host_realtime_ns(void);

/** host_uptime_ms - milliseconds since this program began to run. */
double host_uptime_ms(void);

/** host_random - fill @buffer with random bytes. Return: 0 or a negative errno. */
int host_random(void *buffer, size_t size);

#endif
