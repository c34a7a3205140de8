// sources: stub/mem.c stub/virtio/queue.c stub/virtio/vsock.c
/* The socket device against a guest that keeps to the protocol and one that does not. */
#include <errno.h>

#include "check.h"
#include "fake_guest.h"

#define PORT		1024u
#define OTHER_PORT	1025u
#define CHUNK		(60u << 10)

static struct fake_guest guest;
static struct vsock_listener listener;
static struct vsock_connection *connection;
static struct {
	unsigned	accepted, writable, finished, refused, closed;
	size_t		received;
	uint8_t		first;
	bool		refuse, answer, close_on_data;
} host;
static uint8_t chunk[CHUNK];

static ssize_t fill_hello(void *context, struct iovec *iov, unsigned count)
{
	(void)context;
	return (ssize_t)iov_copy_to(iov, count, 0, "hello", 5);
}

static ssize_t fill_all(void *context, struct iovec *iov, unsigned count)
{
	size_t size = 0;

	(void)context;
	for (unsigned i = 0; i < count; i++) {
		memset(iov[i].iov_base, 'x', iov[i].iov_len);
		size += iov[i].iov_len;
	}
	return (ssize_t)size;
}

static ssize_t fill_nothing(void *context, struct iovec *iov, unsigned count)
{
	(void)iov;
	(void)count;
	return *(ssize_t *)context;
}

static bool on_accept(struct vsock_listener *from, struct vsock_connection *new)
{
	CHECK(from == &listener);
	host.accepted++;
	if (host.refuse)
		return false;
	connection = new;
	if (host.answer)
		vsock_send(new, fill_hello, NULL);
	return true;
}

static void on_received(struct vsock_connection *from, struct iovec *iov, unsigned count,
			size_t size)
{
	size_t total = 0;

	for (unsigned i = 0; i < count; i++)
		total += iov[i].iov_len;
	CHECK_INT(total, size);
	iov_copy_from(&host.first, 1, iov, count, 0);
	host.received += size;
	if (host.close_on_data)
		vsock_close(from);
}

static void on_writable(struct vsock_connection *on)
{
	host.writable++;
	if (host.answer)
		vsock_send(on, fill_hello, NULL);
}

static void on_finished(struct vsock_connection *on)
{
	(void)on;
	host.finished++;
}

static void on_refused(struct vsock_connection *on)
{
	(void)on;
	host.refused++;
}

static void on_closed(struct vsock_connection *on)
{
	CHECK(on == connection || host.accepted > 1);
	host.closed++;
}

static void open_listening(void)
{
	guest_open(&guest);
	memset(&host, 0, sizeof(host));
	listener = (struct vsock_listener){
		.port = PORT, .accept = on_accept, .received = on_received,
		.writable = on_writable, .finished = on_finished, .refused = on_refused,
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

static void test_connect(void)
{
	open_connected();
	CHECK_INT(host.accepted, 1);
	CHECK_INT(guest.packet.src_cid, VSOCK_HOST_CID);
	CHECK_INT(guest.packet.dst_cid, VSOCK_GUEST_CID);
	CHECK_INT(guest.packet.src_port, PORT);
	CHECK_INT(guest.packet.dst_port, GUEST_PORT);
	CHECK_INT(guest.packet.type, 1);
	CHECK_INT(guest.packet.length, 0);
	CHECK_INT(guest.packet.buf_alloc, VSOCK_WINDOW);
	CHECK_INT(guest_receive(&guest), 0);
	guest_close(&guest);
}

static void test_nobody_listens(void)
{
	open_listening();
	guest_post(&guest, 4);
	guest_say(&guest, OTHER_PORT, OP_REQUEST);
	CHECK_INT(guest_receive(&guest), OP_RST);
	CHECK_INT(guest.packet.src_port, OTHER_PORT);
	guest_send(&guest, PORT, "x", 1);	/* no such connection */
	CHECK_INT(guest_receive(&guest), OP_RST);
	guest_say(&guest, PORT, OP_RST);	/* a reset is never answered */
	CHECK_INT(guest_receive(&guest), 0);
	host.refuse = true;
	guest_say(&guest, PORT, OP_REQUEST);
	CHECK_INT(guest_receive(&guest), OP_RST);
	CHECK_INT(host.closed, 0);
	guest_close(&guest);
}

static void test_data_both_ways(void)
{
	open_connected();
	guest_send(&guest, PORT, "abc", 3);
	CHECK_INT(host.received, 3);
	CHECK_INT(host.first, 'a');
	CHECK_INT(vsock_send(connection, fill_hello, NULL), 5);
	CHECK_INT(guest_receive(&guest), OP_RW);
	CHECK_INT(guest.packet.length, 5);
	CHECK_MEM(guest.data, "hello", 5);
	guest_send(&guest, PORT, NULL, 0);	/* empty packets carry nothing */
	CHECK_INT(host.received, 3);
	CHECK_INT(host.closed, 0);
	guest_close(&guest);
}

static void test_fill_decides(void)
{
	ssize_t result = 0;

	open_connected();
	CHECK_INT(vsock_send(connection, fill_nothing, &result), 0);
	result = -EIO;
	CHECK_INT(vsock_send(connection, fill_nothing, &result), -EIO);
	CHECK(!connection->blocked);
	CHECK_INT(guest_receive(&guest), 0);	/* the buffer was not used up */
	CHECK_INT(vsock_send(connection, fill_hello, NULL), 5);
	CHECK_INT(guest_receive(&guest), OP_RW);
	guest_close(&guest);
}

static void test_guest_credit(void)
{
	open_listening();
	guest.window = 7;
	guest_post(&guest, GUEST_QUEUE_SIZE);
	guest_say(&guest, PORT, OP_REQUEST);
	CHECK_INT(vsock_send(connection, fill_all, NULL), 7);
	CHECK_INT(vsock_send(connection, fill_all, NULL), -EAGAIN);
	CHECK(connection->blocked);
	guest.consumed = 4;
	guest_say(&guest, PORT, OP_CREDIT_UPDATE);
	CHECK_INT(host.writable, 1);
	CHECK_INT(vsock_send(connection, fill_all, NULL), 4);
	guest.window = 2;	/* less than what is under way */
	guest_say(&guest, PORT, OP_CREDIT_UPDATE);
	CHECK_INT(vsock_send(connection, fill_all, NULL), -EAGAIN);
	guest.consumed = 100;	/* more than was ever sent */
	guest_say(&guest, PORT, OP_CREDIT_UPDATE);
	CHECK_INT(vsock_send(connection, fill_all, NULL), -EAGAIN);
	guest_close(&guest);
}

static void test_our_credit(void)
{
	open_connected();
	for (uint32_t sent = 0; sent + CHUNK <= VSOCK_WINDOW; sent += CHUNK)
		guest_send(&guest, PORT, chunk, CHUNK);
	CHECK_INT(guest_receive(&guest), 0);
	vsock_consumed(connection, CHUNK);	/* less than a quarter of the window: not worth telling */
	CHECK_INT(guest_receive(&guest), 0);
	vsock_consumed(connection, CHUNK);
	CHECK_INT(guest_receive(&guest), OP_CREDIT_UPDATE);
	CHECK_INT(guest.packet.fwd_cnt, 2 * CHUNK);
	guest_say(&guest, PORT, OP_CREDIT_REQUEST);
	CHECK_INT(guest_receive(&guest), OP_CREDIT_UPDATE);
	CHECK_INT(host.closed, 0);
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

static void test_shutdown_halves(void)
{
	open_connected();
	guest_shut_down(&guest, PORT, SHUTDOWN_SEND);
	CHECK_INT(host.finished, 1);
	CHECK_INT(vsock_send(connection, fill_hello, NULL), 5);
	CHECK_INT(guest_receive(&guest), OP_RW);
	guest_shut_down(&guest, PORT, SHUTDOWN_SEND);
	CHECK_INT(host.finished, 1);
	guest_shut_down(&guest, PORT, SHUTDOWN_RECEIVE);
	CHECK_INT(host.refused, 1);
	CHECK_INT(host.closed, 1);
	CHECK_INT(guest_receive(&guest), OP_RST);
	guest_close(&guest);

	open_connected();
	guest_shut_down(&guest, PORT, SHUTDOWN_RECEIVE);
	CHECK_INT(host.refused, 1);
	CHECK_INT(vsock_send(connection, fill_hello, NULL), -EPIPE);
	guest_send(&guest, PORT, "abc", 3);
	CHECK_INT(host.received, 3);
	guest_shut_down(&guest, PORT, SHUTDOWN_SEND);
	CHECK_INT(host.closed, 1);
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

static void test_our_end(void)
{
	open_connected();
	vsock_finish(connection);
	CHECK_INT(guest_receive(&guest), OP_SHUTDOWN);
	CHECK_INT(guest.packet.flags, SHUTDOWN_SEND);
	vsock_finish(connection);
	CHECK_INT(guest_receive(&guest), 0);
	CHECK_INT(vsock_send(connection, fill_hello, NULL), -EPIPE);
	vsock_close(connection);
	CHECK_INT(guest_receive(&guest), OP_RST);
	CHECK_INT(host.closed, 0);
	guest_close(&guest);
}

static void test_pending_without_buffers(void)
{
	open_listening();
	host.answer = true;
	guest_say(&guest, PORT, OP_REQUEST);
	guest_say(&guest, PORT, OP_CREDIT_REQUEST);
	vsock_finish(connection);
	CHECK_INT(guest_receive(&guest), 0);
	connection->our_shutdown = 0;	/* what waits goes out first, whatever comes behind it */
	guest_post(&guest, 1);
	CHECK_INT(guest_receive(&guest), OP_RESPONSE);
	CHECK_INT(guest_receive(&guest), 0);
	guest_post(&guest, 3);
	CHECK_INT(guest_receive(&guest), OP_CREDIT_UPDATE);
	CHECK_INT(guest_receive(&guest), OP_SHUTDOWN);
	CHECK_INT(guest_receive(&guest), OP_RW);
	guest_close(&guest);
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
	packet = guest_packet(&guest, PORT, OP_RW);
	packet.src_cid = 7;
	guest_transmit(&guest, &packet, NULL, 0);
	packet = guest_packet(&guest, PORT, OP_RW);
	packet.dst_cid = 1;
	guest_transmit(&guest, &packet, NULL, 0);
	packet = guest_packet(&guest, PORT, OP_RW);
	packet.type = 2;
	guest_transmit(&guest, &packet, NULL, 0);
	packet = guest_packet(&guest, PORT, OP_RW);
	packet.length = UINT32_MAX;	/* more than there is */
	guest_transmit(&guest, &packet, "x", 1);
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

static void test_device_reset(void)
{
	open_connected();
	guest_say(&guest, OTHER_PORT, OP_REQUEST);
	guest.vsock.device.class->reset(&guest.vsock.device);
	CHECK_INT(host.closed, 1);
	CHECK_INT(guest_receive(&guest), OP_RST);	/* sent before */
	guest_send(&guest, PORT, "x", 1);
	CHECK_INT(host.received, 0);
	CHECK_INT(guest_receive(&guest), OP_RST);
	guest_say(&guest, PORT, OP_REQUEST);
	CHECK_INT(guest_receive(&guest), OP_RESPONSE);
	guest_close(&guest);
}

static void test_closed_while_receiving(void)
{
	open_connected();
	host.close_on_data = true;
	guest_send(&guest, PORT, "x", 1);
	CHECK_INT(guest_receive(&guest), OP_RST);
	CHECK_INT(host.closed, 0);
	guest_send(&guest, PORT, "x", 1);
	CHECK_INT(host.received, 1);
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

int main(void)
{
	CHECK_RUN(test_connect);
	CHECK_RUN(test_nobody_listens);
	CHECK_RUN(test_data_both_ways);
	CHECK_RUN(test_fill_decides);
	CHECK_RUN(test_guest_credit);
	CHECK_RUN(test_our_credit);
	CHECK_RUN(test_more_than_our_window);
	CHECK_RUN(test_shutdown_halves);
	CHECK_RUN(test_data_after_the_end);
	CHECK_RUN(test_our_end);
	CHECK_RUN(test_pending_without_buffers);
	CHECK_RUN(test_resets_without_buffers);
	CHECK_RUN(test_hostile_packets);
	CHECK_RUN(test_nonsense_ends_the_connection);
	CHECK_RUN(test_odd_receive_buffers);
	CHECK_RUN(test_many_connections);
	CHECK_RUN(test_device_reset);
	CHECK_RUN(test_closed_while_receiving);
	CHECK_RUN(test_listeners_are_bounded);
	return check_report();
}
