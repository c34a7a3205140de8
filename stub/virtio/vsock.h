/*
 * The socket device (virtio 1.2, section 5.10), host end included: the guest
 * connects to ports that the launcher listens on.
 *
 * A listener is told of connections and their data; flow control is the
 * transport's: the guest never sends more than VSOCK_WINDOW bytes that were not
 * yet consumed, and vsock_send() takes no more than the guest has room for.
 */
#ifndef SMOLPACK_VIRTIO_VSOCK_H
#define SMOLPACK_VIRTIO_VSOCK_H

#include <sys/types.h>

#include "device.h"

#define VSOCK_HOST_CID		2
#define VSOCK_GUEST_CID		3
#define VSOCK_WINDOW		(256u << 10)	/* bytes a connection may have under way to us */
#define VSOCK_MAX_CONNECTIONS	16
#define VSOCK_MAX_LISTENERS	8
#define VSOCK_MAX_RESETS	16

struct vsock_connection;

struct vsock_listener {
	uint32_t	port;
	/* Return: false to refuse. ->context of both is the listener's to use. */
	bool		(*accept)(struct vsock_listener *listener, struct vsock_connection *connection);
	/* Data came; all of it must be taken now, vsock_consumed() tells when it is done with. */
	void		(*received)(struct vsock_connection *connection, struct iovec *iov,
				    unsigned count, size_t size);
	/* vsock_send() may have room again; NULL when nothing is ever sent. */
	void		(*writable)(struct vsock_connection *connection);
	/* The guest will send nothing more; the connection still stands. */
	void		(*finished)(struct vsock_connection *connection);
	/* The guest will take nothing more; the connection still stands. */
	void		(*refused)(struct vsock_connection *connection);
	/* The connection is gone: forget it. */
	void		(*closed)(struct vsock_connection *connection);
	void		*context;
};

struct vsock_connection {
	struct vsock		*vsock;
	struct vsock_listener	*listener;	/* NULL: a free slot */
	void			*context;
	uint32_t		guest_port, host_port;
	uint32_t		guest_window, guest_consumed;	/* as the guest last said */
	uint32_t		sent, received, consumed;	/* bytes so far, modulo 2^32 */
	uint32_t		told_consumed;			/* as the guest last heard */
	uint8_t			guest_shutdown, our_shutdown;	/* VIRTIO_VSOCK_SHUTDOWN_* bits */
	uint8_t			pending;	/* packets that wait for a buffer of the guest */
	bool			blocked;	/* vsock_send() found no room */
};

struct vsock {
	struct virtio_device	device;
	uint64_t		config;		/* guest_cid */
	struct vsock_listener	*listeners[VSOCK_MAX_LISTENERS];
	unsigned		listener_count;
	struct vsock_connection	connections[VSOCK_MAX_CONNECTIONS];
	/* Port pairs to be told that nobody is there, for want of a buffer. */
	struct { uint32_t guest, host; } resets[VSOCK_MAX_RESETS];
	unsigned		reset_count;
};

void vsock_init(struct vsock *vsock);

/** vsock_listen - Return: 0, or -ENOSPC. @listener must stay in place. */
int vsock_listen(struct vsock *vsock, struct vsock_listener *listener);

/* Fills @iov with at most all of its bytes. Return: bytes, 0 for the end of data, negative errno. */
typedef ssize_t vsock_fill(void *context, struct iovec *iov, unsigned count);

/**
 * vsock_send - send what @fill puts into one buffer of the guest.
 *
 * Return: what @fill returned, or -EAGAIN when there is no room (->writable will
 * be called), or -EPIPE when the guest takes nothing more.
 */
ssize_t vsock_send(struct vsock_connection *connection, vsock_fill *fill, void *context);

/** vsock_consumed - @size bytes that were received are done with: the guest may send as many more. */
void vsock_consumed(struct vsock_connection *connection, size_t size);

/** vsock_finish - nothing more will be sent: the guest reads the end of data. */
void vsock_finish(struct vsock_connection *connection);

/** vsock_close - end the connection in both directions; ->closed is not called. */
void vsock_close(struct vsock_connection *connection);

#endif
