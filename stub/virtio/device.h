/*
 * What every virtio device is, whatever carries it.
 *
 * A device is a class (constants and hooks) plus state. Two transports drive
 * it: mmio.c inside our own machine, vhost_user.c for a machine that QEMU
 * executes. Hooks run on the loop's thread with the transport's lock held.
 */
#ifndef SMOLPACK_VIRTIO_DEVICE_H
#define SMOLPACK_VIRTIO_DEVICE_H

#include <stdint.h>

#include "queue.h"

#define VIRTIO_MAX_QUEUES	3

/* Device IDs (virtio 1.2, section 5) and features that transports offer for all. */
#define VIRTIO_ID_BLOCK		2
#define VIRTIO_ID_RNG		4
#define VIRTIO_ID_VSOCK		19
#define VIRTIO_F_EVENT_IDX	(1ull << 29)
#define VIRTIO_F_VERSION_1	(1ull << 32)

struct virtio_device;

struct virtio_class {
	const char	*name;
	uint32_t	id;
	uint64_t	features;	/* the device's own; transports add VERSION_1 and EVENT_IDX */
	unsigned	queue_count;
	uint32_t	config_size;	/* bytes at ->config */

	/* The driver has put requests into queue @index (or may have). */
	void		(*notify)(struct virtio_device *device, unsigned index);
	/* Forget what the driver knows; NULL when there is nothing. */
	void		(*reset)(struct virtio_device *device);
};

struct virtio_device {
	const struct virtio_class *class;
	const void	*config;	/* device-specific configuration, read-only for the driver */
	uint64_t	driver_features;
	struct virtqueue queues[VIRTIO_MAX_QUEUES];

	/* Set by the transport. */
	void		(*interrupt)(struct virtio_device *device, unsigned index);
	void		*transport;
};

/* Requests of a queue that are served before other sources of the loop get their turn. */
#define VIRTIO_TURN 256

/**
 * virtio_notify - for transports: let the device serve queue @index for one turn.
 *
 * A guest that fills the queue as fast as it is served must not keep the loop
 * from signals and other devices.
 * Return: whether the turn was used up: then it must be notified again soon.
 */
static inline bool virtio_notify(struct virtio_device *device, unsigned index)
{
	struct virtqueue *queue = &device->queues[index];

	queue->in_turn = true;
	queue->turn_left = VIRTIO_TURN;
	device->class->notify(device, index);

	bool used_up = queue->turn_left == 0;

	queue->in_turn = false;
	return used_up;
}

/** virtio_reset - for transports: forget all that the driver has set up. */
static inline void virtio_reset(struct virtio_device *device)
{
	for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++)
		virtqueue_reset(&device->queues[i]);
	device->driver_features = 0;
	if (device->class->reset)
		device->class->reset(device);
}

/** virtio_flush - tell the driver about what was pushed to queue @index, if it wants to know. */
static inline void virtio_flush(struct virtio_device *device, unsigned index)
{
	if (virtqueue_wants_interrupt(&device->queues[index]))
		device->interrupt(device, index);
}

#endif
