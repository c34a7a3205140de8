/*
 * A guest driver as the device tests need it: a small RAM with one virtqueue in it,
 * and writes to the rings that an honest or a hostile guest could make.
 */
#ifndef SMOLPACK_TESTS_FAKE_DRIVER_H
#define SMOLPACK_TESTS_FAKE_DRIVER_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "virtio/queue.h"

#define DRIVER_RAM_GPA	0x100000ull
#define DRIVER_RAM_SIZE	0x40000ull
#define DRIVER_RAM_END	(DRIVER_RAM_GPA + DRIVER_RAM_SIZE)
#define DRIVER_DESC	(DRIVER_RAM_GPA + 0x0)
#define DRIVER_AVAIL	(DRIVER_RAM_GPA + 0x4000)
#define DRIVER_USED	(DRIVER_RAM_GPA + 0x5000)
#define DRIVER_BUFFERS	(DRIVER_RAM_GPA + 0x10000)

#define DESC_NEXT	1
#define DESC_WRITE	2
#define DESC_INDIRECT	4

struct driver_desc {
	uint64_t	address;
	uint32_t	length;
	uint16_t	flags;
	uint16_t	next;
};

struct driver_used {
	uint32_t	id;
	uint32_t	length;
};

struct fake_driver {
	uint8_t			*ram;
	struct guest_memory	memory;
	uint16_t		size;	/* of the queue */
	uint16_t		submitted, seen;
};

/* RAM comes from the allocator, so that the sanitizers see every byte outside of it. */
static inline void driver_open(struct fake_driver *driver, uint16_t size)
{
	*driver = (struct fake_driver){ .size = size };
	driver->ram = aligned_alloc(4096, DRIVER_RAM_SIZE);
	memset(driver->ram, 0, DRIVER_RAM_SIZE);
	mem_add(&driver->memory, DRIVER_RAM_GPA, DRIVER_RAM_SIZE, driver->ram);
}

static inline void driver_close(struct fake_driver *driver)
{
	free(driver->ram);
}

static inline void *driver_at(struct fake_driver *driver, uint64_t gpa)
{
	return driver->ram + (gpa - DRIVER_RAM_GPA);
}

static inline uint16_t *driver_avail(struct fake_driver *driver)
{
	return driver_at(driver, DRIVER_AVAIL);
}

static inline uint16_t *driver_used(struct fake_driver *driver)
{
	return driver_at(driver, DRIVER_USED);
}

/* The event words: the used index that the driver waits for, and the avail index for the device. */
static inline uint16_t *driver_used_event(struct fake_driver *driver)
{
	return driver_avail(driver) + 2 + driver->size;
}

static inline uint16_t *driver_avail_event(struct fake_driver *driver)
{
	return driver_used(driver) + 2 + driver->size * 4;
}

/* Point @queue to the rings and take it into use, both at ring index @start. */
static inline int driver_enable(struct fake_driver *driver, struct virtqueue *queue,
				uint16_t start)
{
	queue->memory = &driver->memory;
	queue->size = driver->size;
	queue->desc_gpa = DRIVER_DESC;
	queue->avail_gpa = DRIVER_AVAIL;
	queue->used_gpa = DRIVER_USED;
	driver->submitted = driver->seen = start;
	driver_avail(driver)[1] = start;
	driver_used(driver)[1] = start;
	return virtqueue_enable(queue, start);
}

static inline void driver_describe(struct fake_driver *driver, unsigned index, uint64_t address,
				   uint32_t length, uint16_t flags, uint16_t next)
{
	struct driver_desc *table = driver_at(driver, DRIVER_DESC);

	table[index] = (struct driver_desc){ address, length, flags, next };
}

static inline void driver_submit(struct fake_driver *driver, uint16_t head)
{
	uint16_t *avail = driver_avail(driver);

	avail[2 + driver->submitted % driver->size] = head;
	avail[1] = ++driver->submitted;
}

/* Return: whether the device gave a request back, and which. */
static inline int driver_collect(struct fake_driver *driver, struct driver_used *element)
{
	uint16_t *used = driver_used(driver);

	if (used[1] == driver->seen)
		return 0;
	memcpy(element, used + 2 + (size_t)(driver->seen++ % driver->size) * 4, sizeof(*element));
	return 1;
}

#endif
