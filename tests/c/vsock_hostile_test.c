// sources: stub/mem.c stub/virtio/queue.c stub/virtio/vsock.c
/* The socket device against a guest that breaks the protocol: it loses its connection, no more. */
#include <errno.h>

#include "check.h"
#include "fake_guest.h"
#include "next_random.h"

#define PORT		1024u
#define OTHER_PORT	1025u
#define CHUNK		(60u << 10)
#define RANDOM_PACKETS	100000

static struct fake_guest guest;
static struct vsock_listener listener;
static struct vsock_connection *connection;
static struct {
	unsigned	accepted, closed;
	size_t		received;
	bool		talkative;	/* consumes and sends whenever it can */
} host;
static uint8_t chunk[CHUNK];

static ssize_t fill_hello(void *context, struct iovec *iov, unsigned count)
{
	(void)context;
	return (ssize_t)iov_copy_to(iov, count, 0, "hello", 5);
}

static bool on_accept(struct vsock_listener *from, struct vsock_connection *new)
{
	(void)from;
	host.accepted++;
	connection = new;
	return true;
}

static void on_received(struct vsock_connection *from, struct iovec *iov, unsigned count,
			size_t size)
{
	size_t total = 0;

	for (unsigned i = 0; i < count; i++)
		total += iov[i].iov_len;
	CHECK_INT(total, size);
	host.received += size;
	if (host.talkative) {
		vsock_consumed(from, size);
		vsock_send(from, fill_hello, NULL);
	}
}

static void on_event(struct vsock_connection *on)
{
	if (host.talkative)
		vsock_send(on, fill_hello, NULL);
}

static void on_closed(struct vsock_connection *on)
{
	CHECK(on->listener == &listener);
	host.closed++;
}

static void open_listening(void)
{
	guest_open(&guest);
	memset(&host, 0, sizeof(host));
	listener = (struct vsock_listener){
		.port = PORT, .accept = on_accept, .received = on_received,
		.writable = on_event, .finished = on_event, .refused = on_event,
		.closed = on_closed,
	};
	CHECK_INT(vsock_listen(&guest.vsock, &listener), 0);
}

static void open_connected(void)
{
	open_listening();
	guest_post(&guest, GUEST_QUEUE_SIZE);
	guest_say(&guest, PORT, OP_REQUEST);
	CHECK_INT(guest_receive(&guest), OP_RESPONSE);
}

static void test_resets_without_buffers(void)
{
	unsigned resets = 0;

	open_listening();
	for (unsigned i = 0; i < 2 * VSOCK_MAX_RESETS; i++)
		guest_say(&guest, OTHER_PORT, OP_REQUEST);
	CHECK_INT(guest.vsock.reset_count, VSOCK_MAX_RESETS);
	guest_post(&guest, GUEST_QUEUE_SIZE);
	while (guest_receive(&guest) == OP_RST)
		resets++;
	CHECK_INT(resets, VSOCK_MAX_RESETS);
	guest_close(&guest);
}

/* None of these is answered, none reaches the host, and the device goes on. */
static void test_hostile_packets(void)
{
	struct guest_packet packet;
	struct driver_used element;

	open_connected();
	for (unsigned defect = 0; defect < 4; defect++) {
		packet = guest_packet(&guest, PORT, OP_RW);
		packet.length = 1;
		if (defect == 0)
			packet.src_cid = 7;
		else if (defect == 1)
			packet.dst_cid = 1;
		else if (defect == 2)
			packet.type = 2;
		else
			packet.length = UINT32_MAX;	/* more than there is */
		guest_transmit(&guest, &packet, "x", 1);
	}
	for (uint32_t size = 0; size < sizeof(packet); size++) {
		driver_describe(&guest.tx, 0, DRIVER_BUFFERS, size, 0, 0);
		driver_submit(&guest.tx, 0);
		guest_notify(&guest, GUEST_TX);
		CHECK_INT(driver_collect(&guest.tx, &element), 1);
	}
	CHECK_INT(host.received, 0);
	CHECK_INT(guest_receive(&guest), 0);
	guest_send(&guest, PORT, "abc", 3);
	CHECK_INT(host.received, 3);
	guest_close(&guest);
}

static void test_nonsense_ends_the_connection(void)
{
	static const uint16_t ops[] = { 0, OP_REQUEST, OP_RESPONSE, 8, UINT16_MAX };

	for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		open_connected();
		guest_say(&guest, PORT, ops[i]);
		CHECK_INT(host.closed, 1);
		CHECK_INT(guest_receive(&guest), OP_RST);
		guest_close(&guest);
	}
}

/* Buffers that cannot take a header come back empty; a header may be split. */
static void test_odd_receive_buffers(void)
{
	struct driver_used element;

	open_listening();
	guest_say(&guest, PORT, OP_REQUEST);
	driver_describe(&guest.rx, 0, DRIVER_BUFFERS, 43, DESC_WRITE, 0);
	driver_describe(&guest.rx, 1, DRIVER_BUFFERS, 64, 0, 0);
	driver_submit(&guest.rx, 0);
	driver_submit(&guest.rx, 1);
	guest_notify(&guest, GUEST_RX);
	for (unsigned i = 0; i < 2; i++) {
		CHECK_INT(driver_collect(&guest.rx, &element), 1);
		CHECK_INT(element.length, 0);
	}
	driver_describe(&guest.rx, 2, DRIVER_BUFFERS, 10, DESC_WRITE | DESC_NEXT, 3);
	driver_describe(&guest.rx, 3, DRIVER_BUFFERS + 10, 100, DESC_WRITE, 0);
	driver_submit(&guest.rx, 2);
	guest_notify(&guest, GUEST_RX);
	CHECK_INT(driver_collect(&guest.rx, &element), 1);
	CHECK_INT(element.length, sizeof(struct guest_packet));
	driver_submit(&guest.rx, 2);
	CHECK_INT(vsock_send(connection, fill_hello, NULL), 5);
	CHECK_INT(driver_collect(&guest.rx, &element), 1);
	CHECK_MEM(driver_at(&guest.rx, DRIVER_BUFFERS + sizeof(struct guest_packet)), "hello", 5);
	guest_close(&guest);
}

static void test_many_connections(void)
{
	struct guest_packet packet;
	unsigned refused = 0;

	open_listening();
	guest_post(&guest, GUEST_QUEUE_SIZE);
	for (unsigned i = 0; i < VSOCK_MAX_CONNECTIONS + 4; i++) {
		packet = guest_packet(&guest, PORT, OP_REQUEST);
		packet.src_port = GUEST_PORT + i;
		guest_transmit(&guest, &packet, NULL, 0);
		refused += guest_receive(&guest) == OP_RST;
	}
	CHECK_INT(host.accepted, VSOCK_MAX_CONNECTIONS);
	CHECK_INT(refused, 4);
	packet = guest_packet(&guest, PORT, OP_RST);
	packet.src_port = GUEST_PORT + 3;
	guest_transmit(&guest, &packet, NULL, 0);
	CHECK_INT(host.closed, 1);
	packet.op = OP_REQUEST;	/* its place is free again */
	guest_transmit(&guest, &packet, NULL, 0);
	CHECK_INT(guest_receive(&guest), OP_RESPONSE);
	guest_close(&guest);
}

static void test_listeners_are_bounded(void)
{
	open_listening();
	for (unsigned i = 1; i < VSOCK_MAX_LISTENERS; i++)
		CHECK_INT(vsock_listen(&guest.vsock, &listener), 0);
	CHECK_INT(vsock_listen(&guest.vsock, &listener), -ENOSPC);
	guest_close(&guest);
}

static void test_more_than_our_window(void)
{
	size_t whole = VSOCK_WINDOW / CHUNK * CHUNK;

	open_connected();
	for (size_t sent = 0; sent < whole; sent += CHUNK)
		guest_send(&guest, PORT, chunk, CHUNK);
	guest_send(&guest, PORT, chunk, (uint32_t)(VSOCK_WINDOW - whole));
	CHECK_INT(host.received, VSOCK_WINDOW);
	CHECK_INT(host.closed, 0);
	guest_send(&guest, PORT, chunk, 1);
	CHECK_INT(host.received, VSOCK_WINDOW);
	CHECK_INT(host.closed, 1);
	CHECK_INT(guest_receive(&guest), OP_RST);
	guest_close(&guest);
}

static void test_data_after_the_end(void)
{
	open_connected();
	guest_shut_down(&guest, PORT, SHUTDOWN_SEND);
	guest_send(&guest, PORT, "x", 1);
	CHECK_INT(host.received, 0);
	CHECK_INT(host.closed, 1);
	CHECK_INT(guest_receive(&guest), OP_RST);
	guest_close(&guest);
}

/* Never more under way than was promised, never more connections than there are. */
static void check_invariants(void)
{
	for (unsigned i = 0; i < VSOCK_MAX_CONNECTIONS; i++) {
		const struct vsock_connection *at = &guest.vsock.connections[i];

		if (at->listener)
			CHECK(at->received - at->consumed <= VSOCK_WINDOW);
	}
	CHECK(guest.vsock.reset_count <= VSOCK_MAX_RESETS);
	CHECK(!guest.vsock.device.queues[GUEST_TX].broken);
	CHECK(!guest.vsock.device.queues[GUEST_RX].broken);
}

/* Packets of all kinds on few ports, buffers sometimes there and sometimes not. */
static void test_random_packets(void)
{
	unsigned posted = 0;

	open_listening();
	host.talkative = true;
	for (unsigned round = 0; round < RANDOM_PACKETS; round++) {
		struct guest_packet packet =
			guest_packet(&guest, PORT + (next_random() % 16 == 0), next_random() % 9);
		uint32_t size = next_random() % 4 ? next_random() % 100 : next_random() % CHUNK;

		packet.src_port += next_random() % (VSOCK_MAX_CONNECTIONS + 2);
		packet.length = next_random() % 8 ? size : next_random();
		packet.flags = next_random() % 4;
		packet.buf_alloc = next_random() % 2 ? 1u << 20 : next_random() % 64;
		packet.fwd_cnt = next_random() % 2 ? 0 : next_random();
		guest_transmit(&guest, &packet, chunk, size);
		while (guest_receive(&guest))
			posted--;
		if (next_random() % 8 == 0 && posted < GUEST_QUEUE_SIZE / 2) {
			guest_post(&guest, GUEST_QUEUE_SIZE / 2);
			posted += GUEST_QUEUE_SIZE / 2;
		}
		check_invariants();
	}
	CHECK(host.accepted > VSOCK_MAX_CONNECTIONS && host.received > 0 && host.closed > 0);
	guest_close(&guest);
}

int main(void)
{
	CHECK_RUN(test_resets_without_buffers);
	CHECK_RUN(test_hostile_packets);
	CHECK_RUN(test_nonsense_ends_the_connection);
	CHECK_RUN(test_odd_receive_buffers);
	CHECK_RUN(test_many_connections);
	CHECK_RUN(test_listeners_are_bounded);
	CHECK_RUN(test_more_than_our_window);
	CHECK_RUN(test_data_after_the_end);
	CHECK_RUN(test_random_packets);
	return check_report();
}
