// sources: stub/mem.c stub/virtio/queue.c stub/virtio/vsock.c stub/stream.c stub/host/linux_loop.c stub/host/linux_stdstream.c
/* Standard streams between pipes of the host and a guest's connection. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "check.h"
#include "fake_guest.h"
#include "fake_turns.h"
#include "stream.h"

#define PORT		1026u
#define CHUNK		(32u << 10)
#define FILE_SIZE	(200u << 10)

static struct fake_guest guest;
static struct loop loop;
static struct stream stream;
static int host_end, stream_end;	/* of the pipe */
static unsigned drained_calls;
static uint8_t chunk[CHUNK], bytes[VSOCK_WINDOW];

static void on_drained(struct stream *which)
{
	CHECK(stream_is_drained(which));
	drained_calls++;
}

static void open_stream(int in_fd, int out_fd)
{
	drained_calls = 0;
	stream = (struct stream){ .drained = on_drained };
	guest_open(&guest);
	CHECK_INT(loop_init(&loop), 0);
	CHECK_INT(stream_init(&stream, &loop, &guest.vsock, PORT, in_fd, out_fd), 0);
}

static void connect_guest(void)
{
	guest_post(&guest, GUEST_QUEUE_SIZE);
	guest_say(&guest, PORT, OP_REQUEST);
	CHECK_INT(guest_receive(&guest), OP_RESPONSE);
}

static void open_input(void)
{
	int ends[2];

	CHECK_INT(pipe(ends), 0);
	stream_end = ends[0];
	host_end = ends[1];
	open_stream(stream_end, -1);
	connect_guest();
}

static void open_output(void)
{
	int ends[2];

	CHECK_INT(pipe(ends), 0);
	host_end = ends[0];
	stream_end = ends[1];
	CHECK_INT(fcntl(host_end, F_SETFL, O_NONBLOCK), 0);
	open_stream(-1, stream_end);
	/* small, whatever was made of it: a few pieces have to fill it */
	CHECK(fcntl(host_end, F_SETPIPE_SZ, 2 * CHUNK) > 0);
	connect_guest();
}

static void close_stream(void)
{
	if (stream.in_fd >= 0 && stream.in.fd != stream.in_fd)
		close(stream.in.fd);
	if (stream.out_fd >= 0 && stream.out.fd != stream.out_fd)
		close(stream.out.fd);
	if (stream.backlog)
		munmap(stream.backlog, VSOCK_WINDOW);
	close(loop.poll_fd);
	close(loop.wake_fd);
	close(host_end);
	close(stream_end);
	guest_close(&guest);
}

/* The next packet that is no word about credit. */
static int receive_news(void)
{
	int op;

	do {
		op = guest_receive(&guest);
	} while (op == OP_CREDIT_UPDATE);
	return op;
}

static void test_input_to_its_end(void)
{
	open_input();
	CHECK_INT(write(host_end, "hello", 5), 5);
	turns_run(&loop);
	CHECK_INT(guest_receive(&guest), OP_RW);
	CHECK_INT(guest.packet.length, 5);
	CHECK_MEM(guest.data, "hello", 5);
	CHECK_INT(guest_receive(&guest), 0);
	close(host_end);
	turns_run(&loop);
	CHECK_INT(guest_receive(&guest), OP_SHUTDOWN);
	CHECK_INT(guest.packet.flags, SHUTDOWN_SEND);
	close_stream();
}

static void test_input_waits_for_the_guest(void)
{
	int left;

	open_input();
	guest.window = 10;
	guest_say(&guest, PORT, OP_CREDIT_UPDATE);
	CHECK_INT(write(host_end, "0123456789abcdef", 16), 16);
	turns_run(&loop);
	CHECK_INT(guest_receive(&guest), OP_RW);
	CHECK_INT(guest.packet.length, 10);
	CHECK_INT(stream.in_source.events, 0);	/* nobody polls for what cannot be taken */
	CHECK_INT(read(stream_end, chunk, 1), 1);	/* the rest is still in the pipe */
	CHECK_INT(chunk[0], 'a');
	guest.consumed = 10;
	guest_say(&guest, PORT, OP_CREDIT_UPDATE);
	CHECK_INT(guest_receive(&guest), OP_RW);
	CHECK_MEM(guest.data, "bcdef", 5);
	left = guest_receive(&guest);
	CHECK_INT(left, 0);
	close_stream();
}

static void test_guest_stops_reading(void)
{
	open_input();
	guest_shut_down(&guest, PORT, SHUTDOWN_RECEIVE);
	CHECK(stream.in_ended);
	/* Who writes is told, as when a local process closes its input. */
	CHECK_INT(write(host_end, "x", 1), -1);
	CHECK_INT(errno, EPIPE);
	CHECK_INT(guest_receive(&guest), 0);
	close_stream();
}

static void test_paused_input(void)
{
	open_input();
	stream_pause_input(&stream, true);
	CHECK_INT(write(host_end, "x", 1), 1);
	turns_run(&loop);
	guest_say(&guest, PORT, OP_CREDIT_UPDATE);
	CHECK_INT(guest_receive(&guest), 0);
	stream_pause_input(&stream, false);
	CHECK_INT(guest_receive(&guest), OP_RW);
	CHECK_INT(write(host_end, "y", 1), 1);
	turns_run(&loop);
	CHECK_INT(guest_receive(&guest), OP_RW);
	close_stream();
}

/* Longer than the buffers that the guest offers at a time. */
static void test_regular_file(void)
{
	uint32_t got = 0;
	int op;

	stream_end = memfd_create("stdin", 0);
	host_end = dup(stream_end);
	for (uint32_t i = 0; i < FILE_SIZE; i += CHUNK) {
		memset(chunk, (int)(i / CHUNK), CHUNK);
		CHECK_INT(write(host_end, chunk, CHUNK), CHUNK);
	}
	uint32_t size = (uint32_t)lseek(host_end, 0, SEEK_CUR);

	lseek(host_end, 0, SEEK_SET);
	open_stream(stream_end, -1);
	connect_guest();
	while ((op = guest_receive(&guest)) == OP_RW) {
		CHECK_INT(guest.data[0], got / CHUNK);
		got += guest.packet.length;
		guest.consumed = got;
		guest_post(&guest, 1);
	}
	CHECK_INT(op, OP_SHUTDOWN);
	CHECK_INT(got, size);
	CHECK(!loop.always_ready);
	close_stream();
}

static void test_output_to_its_end(void)
{
	open_output();
	guest_send(&guest, PORT, "hello", 5);
	CHECK_INT(read(host_end, chunk, CHUNK), 5);
	CHECK_MEM(chunk, "hello", 5);
	CHECK_INT(drained_calls, 0);
	guest_shut_down(&guest, PORT, SHUTDOWN_SEND);
	CHECK(stream.out_finished);
	CHECK_INT(drained_calls, 1);
	CHECK_INT(stream.out_fd, -1);
	close(stream_end);	/* ours: the stream must hold no other */
	CHECK_INT(read(host_end, chunk, CHUNK), 0);
	close_stream();
}

/* A reader that reads nothing, then in odd portions: all bytes come, in order, none too many wait. */
static void test_back_pressure(void)
{
	uint32_t room = VSOCK_WINDOW, consumed = 0, sent = 0;
	uint8_t next = 0;
	ssize_t got;

	open_output();
	for (unsigned round = 0; round < 200; round++) {
		while (room >= CHUNK - round) {
			for (uint32_t i = 0; i < CHUNK - round; i++)
				chunk[i] = (uint8_t)(sent + i);
			guest_send(&guest, PORT, chunk, CHUNK - round);
			sent += CHUNK - round;
			room -= CHUNK - round;
		}
		REQUIRE(stream.connection != NULL && stream.backlog_size <= VSOCK_WINDOW);
		got = read(host_end, bytes, 40000 + round * 11);
		for (ssize_t i = 0; i < got; i++)
			if (bytes[i] != next++)
				REQUIRE(!"bytes in order");
		turns_run(&loop);
		while (guest_receive(&guest)) {
			CHECK_INT(guest.packet.op, OP_CREDIT_UPDATE);
			room += guest.packet.fwd_cnt - consumed;
			consumed = guest.packet.fwd_cnt;
			guest_post(&guest, 1);
		}
	}
	CHECK(sent > 8 * VSOCK_WINDOW);
	guest_shut_down(&guest, PORT, SHUTDOWN_SEND | SHUTDOWN_RECEIVE);
	while ((got = read(host_end, bytes, sizeof(bytes))) > 0) {
		turns_run(&loop);
		next = (uint8_t)(next + got);
	}
	CHECK_INT(next, (uint8_t)sent);
	CHECK_INT(stream.out_fd, -1);
	close_stream();
}

static void test_reader_is_gone(void)
{
	open_output();
	close(host_end);
	guest_send(&guest, PORT, "x", 1);
	CHECK_INT(guest_receive(&guest), OP_RST);
	CHECK(stream.out_finished);
	CHECK(drained_calls > 0);
	close_stream();

	open_output();	/* likewise while bytes wait for it */
	for (unsigned i = 0; i < VSOCK_WINDOW / CHUNK; i++)
		guest_send(&guest, PORT, chunk, CHUNK);
	CHECK(stream.backlog_size > 0);
	close(host_end);
	turns_run(&loop);
	CHECK_INT(receive_news(), OP_RST);
	CHECK(stream_is_drained(&stream));
	CHECK(drained_calls > 0);
	close_stream();
}

/* Each connection has credit of its own: a second one would overrun what is kept. */
static void test_guest_connects_again(void)
{
	open_output();
	for (unsigned i = 0; i < VSOCK_WINDOW / CHUNK; i++)
		guest_send(&guest, PORT, chunk, CHUNK);
	CHECK(stream.backlog_size > 0);
	guest_say(&guest, PORT, OP_RST);
	guest_say(&guest, PORT, OP_REQUEST);
	CHECK_INT(receive_news(), OP_RST);
	guest_say(&guest, PORT, OP_REQUEST);
	for (unsigned i = 0; i < VSOCK_WINDOW / CHUNK; i++)
		guest_send(&guest, PORT, chunk, CHUNK);
	CHECK(stream.backlog_size <= VSOCK_WINDOW);
	close_stream();
}

static void test_second_connection(void)
{
	struct guest_packet packet;

	open_output();
	packet = guest_packet(&guest, PORT, OP_REQUEST);
	packet.src_port++;
	guest_transmit(&guest, &packet, NULL, 0);
	CHECK_INT(guest_receive(&guest), OP_RST);
	guest_send(&guest, PORT, "x", 1);
	CHECK_INT(read(host_end, chunk, CHUNK), 1);
	close_stream();
}

/* An empty packet in as many descriptors as a request can have: there is nothing to write. */
static void test_empty_packet(void)
{
	open_output();
	stream.out.kind = HOST_STREAM_SHARED;
	guest_send(&guest, PORT, "x", 1);
	struct guest_packet packet = guest_packet(&guest, PORT, OP_RW);

	guest_transmit(&guest, &packet, "stray", 5);
	CHECK_INT(read(host_end, chunk, CHUNK), 1);
	CHECK(stream.connection && stream.connection->consumed <= stream.connection->received);
	close_stream();
}

/* A terminal's stream: both directions on one connection, here a socket. */
static void test_both_directions(void)
{
	int ends[2];

	CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	host_end = ends[0];
	stream_end = ends[1];
	open_stream(stream_end, dup(stream_end));
	connect_guest();
	CHECK_INT(write(host_end, "in", 2), 2);
	turns_run(&loop);
	CHECK_INT(guest_receive(&guest), OP_RW);
	guest_send(&guest, PORT, "out", 3);
	CHECK_INT(read(host_end, chunk, CHUNK), 3);
	guest_say(&guest, PORT, OP_RST);
	CHECK(stream.in_ended);
	CHECK(stream.out_finished);
	CHECK(drained_calls > 0);
	close(stream.out_fd);
	close_stream();
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	CHECK_RUN(test_input_to_its_end);
	CHECK_RUN(test_input_waits_for_the_guest);
	CHECK_RUN(test_guest_stops_reading);
	CHECK_RUN(test_paused_input);
	CHECK_RUN(test_regular_file);
	CHECK_RUN(test_output_to_its_end);
	CHECK_RUN(test_back_pressure);
	CHECK_RUN(test_reader_is_gone);
	CHECK_RUN(test_guest_connects_again);
	CHECK_RUN(test_second_connection);
	CHECK_RUN(test_empty_packet);
	CHECK_RUN(test_both_directions);
	return check_report();
}
