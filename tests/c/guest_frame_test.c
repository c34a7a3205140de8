/* Frames on the control connection: whole, in pieces, too large, cut off. */
#include "check.h"
#include "frame.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int ends[2];	/* 0: ours, 1: the peer's */

static void connect_pair(void)
{
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends);
}

static void disconnect_pair(void)
{
	close(ends[0]);
	if (ends[1] >= 0)
		close(ends[1]);
}

static void test_round_trip(void)
{
	struct proto_signal signal = { .number = 15 };
	struct frame frame = { 0 };

	connect_pair();
	CHECK_INT(frame_receive(ends[0], &frame), 0);
	CHECK_INT(frame_send(ends[1], PROTO_SIGNAL, &signal, 4, (char *)&signal + 4, 4), 0);
	CHECK_INT(frame_send(ends[1], PROTO_STARTED, NULL, 0, NULL, 0), 0);
	CHECK_INT(frame_receive(ends[0], &frame), 1);
	CHECK_INT(frame.header.type, PROTO_SIGNAL);
	CHECK_INT(frame.header.size, sizeof(signal));
	CHECK_MEM(frame.payload, &signal, sizeof(signal));
	frame_clear(&frame);
	CHECK_INT(frame_receive(ends[0], &frame), 1);
	CHECK_INT(frame.header.type, PROTO_STARTED);
	CHECK_INT(frame.header.size, 0);
	frame_clear(&frame);
	CHECK_INT(frame_receive(ends[0], &frame), 0);
	disconnect_pair();
}

static void test_byte_by_byte(void)
{
	const char bytes[] = "\x42\0\0\0\3\0\0\0abc";
	struct frame frame = { 0 };

	connect_pair();
	for (size_t i = 0; i < sizeof(bytes) - 1; i++) {
		CHECK_INT(frame_receive(ends[0], &frame), 0);
		CHECK_INT(write(ends[1], &bytes[i], 1), 1);
	}
	CHECK_INT(frame_receive(ends[0], &frame), 1);
	CHECK_INT(frame.header.type, PROTO_WINSIZE);
	CHECK_MEM(frame.payload, "abc", 3);
	frame_clear(&frame);
	disconnect_pair();
}

static void test_too_large(void)
{
	struct proto_header header = { .type = PROTO_RUN, .size = PROTO_MAX_PAYLOAD + 1 };
	struct frame frame = { 0 };

	connect_pair();
	CHECK_INT(write(ends[1], &header, sizeof(header)), sizeof(header));
	CHECK_INT(frame_receive(ends[0], &frame), -EPROTO);
	CHECK(!frame.payload);
	disconnect_pair();
}

static void test_cut_off(void)
{
	struct proto_header header = { .type = PROTO_RUN, .size = 8 };

	for (size_t cut = 0; cut <= sizeof(header); cut++) {
		struct frame frame = { 0 };

		connect_pair();
		CHECK_INT(write(ends[1], &header, cut), cut);
		close(ends[1]);
		ends[1] = -1;
		CHECK_INT(frame_receive(ends[0], &frame), -ECONNRESET);
		frame_clear(&frame);
		disconnect_pair();
	}
}

/* A payload that no socket buffer takes at once: sender and receiver have to wait. */
static void *send_largest(void *payload)
{
	frame_send(ends[1], PROTO_RUN, payload, 1, (char *)payload + 1, PROTO_MAX_PAYLOAD - 1);
	return NULL;
}

static void test_largest(void)
{
	uint8_t *payload = malloc(PROTO_MAX_PAYLOAD);
	struct frame frame = { 0 };
	pthread_t sender;
	int received;

	for (size_t i = 0; i < PROTO_MAX_PAYLOAD; i++)
		payload[i] = (uint8_t)(i * 7 / 3);
	connect_pair();
	pthread_create(&sender, NULL, send_largest, payload);
	while (!(received = frame_receive(ends[0], &frame)))
		;
	CHECK_INT(received, 1);
	CHECK_INT(frame.header.size, PROTO_MAX_PAYLOAD);
	CHECK_MEM(frame.payload, payload, PROTO_MAX_PAYLOAD);
	pthread_join(sender, NULL);
	frame_clear(&frame);
	disconnect_pair();
	free(payload);
}

static void test_nobody_there(void)
{
	connect_pair();
	close(ends[1]);
	ends[1] = -1;
	CHECK_INT(frame_send(ends[0], PROTO_STARTED, NULL, 0, NULL, 0), -EPIPE);
	disconnect_pair();
}

int main(void)
{
	CHECK_RUN(test_round_trip);
	CHECK_RUN(test_byte_by_byte);
	CHECK_RUN(test_too_large);
	CHECK_RUN(test_cut_off);
	CHECK_RUN(test_largest);
	CHECK_RUN(test_nobody_there);
	return check_report();
}
