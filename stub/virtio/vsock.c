/* The socket device: packets in the guest's queues become connections of listeners. */
#include "vsock.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum { RX_QUEUE, TX_QUEUE, EVENT_QUEUE, QUEUES };

/* Virtio 1.2, 5.10.6. */
enum {
	OP_REQUEST		= 1,
	OP_RESPONSE		= 2,
	OP_RST			= 3,
	OP_SHUTDOWN		= 4,
	OP_RW			= 5,
	OP_CREDIT_UPDATE	= 6,
	OP_CREDIT_REQUEST	= 7,
};

#define TYPE_STREAM		1
#define SHUTDOWN_RECEIVE	1u
#define SHUTDOWN_SEND		2u
#define SHUTDOWN_BOTH		(SHUTDOWN_RECEIVE | SHUTDOWN_SEND)

/* ->pending: what is to be sent, in this order. */
#define PENDING_RESPONSE	1u
#define PENDING_CREDIT		2u
#define PENDING_SHUTDOWN	4u

struct packet {
	uint64_t	src_cid, dst_cid;
	uint32_t	src_port, dst_port;
	uint32_t	length;
	uint16_t	type, op;
	uint32_t	flags, buf_alloc, fwd_cnt;
} __attribute__((packed));

static_assert(sizeof(struct packet) == 44, "packet header");

static struct vsock *to_vsock(struct virtio_device *device)
{
	return (struct vsock *)((char *)device - offsetof(struct vsock, device));
}

static struct vsock_connection *find_connection(struct vsock *vsock, uint32_t guest_port,
						uint32_t host_port)
{
	for (unsigned i = 0; i < VSOCK_MAX_CONNECTIONS; i++) {
		struct vsock_connection *connection = &vsock->connections[i];

		if (connection->listener && connection->guest_port == guest_port &&
		    connection->host_port == host_port)
			return connection;
	}
	return NULL;
}

/* Takes a buffer of the guest that has room for a header. */
static bool take_buffer(struct vsock *vsock, struct virtq_chain *chain)
{
	struct virtqueue *queue = &vsock->device.queues[RX_QUEUE];

	while (virtqueue_pop(queue, chain) == 1) {
		if (chain->out_count == 0 && chain->in_size >= sizeof(struct packet))
			return true;
		virtqueue_push(queue, chain->head, 0);
	}
	return false;
}

static void give_buffer(struct vsock *vsock, const struct virtq_chain *chain,
			const struct packet *packet)
{
	virtqueue_push(&vsock->device.queues[RX_QUEUE], chain->head,
		       (uint32_t)sizeof(*packet) + packet->length);
	virtio_flush(&vsock->device, RX_QUEUE);
}

static struct packet make_packet(uint32_t guest_port, uint32_t host_port, uint16_t op)
{
	return (struct packet){
		.src_cid = VSOCK_HOST_CID,
		.dst_cid = VSOCK_GUEST_CID,
		.src_port = host_port,
		.dst_port = guest_port,
		.type = TYPE_STREAM,
		.op = op,
	};
}

static struct packet make_reply(struct vsock_connection *connection, uint16_t op)
{
	struct packet packet = make_packet(connection->guest_port, connection->host_port, op);

	packet.buf_alloc = VSOCK_WINDOW;
	packet.fwd_cnt = connection->consumed;
	connection->told_consumed = connection->consumed;
	return packet;
}

/* Sends a packet without data. Return: false when the guest has no buffer for it now. */
static bool send_bare(struct vsock *vsock, const struct packet *packet)
{
	struct virtq_chain chain;

	if (!take_buffer(vsock, &chain))
		return false;
	iov_copy_to(chain.iov, chain.in_count, 0, packet, sizeof(*packet));
	give_buffer(vsock, &chain, packet);
	return true;
}

static bool send_one_pending(struct vsock_connection *connection, uint8_t bit, uint16_t op)
{
	struct packet packet;

	if (!(connection->pending & bit))
		return true;
	packet = make_reply(connection, op);
	if (op == OP_SHUTDOWN)
		packet.flags = connection->our_shutdown;
	if (!send_bare(connection->vsock, &packet))
		return false;
	connection->pending &= (uint8_t)~bit;
	return true;
}

static bool send_pending(struct vsock_connection *connection)
{
	return send_one_pending(connection, PENDING_RESPONSE, OP_RESPONSE) &&
	       send_one_pending(connection, PENDING_CREDIT, OP_CREDIT_UPDATE) &&
	       send_one_pending(connection, PENDING_SHUTDOWN, OP_SHUTDOWN);
}

static void queue_packet(struct vsock_connection *connection, uint8_t bit)
{
	connection->pending |= bit;
	send_pending(connection);
}

static void send_reset(struct vsock *vsock, uint32_t guest_port, uint32_t host_port)
{
	struct packet packet = make_packet(guest_port, host_port, OP_RST);

	/* A guest that provokes more of them than fit need not hear of each. */
	if (!send_bare(vsock, &packet) && vsock->reset_count < VSOCK_MAX_RESETS) {
		vsock->resets[vsock->reset_count].guest = guest_port;
		vsock->resets[vsock->reset_count++].host = host_port;
	}
}

static void forget(struct vsock_connection *connection)
{
	*connection = (struct vsock_connection){ .vsock = connection->vsock };
}

static void close_by_guest(struct vsock_connection *connection)
{
	struct vsock_connection gone = *connection;

	gone.listener->closed(connection);
	forget(connection);
}

static uint32_t room_in_guest(const struct vsock_connection *connection)
{
	uint32_t under_way = connection->sent - connection->guest_consumed;

	return under_way < connection->guest_window ? connection->guest_window - under_way : 0;
}

ssize_t vsock_send(struct vsock_connection *connection, vsock_fill *fill, void *context)
{
	struct vsock *vsock = connection->vsock;
	struct virtq_chain chain;
	struct iovec header[2];
	unsigned header_count = 0, count;
	uint32_t room = room_in_guest(connection);

	if (connection->guest_shutdown & SHUTDOWN_RECEIVE || connection->our_shutdown & SHUTDOWN_SEND)
		return -EPIPE;
	connection->blocked = true;
	if (!room || !send_pending(connection) || !take_buffer(vsock, &chain))
		return -EAGAIN;
	/* The header's place, before the vector is trimmed to the payload's. */
	size_t left = sizeof(struct packet);

	for (; left && header_count < 2 && header_count < chain.in_count; header_count++) {
		header[header_count] = chain.iov[header_count];
		if (header[header_count].iov_len > left)
			header[header_count].iov_len = left;
		left -= header[header_count].iov_len;
	}
	unsigned first = iov_trim_front(chain.iov, chain.in_count, sizeof(struct packet));

	count = iov_limit(chain.iov + first, chain.in_count - first, room);
	ssize_t filled = left || count == 0 ? -EINVAL : fill(context, chain.iov + first, count);

	if (filled <= 0) {
		virtqueue_unpop(&vsock->device.queues[RX_QUEUE]);
		connection->blocked = false;
		return filled;
	}
	struct packet packet = make_reply(connection, OP_RW);

	packet.length = (uint32_t)filled;
	connection->sent += packet.length;
	connection->blocked = false;
	iov_copy_to(header, header_count, 0, &packet, sizeof(packet));
	give_buffer(vsock, &chain, &packet);
	return filled;
}

void vsock_consumed(struct vsock_connection *connection, size_t size)
{
	connection->consumed += (uint32_t)size;
	/* The guest sends up to 64 KiB at once: tell it well before it must wait. */
	if (connection->consumed - connection->told_consumed >= VSOCK_WINDOW / 4)
		queue_packet(connection, PENDING_CREDIT);
}

void vsock_finish(struct vsock_connection *connection)
{
	if (connection->our_shutdown & SHUTDOWN_SEND)
		return;
	connection->our_shutdown |= SHUTDOWN_SEND;
	queue_packet(connection, PENDING_SHUTDOWN);
}

void vsock_close(struct vsock_connection *connection)
{
	struct vsock *vsock = connection->vsock;
	uint32_t guest_port = connection->guest_port, host_port = connection->host_port;

	forget(connection);
	send_reset(vsock, guest_port, host_port);
}

static void on_request(struct vsock *vsock, const struct packet *packet)
{
	struct vsock_listener *listener = NULL;
	struct vsock_connection *free_slot = NULL;

	for (unsigned i = 0; i < vsock->listener_count; i++)
		if (vsock->listeners[i]->port == packet->dst_port)
			listener = vsock->listeners[i];
	for (unsigned i = 0; i < VSOCK_MAX_CONNECTIONS; i++)
		if (!vsock->connections[i].listener)
			free_slot = &vsock->connections[i];
	if (!listener || !free_slot) {
		send_reset(vsock, packet->src_port, packet->dst_port);
		return;
	}
	*free_slot = (struct vsock_connection){
		.vsock = vsock,
		.listener = listener,
		.context = listener->context,
		.guest_port = packet->src_port,
		.host_port = packet->dst_port,
		.guest_window = packet->buf_alloc,
		.guest_consumed = packet->fwd_cnt,
	};
	/* The response goes out before anything that accept() sends. */
	free_slot->pending = PENDING_RESPONSE;
	if (!listener->accept(listener, free_slot)) {
		forget(free_slot);
		send_reset(vsock, packet->src_port, packet->dst_port);
		return;
	}
	send_pending(free_slot);
}

static void on_data(struct vsock_connection *connection, struct virtq_chain *chain, uint32_t length)
{
	unsigned first = iov_trim_front(chain->iov, chain->out_count, sizeof(struct packet));
	uint32_t under_way = connection->received - connection->consumed;

	if (connection->guest_shutdown & SHUTDOWN_SEND || length > VSOCK_WINDOW - under_way) {
		/* It breaks the protocol: after its own end, or beyond its credit. */
		uint32_t guest_port = connection->guest_port, host_port = connection->host_port;
		struct vsock *vsock = connection->vsock;

		close_by_guest(connection);
		send_reset(vsock, guest_port, host_port);
		return;
	}
	if (length == 0)
		return;
	connection->received += length;
	unsigned count = iov_limit(chain->iov + first, chain->out_count - first, length);

	connection->listener->received(connection, chain->iov + first, count, length);
}

static void on_shutdown(struct vsock_connection *connection, uint32_t flags)
{
	uint8_t news = (uint8_t)(flags & SHUTDOWN_BOTH & ~connection->guest_shutdown);

	connection->guest_shutdown |= news;
	if (news & SHUTDOWN_SEND)
		connection->listener->finished(connection);
	/* Either hook may have closed the connection. */
	if (connection->listener && news & SHUTDOWN_RECEIVE)
		connection->listener->refused(connection);
	if (connection->listener && connection->guest_shutdown == SHUTDOWN_BOTH) {
		uint32_t guest_port = connection->guest_port, host_port = connection->host_port;
		struct vsock *vsock = connection->vsock;

		close_by_guest(connection);
		send_reset(vsock, guest_port, host_port);
	}
}

static void handle_packet(struct vsock *vsock, const struct packet *packet,
			  struct virtq_chain *chain)
{
	struct vsock_connection *connection =
		find_connection(vsock, packet->src_port, packet->dst_port);

	if (packet->op == OP_REQUEST && !connection) {
		on_request(vsock, packet);
		return;
	}
	if (!connection) {
		if (packet->op != OP_RST)
			send_reset(vsock, packet->src_port, packet->dst_port);
		return;
	}
	connection->guest_window = packet->buf_alloc;
	connection->guest_consumed = packet->fwd_cnt;
	switch (packet->op) {
	case OP_RW:
		on_data(connection, chain, packet->length);
		break;
	case OP_SHUTDOWN:
		on_shutdown(connection, packet->flags);
		break;
	case OP_CREDIT_UPDATE:
		break;
	case OP_CREDIT_REQUEST:
		queue_packet(connection, PENDING_CREDIT);
		break;
	default:	/* RST, or what makes no sense here */
		close_by_guest(connection);
		if (packet->op != OP_RST)
			send_reset(vsock, packet->src_port, packet->dst_port);
		return;
	}
	if (connection->blocked && connection->listener && connection->listener->writable)
		connection->listener->writable(connection);
}

static void transmit(struct vsock *vsock)
{
	struct virtqueue *queue = &vsock->device.queues[TX_QUEUE];
	struct virtq_chain chain;
	struct packet packet;

	while (virtqueue_pop(queue, &chain) == 1) {
		bool whole = iov_copy_from(&packet, sizeof(packet), chain.iov, chain.out_count,
					   0) == sizeof(packet);

		if (whole && chain.out_size - sizeof(packet) >= packet.length &&
		    packet.src_cid == VSOCK_GUEST_CID && packet.dst_cid == VSOCK_HOST_CID &&
		    packet.type == TYPE_STREAM)
			handle_packet(vsock, &packet, &chain);
		virtqueue_push(queue, chain.head, 0);
	}
	virtio_flush(&vsock->device, TX_QUEUE);
}

/* The guest has new buffers: first what waits for them, then what has data to send. */
static void receive(struct vsock *vsock)
{
	while (vsock->reset_count) {
		struct packet packet = make_packet(vsock->resets[vsock->reset_count - 1].guest,
						   vsock->resets[vsock->reset_count - 1].host,
						   OP_RST);

		if (!send_bare(vsock, &packet))
			return;
		vsock->reset_count--;
	}
	for (unsigned i = 0; i < VSOCK_MAX_CONNECTIONS; i++) {
		struct vsock_connection *connection = &vsock->connections[i];

		if (!connection->listener)
			continue;
		if (!send_pending(connection))
			return;
		if (connection->blocked && connection->listener->writable)
			connection->listener->writable(connection);
	}
}

static void notify(struct virtio_device *device, unsigned index)
{
	if (index == TX_QUEUE)
		transmit(to_vsock(device));
	else if (index == RX_QUEUE)
		receive(to_vsock(device));
}

static void reset(struct virtio_device *device)
{
	struct vsock *vsock = to_vsock(device);

	vsock->reset_count = 0;
	for (unsigned i = 0; i < VSOCK_MAX_CONNECTIONS; i++)
		if (vsock->connections[i].listener)
			close_by_guest(&vsock->connections[i]);
}

static const struct virtio_class vsock_class = {
	.name = "vsock",
	.id = VIRTIO_ID_VSOCK,
	.queue_count = QUEUES,
	.config_size = sizeof(uint64_t),
	.notify = notify,
	.reset = reset,
};

void vsock_init(struct vsock *vsock)
{
	vsock->device.class = &vsock_class;
	vsock->device.config = &vsock->config;
	vsock->config = VSOCK_GUEST_CID;
	for (unsigned i = 0; i < VSOCK_MAX_CONNECTIONS; i++)
		vsock->connections[i].vsock = vsock;
}

int vsock_listen(struct vsock *vsock, struct vsock_listener *listener)
{
	if (vsock->listener_count == VSOCK_MAX_LISTENERS)
		return -ENOSPC;
	vsock->listeners[vsock->listener_count++] = listener;
	return 0;
}
