/*
 * The guest's end of the socket device: sends and receives packets through real
 * virtqueues, as honestly or not as a test wants.
 */
#ifndef SMOLPACK_TESTS_FAKE_GUEST_H
#define SMOLPACK_TESTS_FAKE_GUEST_H

#include "fake_driver.h"
#include "virtio/vsock.h"

#define GUEST_RX		0	/* queues of the device */
#define GUEST_TX		1
#define GUEST_QUEUE_SIZE	32
#define GUEST_BUFFER		0x1000u	/* bytes of a receive buffer, header included */
#define GUEST_PORT		5000u	/* where the guest's connections come from */

#define OP_REQUEST		1	/* virtio 1.2, 5.10.6 */
#define OP_RESPONSE		2
#define OP_RST			3
#define OP_SHUTDOWN		4
#define OP_RW			5
#define OP_CREDIT_UPDATE	6
#define OP_CREDIT_REQUEST	7
#define SHUTDOWN_RECEIVE	1u
#define SHUTDOWN_SEND		2u

struct guest_packet {
	uint64_t	src_cid, dst_cid;
	uint32_t	src_port, dst_port, length;
	uint16_t	type, op;
	uint32_t	flags, buf_alloc, fwd_cnt;
} __attribute__((packed));

struct fake_guest {
	struct vsock		vsock;
	struct fake_driver	rx, tx;
	uint32_t		window;		/* told to the device in every packet */
	uint32_t		consumed;
	/* What guest_receive() delivered last. */
	struct guest_packet	packet;
	const uint8_t		*data;
};

static inline void guest_interrupt(struct virtio_device *device, unsigned index)
{
	(void)device;
	(void)index;
}

/* A new device, and rings in RAM that is there already. */
static inline void guest_begin(struct fake_guest *guest)
{
	guest->window = 1u << 20;
	guest->consumed = 0;
	guest->vsock = (struct vsock){ 0 };
	vsock_init(&guest->vsock);
	guest->vsock.device.interrupt = guest_interrupt;
	driver_enable(&guest->rx, &guest->vsock.device.queues[GUEST_RX], 0);
	driver_enable(&guest->tx, &guest->vsock.device.queues[GUEST_TX], 0);
}

static inline void guest_open(struct fake_guest *guest)
{
	*guest = (struct fake_guest){ .window = 0 };
	driver_open(&guest->rx, GUEST_QUEUE_SIZE);
	driver_open(&guest->tx, GUEST_QUEUE_SIZE);
	guest_begin(guest);
}

static inline void guest_close(struct fake_guest *guest)
{
	driver_close(&guest->rx);
	driver_close(&guest->tx);
}

static inline void guest_notify(struct fake_guest *guest, unsigned queue)
{
	guest->vsock.device.class->notify(&guest->vsock.device, queue);
}

/* Offers @count more receive buffers; no more than GUEST_QUEUE_SIZE may be out at a time. */
static inline void guest_post(struct fake_guest *guest, unsigned count)
{
	while (count--) {
		uint16_t slot = guest->rx.submitted % GUEST_QUEUE_SIZE;

		driver_describe(&guest->rx, slot, DRIVER_BUFFERS + slot * GUEST_BUFFER,
				GUEST_BUFFER, DESC_WRITE, 0);
		driver_submit(&guest->rx, slot);
	}
	guest_notify(guest, GUEST_RX);
}

static inline struct guest_packet guest_packet(const struct fake_guest *guest, uint32_t port,
					       uint16_t op)
{
	return (struct guest_packet){
		.src_cid = VSOCK_GUEST_CID, .dst_cid = VSOCK_HOST_CID,
		.src_port = GUEST_PORT, .dst_port = port,
		.type = 1, .op = op,
		.buf_alloc = guest->window, .fwd_cnt = guest->consumed,
	};
}

/* Sends @packet and, in a descriptor of its own, @size bytes of @data. */
static inline void guest_transmit(struct fake_guest *guest, const struct guest_packet *packet,
				  const void *data, uint32_t size)
{
	struct driver_used element;

	memcpy(driver_at(&guest->tx, DRIVER_BUFFERS), packet, sizeof(*packet));
	if (size)
		memcpy(driver_at(&guest->tx, DRIVER_BUFFERS + GUEST_BUFFER), data, size);
	driver_describe(&guest->tx, 0, DRIVER_BUFFERS, sizeof(*packet), size ? DESC_NEXT : 0, 1);
	driver_describe(&guest->tx, 1, DRIVER_BUFFERS + GUEST_BUFFER, size, 0, 0);
	driver_submit(&guest->tx, 0);
	guest_notify(guest, GUEST_TX);
	driver_collect(&guest->tx, &element);
}

static inline void guest_say(struct fake_guest *guest, uint32_t port, uint16_t op)
{
	struct guest_packet packet = guest_packet(guest, port, op);

	guest_transmit(guest, &packet, NULL, 0);
}

static inline void guest_shut_down(struct fake_guest *guest, uint32_t port, uint32_t flags)
{
	struct guest_packet packet = guest_packet(guest, port, OP_SHUTDOWN);

	packet.flags = flags;
	guest_transmit(guest, &packet, NULL, 0);
}

static inline void guest_send(struct fake_guest *guest, uint32_t port, const void *data,
			      uint32_t size)
{
	struct guest_packet packet = guest_packet(guest, port, OP_RW);

	packet.length = size;
	guest_transmit(guest, &packet, data, size);
}

/* Takes the next packet from the device into ->packet and ->data. Return: its op, 0 when there is none. */
static inline int guest_receive(struct fake_guest *guest)
{
	struct driver_used element;

	if (!driver_collect(&guest->rx, &element))
		return 0;
	uint8_t *buffer = driver_at(&guest->rx, DRIVER_BUFFERS + element.id * GUEST_BUFFER);

	memcpy(&guest->packet, buffer, sizeof(guest->packet));
	guest->data = buffer + sizeof(guest->packet);
	return guest->packet.op;
}

#endif
