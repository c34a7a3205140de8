/* Finds the handler for an address. */
#include "bus.h"

#include <errno.h>
#include <string.h>

int bus_add(struct bus *bus, const struct bus_range *range)
{
	if (bus->count == BUS_MAX_RANGES)
		return -ENOSPC;
	bus->ranges[bus->count++] = *range;
	return 0;
}

void bus_access(const struct bus *bus, uint64_t address, void *data, unsigned size,
		bool is_write)
{
	for (unsigned i = 0; i < bus->count; i++) {
		const struct bus_range *range = &bus->ranges[i];
		uint64_t offset = address - range->start;

		if (address >= range->start && offset < range->size &&
		    size <= range->size - offset) {
			range->access(range->context, offset, data, size, is_write);
			return;
		}
	}
	if (!is_write)
		memset(data, 0xff, size);
}
