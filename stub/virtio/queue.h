/*
 * Split virtqueues (virtio 1.2, section 2.7), device side: the only ring walker.
 *
 * The rings lie in guest memory and are hostile: every index, address and length
 * is checked. A malformed ring marks the queue broken: it delivers nothing more
 * until the driver resets it; the machine lives on.
 */
#ifndef SMOLPACK_VIRTIO_QUEUE_H
#define SMOLPACK_VIRTIO_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "../mem.h"

#define VIRTQUEUE_SIZE		256	/* entries that our own transport offers */
#define VIRTQUEUE_MAX_SIZE	1024	/* entries that QEMU's offers, whatever the device wants */
#define VIRTQUEUE_MAX_IOV	VIRTQUEUE_SIZE	/* descriptors of one request */

struct virtqueue {
	const struct guest_memory *memory;
	uint16_t	size;		/* a power of two, at most VIRTQUEUE_MAX_SIZE */
	bool		enabled;
	bool		broken;
	bool		event_idx;	/* VIRTIO_F_EVENT_IDX was negotiated */
	bool		in_turn;	/* virtqueue_pop() delivers only turn_left requests more */
	uint16_t	turn_left;
	uint64_t	desc_gpa, avail_gpa, used_gpa;	/* as the driver named them */

	/* Private to queue.c: valid while enabled. */
	const struct virtq_desc	*desc;
	volatile uint16_t	*avail;
	volatile uint16_t	*used;
	uint16_t	next_avail;
	uint16_t	next_used;
	uint16_t	signalled_used;	/* next_used when the driver was last asked about */
};

/* One request: first what the device reads, then what it writes. */
struct virtq_chain {
	uint16_t	head;
	unsigned	out_count, in_count;	/* entries of iov: out first, in after */
	size_t		out_size, in_size;	/* bytes */
	struct iovec	iov[VIRTQUEUE_MAX_IOV];
};

/**
 * virtqueue_enable - take the rings that size and the *_gpa fields name into use.
 *
 * Starts at ring index @next_avail (0 after a reset).
 * Return: 0, or -EINVAL when size or addresses are no good.
 */
int virtqueue_enable(struct virtqueue *queue, uint16_t next_avail);

/** virtqueue_disable - take the rings out of use. Return: the ring index to go on from. */
uint16_t virtqueue_disable(struct virtqueue *queue);

/** virtqueue_reset - forget everything but ->memory. */
void virtqueue_reset(struct virtqueue *queue);

/**
 * virtqueue_pop - take the next request.
 *
 * Return: 1 and @chain filled, 0 when there is none (the driver will then notify
 * about the next one), -EINVAL when the queue is or turns out to be broken.
 */
int virtqueue_pop(struct virtqueue *queue, struct virtq_chain *chain);

/** virtqueue_unpop - put back the request that the last virtqueue_pop() delivered. */
void virtqueue_unpop(struct virtqueue *queue);

/** virtqueue_push - give the request back, @written bytes of it filled by the device. */
void virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written);

/** virtqueue_wants_interrupt - is the driver to be told of what was pushed since the last call? */
bool virtqueue_wants_interrupt(struct virtqueue *queue);

/**
 * iov_copy_from - gather bytes out of a vector, from byte @skip on.
 *
 * Return: bytes copied, less than @size when the vector ends before.
 */
size_t iov_copy_from(void *buffer, size_t size, const struct iovec *iov, unsigned count,
		     size_t skip);

/** iov_copy_to - scatter bytes into a vector, from byte @skip on. Return: bytes copied. */
size_t iov_copy_to(const struct iovec *iov, unsigned count, size_t skip, const void *buffer,
		   size_t size);

/**
 * iov_trim_front - drop the first @size bytes in place.
 *
 * Return: the index of the first entry that still has bytes (or @count).
 */
unsigned iov_trim_front(struct iovec *iov, unsigned count, size_t size);

/**
 * iov_limit - cut the vector in place after its first @size bytes.
 *
 * Return: how many entries are left.
 */
unsigned iov_limit(struct iovec *iov, unsigned count, size_t size);

#endif
