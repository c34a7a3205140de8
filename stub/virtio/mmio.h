/* The virtio-mmio transport (virtio 1.2, section 4.2) for our own machine. */
#ifndef SMOLPACK_VIRTIO_MMIO_H
#define SMOLPACK_VIRTIO_MMIO_H

#include <stdatomic.h>

#include "../bus.h"
#include "../hv/hv.h"
#include "../loop.h"
#include "device.h"

#define VIRTIO_MMIO_SIZE 0x1000

struct virtio_mmio {
	struct virtio_device	*device;
	struct loop		*loop;
	int			irq_fd;
	atomic_uint		interrupt_status;
	uint32_t		status;
	uint32_t		queue_select;
	uint32_t		device_feature_select, driver_feature_select;
	uint64_t		driver_features;
	struct loop_source	kicks[VIRTIO_MAX_QUEUES];
};

/**
 * virtio_mmio_attach - put @device on @bus at guest address @gpa with interrupt line @irq.
 *
 * @mmio must stay in place for as long as the machine runs.
 * Return: 0 or a negative errno.
 */
int virtio_mmio_attach(struct virtio_mmio *mmio, struct virtio_device *device, struct hv *hv,
		       struct bus *bus, struct loop *loop, uint64_t gpa, unsigned irq);

#endif
