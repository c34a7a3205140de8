/*
 * The vhost-user transport: our devices, served to another virtual machine monitor.
 *
 * One UNIX socket carries one device's control messages; guest memory is shared
 * and the rings are worked on in place. We are the back end, QEMU is the front end.
 * The front end is not trusted: a message that makes no sense closes the device.
 */
#ifndef SMOLPACK_VIRTIO_VHOST_USER_H
#define SMOLPACK_VIRTIO_VHOST_USER_H

#include <stdbool.h>
#include <stdint.h>

#include "../loop.h"
#include "device.h"
#include "vhost_user_wire.h"

struct vhost_user_ring {
	struct loop_source	kick;		/* the driver's notifications */
	int			call_fd;	/* our interrupts */
	uint16_t		next_avail;	/* while it does not run */
	bool			wanted;		/* SET_VRING_ENABLE */
};

struct vhost_user {
	struct virtio_device	*device;
	const struct guest_memory *memory;
	struct loop		*loop;
	struct loop_source	socket;
	struct vhost_user_wire	wire;
	struct vhost_user_ring	rings[VIRTIO_MAX_QUEUES];
	struct vhost_user_region regions[VHOST_USER_MAX_REGIONS];
	unsigned		region_count;
	uint64_t		features;	/* as negotiated, the protocol's own bit included */

	/*
	 * Called once when the device can no longer be served: @error is a negative
	 * errno, or 0 when the front end went away. Everything is closed by then.
	 */
	void			(*closed)(struct vhost_user *transport, int error);
	void			*context;	/* the owner of ->closed */
};

/**
 * vhost_user_open - serve @device over the connected UNIX stream socket @fd.
 *
 * @memory is the guest's RAM as we have it mapped. @transport takes over @fd, also
 * when this fails; ->closed and ->context are set by the caller beforehand.
 * Return: 0 or a negative errno.
 */
int vhost_user_open(struct vhost_user *transport, struct virtio_device *device,
		    const struct guest_memory *memory, struct loop *loop, int fd);

/** vhost_user_close - stop the device and close every descriptor; ->closed is not called. */
void vhost_user_close(struct vhost_user *transport);

#endif
