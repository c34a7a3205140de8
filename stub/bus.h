/* A bus: which handler answers for which addresses. One for memory, one for ports. */
#ifndef SMOLPACK_BUS_H
#define SMOLPACK_BUS_H

#include <stdbool.h>
#include <stdint.h>

#define BUS_MAX_RANGES 16

struct bus_range {
	uint64_t	start;
	uint64_t	size;
	/*
	 * The guest reads or writes @size (1, 2, 4 or 8) bytes, all of them inside the
	 * range, at @offset from its start. Called on a vCPU's thread.
	 */
	void		(*access)(void *context, uint64_t offset, void *data, unsigned size,
				  bool is_write);
	void		*context;
};

struct bus {
	unsigned		count;
	struct bus_range	ranges[BUS_MAX_RANGES];
};

/** bus_add - Return: 0, or -ENOSPC. Ranges must not overlap. */
int bus_add(struct bus *bus, const struct bus_range *range);

/** bus_access - let the range at @address answer; nobody there reads as all ones. */
void bus_access(const struct bus *bus, uint64_t address, void *data, unsigned size,
		bool is_write);

#endif
