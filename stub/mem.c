/* Guest RAM: the one checked way from a guest address to a pointer. */
#include "mem.h"

#include <errno.h>
#include <stddef.h>

void *mem_at(const struct guest_memory *memory, uint64_t gpa, uint64_t size)
{
	for (unsigned i = 0; i < memory->count; i++) {
		const struct mem_region *region = &memory->regions[i];

		if (gpa < region->gpa)
			continue;
		uint64_t offset = gpa - region->gpa;

		if (offset <= region->size && size <= region->size - offset)
			return region->host + offset;
	}
	return NULL;
}

int mem_add(struct guest_memory *memory, uint64_t gpa, uint64_t size, void *host)
{
	if (size == 0 || gpa + size < gpa)
		return -EINVAL;
	for (unsigned i = 0; i < memory->count; i++) {
		const struct mem_region *other = &memory->regions[i];

		if (gpa < other->gpa + other->size && other->gpa < gpa + size)
			return -EINVAL;
	}
	if (memory->count == MEM_MAX_REGIONS)
		return -ENOSPC;
	memory->regions[memory->count++] = (struct mem_region){
		.gpa = gpa, .size = size, .host = host,
	};
	return 0;
}
