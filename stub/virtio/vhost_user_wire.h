/*
 * vhost-user messages on their socket: put together from pieces, descriptors included.
 *
 * This knows how messages are framed, not what they mean (vhost_user.c).
 */
#ifndef SMOLPACK_VIRTIO_VHOST_USER_WIRE_H
#define SMOLPACK_VIRTIO_VHOST_USER_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define VHOST_USER_MAX_REGIONS	8
#define VHOST_USER_MAX_CONFIG	256
#define VHOST_USER_MAX_FDS	VHOST_USER_MAX_REGIONS

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

struct vhost_user_wire {
	int			fd;
	struct vhost_user_message message;
	size_t			received;	/* bytes of it */
	int			fds[VHOST_USER_MAX_FDS];	/* what came with it */
	unsigned		fd_count;
};

/**
 * vhost_user_receive - receive more of the message at hand; never blocks.
 *
 * Return: 1 when all of ->message is there (vhost_user_finish() it, then receive the
 * next), 0 when more must come, -ECONNRESET when the other end is gone, -EPROTO or
 * -EMSGSIZE when this is no message.
 */
int vhost_user_receive(struct vhost_user_wire *wire);

/** vhost_user_finish - done with the message at hand: what was not taken of it is closed. */
void vhost_user_finish(struct vhost_user_wire *wire);

/** vhost_user_take_fd - Return: a descriptor of the message, the caller's from now on, or -1. */
int vhost_user_take_fd(struct vhost_user_wire *wire);

/**
 * vhost_user_reply - answer with the message at hand, @size bytes of its payload.
 *
 * Return: 0 or a negative errno; that the other end does not read its answers is an error.
 */
int vhost_user_reply(struct vhost_user_wire *wire, uint32_t size);

#endif
