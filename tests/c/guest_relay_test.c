/* Relays and streams between sockets and pipes: end of file, half-close, back-pressure. */
#include "check.h"
#include "guest_channel.h"
#include "relay.h"
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct stream stream;
static int program;	/* the program's end of the pipe */
static int launcher;	/* the launcher's end of the connection */

static void open_stream(enum proto_port port)
{
	int listener = guest_channel_listen(port);
	struct error error;

	program = stream_open_pipe(&stream, port, &error);
	launcher = accept(listener, NULL, NULL);
	fcntl(launcher, F_SETFL, O_NONBLOCK);
	fcntl(program, F_SETFL, O_NONBLOCK);
	close(listener);
}

static void close_ends(void)
{
	stream_close(&stream);
	close(launcher);
	close(program);
}

/* One turn of an event loop that waits for nothing; returns poll's count, or -1 at the end. */
static int turn(void)
{
	struct pollfd polled[2];
	int ready;

	stream_prepare(&stream, polled);
	ready = poll(polled, 2, 0);
	if (!stream_service(&stream, polled))
		return ready;
	stream_close(&stream);
	return -1;
}

static bool is_open(void)
{
	return stream.connection >= 0;
}

static int read_byte(int fd)
{
	char byte;
	ssize_t got = read(fd, &byte, 1);

	return got > 0 ? byte : got < 0 ? -errno : 0;
}

static void test_input(void)
{
	open_stream(PROTO_PORT_STDIN);
	CHECK_INT(turn(), 0);
	CHECK_INT(write(launcher, "x", 1), 1);
	CHECK_INT(turn(), 1);
	CHECK_INT(read_byte(program), 'x');
	CHECK_INT(read_byte(program), -EAGAIN);
	shutdown(launcher, SHUT_WR);
	CHECK_INT(turn(), -1);
	CHECK_INT(read_byte(program), 0);
	close_ends();
}

static void test_program_stops_reading(void)
{
	open_stream(PROTO_PORT_STDIN);
	CHECK_INT(turn(), 0);
	close(program);
	CHECK_INT(turn(), -1);
	CHECK_INT(write(launcher, "x", 1), -1);
	CHECK_INT(errno, EPIPE);
	close_ends();
}

static void test_output_to_its_end(void)
{
	open_stream(PROTO_PORT_STDOUT);
	CHECK_INT(write(program, "x", 1), 1);
	close(program);
	while (turn() >= 0)
		;
	CHECK_INT(read_byte(launcher), 'x');
	CHECK_INT(read_byte(launcher), 0);
	close_ends();
}

/* Without anything to write: `yes | head` and a silent `sleep | true` alike. */
static void test_launcher_stops_reading(void)
{
	open_stream(PROTO_PORT_STDERR);
	CHECK_INT(turn(), 0);
	close(launcher);
	CHECK_INT(turn(), -1);
	CHECK_INT(write(program, "x", 1), -1);
	CHECK_INT(errno, EPIPE);
	close_ends();
}

/* The launcher has nothing to send to an output: that is not an end, nor cause to spin. */
static void test_launcher_only_reads(void)
{
	open_stream(PROTO_PORT_STDOUT);
	shutdown(launcher, SHUT_WR);
	CHECK_INT(turn(), 1);
	CHECK(is_open());
	CHECK_INT(turn(), 0);
	CHECK_INT(write(program, "x", 1), 1);
	CHECK_INT(turn(), 1);
	CHECK_INT(read_byte(launcher), 'x');
	close_ends();
}

/* Fills `into` through the relay until it takes no more; returns the bytes taken. */
static size_t fill(int into)
{
	static const char block[4096];
	size_t total = 0;

	for (ssize_t written; ; total += (size_t)written) {
		written = write(into, block, sizeof(block));
		if (written < 0) {
			/* what the relay took made room: it is full when it takes no more */
			if (turn() == 0)
				return total;
			written = 0;
		}
	}
}

static size_t empty(int from)
{
	static char block[65536];
	size_t total = 0;

	for (ssize_t got; is_open(); total += got > 0 ? (size_t)got : 0) {
		got = read(from, block, sizeof(block));
		if (got < 0 && turn() == 0)
			break;
	}
	return total;
}

static void test_back_pressure(void)
{
	size_t size;

	open_stream(PROTO_PORT_STDOUT);
	size = fill(program);
	CHECK(size > RELAY_BUFFER_SIZE && size < 4 << 20);
	CHECK(is_open());
	CHECK_INT(empty(launcher), size);
	close_ends();

	open_stream(PROTO_PORT_STDIN);
	size = fill(launcher);
	CHECK(size > RELAY_BUFFER_SIZE && size < 4 << 20);
	/* gone while nothing can be relayed: no cause to spin either */
	shutdown(launcher, SHUT_WR);
	CHECK_INT(turn(), 0);
	close_ends();
}

/* The bytes themselves, through short writes at every boundary. */
static void test_order(void)
{
	const size_t size = 3000000;
	uint32_t sent = 0, expected = 0;
	bool in_order = true;

	open_stream(PROTO_PORT_STDOUT);
	fcntl(program, F_SETPIPE_SZ, 4096);
	while (expected < size) {
		uint8_t bytes[7919], *byte = bytes;
		ssize_t count = (ssize_t)(sent % sizeof(bytes)) + 1;

		for (ssize_t i = 0; i < count; i++)
			bytes[i] = (uint8_t)((sent + (uint32_t)i) * 2654435761u >> 24);
		count = write(program, bytes, (size_t)count);
		sent += count > 0 ? (uint32_t)count : 0;
		turn();
		count = read(launcher, bytes, 1 + sent % 5000);
		for (; count > 0; count--, expected++)
			in_order &= *byte++ == (uint8_t)(expected * 2654435761u >> 24);
	}
	CHECK(in_order);
	close_ends();
}

static void test_end_of_input(void)
{
	open_stream(PROTO_PORT_STDIN);
	stream_end_input(&stream);
	CHECK(!is_open());
	CHECK_INT(read_byte(launcher), 0);
	close_ends();
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);	/* process 1 gets none */
	CHECK_RUN(test_input);
	CHECK_RUN(test_program_stops_reading);
	CHECK_RUN(test_output_to_its_end);
	CHECK_RUN(test_launcher_stops_reading);
	CHECK_RUN(test_launcher_only_reads);
	CHECK_RUN(test_back_pressure);
	CHECK_RUN(test_order);
	CHECK_RUN(test_end_of_input);
	return check_report();
}
