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

#define VHOST_USER_MAX_REGIONS	8
#define VHOST_USER_MAX_CONFIG	256

/* A part of guest memory and where the front end has it mapped. */
struct vhost_user_region {
	uint64_t	gpa;
	uint64_t	size;
	uint64_t	user;		/* the front end's own virtual address */
	uint64_t	file_offset;
};

/* Messages as they stand on the socket, in host byte order. */
struct vhost_user_message {
	uint32_t	request;
	uint32_t	flags;
	uint32_t	size;		/* bytes of payload that follow */
	union {
		uint64_t	u64;
		struct {
			uint32_t	index;
			uint32_t	value;
		} vring;
		struct {
			uint32_t	index;
			uint32_t	flags;
			uint64_t	desc, used, avail, log;
		} rings;
		struct {
			uint32_t	count;
			uint32_t	padding;
			struct vhost_user_region regions[VHOST_USER_MAX_REGIONS];
		} memory;
		struct {
			uint32_t	offset;
			uint32_t	size;
			uint32_t	flags;
			uint8_t		bytes[VHOST_USER_MAX_CONFIG];
		} config;
	} __attribute__((packed)) payload;
} __attribute__((packed));

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

	/* The message that is being received. */
	struct vhost_user_message message;
	size_t			received;
	int			fds[VHOST_USER_MAX_REGIONS];
	unsigned		fd_count;
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
