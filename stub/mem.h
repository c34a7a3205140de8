/* Guest RAM as the launcher sees it. */
#ifndef SMOLPACK_MEM_H
#define SMOLPACK_MEM_H

#include <stdint.h>

#define MEM_MAX_REGIONS 8

struct mem_region {
	uint64_t	gpa;	/* guest physical address of the first byte */
	uint64_t	size;	/* bytes */
	uint8_t		*host;	/* where the launcher has it mapped */
};

struct guest_memory {
	unsigned		count;
	struct mem_region	regions[MEM_MAX_REGIONS];
};

/**
 * mem_at - the one way from a guest physical address to a pointer.
 *
 * Return: a pointer to @size bytes of guest RAM at @gpa, or NULL when not all of
 * them are RAM of one region. Both arguments may come from the guest.
 */
void *mem_at(const struct guest_memory *memory, uint64_t gpa, uint64_t size);

/**
 * mem_add - make @size bytes at @host the guest's RAM from @gpa on.
 *
 * Return: 0, -EINVAL when the region is empty, wraps around or overlaps another,
 * -ENOSPC when there are too many.
 */
int mem_add(struct guest_memory *memory, uint64_t gpa, uint64_t size, void *host);

#endif
