// sources: stub/mem.c stub/virtio/queue.c stub/virtio/vsock.c
/* The socket device against a guest that keeps to the protocol; vsock_hostile_test.c has the other. */
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
	CHECK(on == connection);
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
	for (unsigned i = 0; i < 2 * GUEST_QUEUE_SIZE; i++)
		CHECK_INT(vsock_send(connection, fill_nothing, &result), 0);
	result = -EIO;
	CHECK_INT(vsock_send(connection, fill_nothing, &result), -EIO);
	CHECK(!connection->blocked);
	CHECK_INT(guest_receive(&guest), 0);	/* no buffer was used up */
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
	guest.window = 10;
	guest_say(&guest, PORT, OP_CREDIT_UPDATE);
	CHECK_INT(vsock_send(connection, fill_all, NULL), 3);
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

int main(void)
{
	CHECK_RUN(test_connect);
	CHECK_RUN(test_nobody_listens);
	CHECK_RUN(test_data_both_ways);
	CHECK_RUN(test_fill_decides);
	CHECK_RUN(test_guest_credit);
	CHECK_RUN(test_our_credit);
	CHECK_RUN(test_shutdown_halves);
	CHECK_RUN(test_our_end);
	CHECK_RUN(test_pending_without_buffers);
	CHECK_RUN(test_device_reset);
	CHECK_RUN(test_closed_while_receiving);
	return check_report();
}
