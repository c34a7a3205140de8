// sources: stub/mem.c stub/virtio/queue.c stub/virtio/vsock.c stub/control.c
/* The host end of the agent's protocol: frames in any pieces, and agents that lie. */
#include <errno.h>
#include <stdlib.h>

#include "check.h"
#include "control.h"
#include "fake_guest.h"
#include "host/host.h"

#define NOW	0x1122334455667788ull

static const char records[] = "arg=ls\0arg=-l\0env=A=1";	/* its own NUL ends the last one */

static struct fake_guest guest;
static struct control control;
static struct {
	unsigned		started, failed, exited, lost, stopped, status;
	struct proto_exit	exit;
	char			text[CONTROL_MAX_RECEIVED + 1];
} heard;
static uint8_t sent[4u << 20];	/* what the guest has received */
static size_t sent_size;

uint64_t host_realtime_ns(void)
{
	return NOW;
}

static void on_started(void *context)
{
	CHECK(context == &heard);
	heard.started++;
}

static void on_stopped(void *context, unsigned signal)
{
	(void)context;
	heard.stopped = signal;
}

static void on_exited(void *context, const struct proto_exit *exit)
{
	(void)context;
	heard.exited++;
	heard.exit = *exit;
}

static void on_failed(void *context, unsigned status, const char *text)
{
	(void)context;
	heard.failed++;
	heard.status = status;
	snprintf(heard.text, sizeof(heard.text), "%s", text);
}

static void on_lost(void *context, const char *text)
{
	(void)context;
	heard.lost++;
	snprintf(heard.text, sizeof(heard.text), "%s", text);
}

static const struct control_hooks hooks = {
	.started = on_started, .stopped = on_stopped, .exited = on_exited, .failed = on_failed,
	.lost = on_lost,
};

static int open_with(const char *what, size_t size)
{
	struct proto_run run = { .terminal = 5, .winsize = { .rows = 24, .columns = 80 } };

	memset(&heard, 0, sizeof(heard));
	memset(&control, 0, sizeof(control));
	sent_size = 0;
	guest_open(&guest);
	return control_init(&control, &guest.vsock, &run, what, size, &hooks, &heard);
}

static void open_control(void)
{
	CHECK_INT(open_with(records, sizeof(records)), 0);
	guest_post(&guest, GUEST_QUEUE_SIZE);
	guest_say(&guest, PROTO_PORT_CONTROL, OP_REQUEST);
	CHECK_INT(guest_receive(&guest), OP_RESPONSE);
}

static void close_control(void)
{
	free(control.outgoing);
	guest_close(&guest);
}

static void collect(void)
{
	while (guest_receive(&guest) == OP_RW) {
		memcpy(sent + sent_size, guest.data, guest.packet.length);
		sent_size += guest.packet.length;
		guest.consumed += guest.packet.length;
		guest_post(&guest, 1);
	}
}

/* Writes a frame to @to. Return: its size. */
static size_t frame(uint8_t *to, uint32_t type, const void *payload, uint32_t size)
{
	struct proto_header header = { .type = type, .size = size };

	memcpy(to, &header, sizeof(header));
	if (size)
		memcpy(to + sizeof(header), payload, size);
	return sizeof(header) + size;
}

static void say(uint32_t type, const void *payload, uint32_t size)
{
	uint8_t bytes[CONTROL_MAX_RECEIVED];

	guest_send(&guest, PROTO_PORT_CONTROL, bytes, (uint32_t)frame(bytes, type, payload, size));
}

static void say_hello(uint32_t version)
{
	say(PROTO_HELLO, &(struct proto_hello){ .version = version }, sizeof(struct proto_hello));
}

static void test_run(void)
{
	struct proto_header header;
	struct proto_run run;

	open_control();
	collect();
	CHECK_INT(sent_size, 0);	/* not before HELLO */
	say_hello(PROTO_VERSION);
	collect();
	CHECK_INT(sent_size, sizeof(header) + sizeof(run) + sizeof(records));
	memcpy(&header, sent, sizeof(header));
	memcpy(&run, sent + sizeof(header), sizeof(run));
	CHECK_INT(header.type, PROTO_RUN);
	CHECK_INT(header.size, sizeof(run) + sizeof(records));
	CHECK_INT(run.terminal, 5);
	CHECK_INT(run.winsize.columns, 80);
	CHECK_MEM(sent + sizeof(header) + sizeof(run), records, sizeof(records));
	close_control();
}

static void test_frames_before_hello(void)
{
	const struct proto_signal *signal = (void *)(sent + sizeof(struct proto_header));

	open_control();
	control_signal(&control, 15, true);
	control_winsize(&control, &(struct proto_winsize){ .rows = 9 });
	say_hello(PROTO_VERSION);
	collect();
	/* RUN first, then what was asked for in the meantime. */
	size_t run = sizeof(struct proto_header) + sizeof(struct proto_run) + sizeof(records);

	memmove(sent, sent + run, sent_size -= run);
	CHECK_INT(sent_size, 2 * sizeof(struct proto_header) + 8 + 8);
	CHECK_INT(sent[0], PROTO_SIGNAL);
	CHECK_INT(signal->number, 15);
	CHECK_INT(signal->to_group, 1);
	CHECK_INT(sent[16], PROTO_WINSIZE);
	CHECK_INT(sent[24], 9);
	sent_size = 0;
	control_signal(&control, 2, false);
	collect();
	CHECK_INT(sent_size, 16);
	CHECK_INT(signal->number, 2);
	CHECK_INT(signal->to_group, 0);
	close_control();
}

static void test_time(void)
{
	const size_t answer_size = sizeof(struct proto_header) + sizeof(struct proto_time);
	struct proto_time time;

	open_control();
	say_hello(PROTO_VERSION);
	collect();
	sent_size = 0;
	say(PROTO_TIME, NULL, 0);
	collect();
	CHECK_INT(sent_size, answer_size);
	CHECK_INT(sent[0], PROTO_TIME);
	memcpy(&time, sent + sizeof(struct proto_header), sizeof(time));
	CHECK_INT(time.realtime_ns, NOW);
	close_control();
}

/* The guest has no room for answers: they do not pile up, but there is one when there is. */
static void test_time_without_reading(void)
{
	const size_t answer_size = sizeof(struct proto_header) + sizeof(struct proto_time);

	open_control();
	for (unsigned i = 0; i < 1000; i++)
		say(PROTO_TIME, NULL, 0);
	CHECK(control.outgoing_capacity < 4096);
	say_hello(PROTO_VERSION);
	collect();
	sent_size = 0;
	say(PROTO_TIME, NULL, 0);
	collect();
	CHECK_INT(sent_size, answer_size);
	close_control();
}

static void test_frames_before_connecting(void)
{
	CHECK_INT(open_with(records, sizeof(records)), 0);
	control_signal(&control, 15, false);
	guest_post(&guest, GUEST_QUEUE_SIZE);
	guest_say(&guest, PROTO_PORT_CONTROL, OP_REQUEST);
	CHECK_INT(guest_receive(&guest), OP_RESPONSE);
	say_hello(PROTO_VERSION);
	collect();
	CHECK_INT(sent[sent_size - 8], 15);
	close_control();
}

/* A whole life, in two pieces cut at every byte, then byte by byte. */
static void test_frames_in_pieces(void)
{
	uint8_t life[256];
	size_t size = 0;
	struct proto_exit exit = { .code = 7, .oom_kills = 2 };

	size += frame(life, PROTO_HELLO, &(struct proto_hello){ PROTO_VERSION, 0 }, 8);
	size += frame(life + size, PROTO_STARTED, NULL, 0);
	size += frame(life + size, PROTO_STOPPED, &(struct proto_signal){ .number = 20 }, 8);
	size += frame(life + size, PROTO_EXIT, &exit, sizeof(exit));
	for (size_t cut = 0; cut <= size; cut++) {
		open_control();
		if (cut == size)
			for (size_t i = 0; i < size; i++)
				guest_send(&guest, PROTO_PORT_CONTROL, life + i, 1);
		guest_send(&guest, PROTO_PORT_CONTROL, life, (uint32_t)(cut % size));
		guest_send(&guest, PROTO_PORT_CONTROL, life + cut, (uint32_t)(size - cut));
		CHECK_INT(heard.started, 1);
		CHECK_INT(heard.stopped, 20);
		CHECK_INT(heard.exited, 1);
		CHECK_MEM(&heard.exit, &exit, sizeof(exit));
		CHECK_INT(heard.lost, 0);
		close_control();
	}
}

static void test_error_text(void)
{
	uint8_t payload[CONTROL_MAX_RECEIVED - sizeof(struct proto_header)];
	const uint32_t fixed = sizeof(struct proto_error);

	open_control();
	memset(payload, 'x', sizeof(payload));
	memcpy(payload, &(struct proto_error){ .status = 127 }, fixed);
	memcpy(payload + fixed, "no\x1b[2\x7f\n", 7);
	payload[fixed + 7] = '\0';
	say(PROTO_ERROR, payload, fixed + 8);
	CHECK_INT(heard.failed, 1);
	CHECK_INT(heard.status, 127);
	CHECK_STR(heard.text, "no?[2???");
	say(PROTO_ERROR, payload, fixed);
	CHECK_STR(heard.text, "");
	memset(payload + fixed, 'x', sizeof(payload) - fixed);
	say(PROTO_ERROR, payload, sizeof(payload));	/* the longest there can be */
	CHECK_INT(strlen(heard.text), sizeof(payload) - fixed);
	memcpy(payload, &(struct proto_error){ .status = 0xffffff7d }, fixed);
	say(PROTO_ERROR, payload, fixed);
	CHECK_INT(heard.status, 125);
	close_control();
}

static void test_nonsense(void)
{
	static const struct { uint32_t type, size; } bad[] = {
		{ 0, 0 }, { 7, 0 }, { PROTO_TIME, 8 }, { UINT32_MAX, 8 }, { PROTO_RUN, 8 }, { PROTO_SIGNAL, 8 },
		{ PROTO_HELLO, 7 }, { PROTO_HELLO, 9 }, { PROTO_STARTED, 1 }, { PROTO_EXIT, 15 },
		{ PROTO_EXIT, 0 }, { PROTO_STOPPED, 4 }, { PROTO_ERROR, 7 },
	};
	uint8_t zeros[64] = { 0 };

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		open_control();
		say(bad[i].type, zeros, bad[i].size);
		CHECK_INT(heard.lost, 1);
		CHECK_STR(heard.text, "the guest's init talks nonsense");
		CHECK_INT(heard.started + heard.exited + heard.failed, 0);
		close_control();
	}
}

static void test_oversized_frames(void)
{
	static const uint32_t sizes[] = {
		CONTROL_MAX_RECEIVED - sizeof(struct proto_header) + 1, 1u << 20, UINT32_MAX,
		UINT32_MAX - 7,
	};
	static uint8_t flood[8 * CONTROL_MAX_RECEIVED];

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct proto_header header = { .type = PROTO_ERROR, .size = sizes[i] };

		open_control();
		guest_send(&guest, PROTO_PORT_CONTROL, &header, sizeof(header));
		CHECK_INT(heard.lost, 1);
		for (unsigned n = 0; n < 4; n++)	/* nobody stops it from going on */
			guest_send(&guest, PROTO_PORT_CONTROL, flood, sizeof(flood));
		CHECK_INT(heard.failed, 0);
		close_control();
	}
}

static void test_another_version(void)
{
	open_control();
	say_hello(PROTO_VERSION + 1);
	CHECK_INT(heard.lost, 1);
	CHECK_STR(heard.text, "the guest's init is of another version");
	collect();
	CHECK_INT(sent_size, 0);
	close_control();

	open_control();	/* nor is a second greeting answered */
	say_hello(PROTO_VERSION);
	say_hello(PROTO_VERSION);
	CHECK_INT(heard.lost, 1);
	close_control();
}

static void test_only_one_agent(void)
{
	struct guest_packet packet;

	open_control();
	packet = guest_packet(&guest, PROTO_PORT_CONTROL, OP_REQUEST);
	packet.src_port++;
	guest_transmit(&guest, &packet, NULL, 0);
	CHECK_INT(guest_receive(&guest), OP_RST);
	say_hello(PROTO_VERSION);
	guest_say(&guest, PROTO_PORT_CONTROL, OP_RST);
	CHECK_INT(heard.lost, 1);
	CHECK_STR(heard.text, "the guest's init is gone");
	control_signal(&control, 2, false);	/* to nobody */
	collect();
	guest_transmit(&guest, &packet, NULL, 0);
	CHECK_INT(guest_receive(&guest), OP_RST);
	close_control();
}

/* The largest RUN, through a guest that takes little at a time. */
static void test_large_run(void)
{
	static char large[PROTO_MAX_PAYLOAD];
	const size_t most = PROTO_MAX_PAYLOAD - sizeof(struct proto_run);

	for (size_t i = 0; i < most; i++)
		large[i] = (char)(i * 31 / 7);
	CHECK_INT(open_with(large, most + 1), -E2BIG);
	close_control();
	CHECK_INT(open_with(large, most), 0);
	guest.window = 10000;
	guest_post(&guest, GUEST_QUEUE_SIZE);
	guest_say(&guest, PROTO_PORT_CONTROL, OP_REQUEST);
	CHECK_INT(guest_receive(&guest), OP_RESPONSE);
	say_hello(PROTO_VERSION);
	for (size_t before = 1; before != sent_size;) {
		before = sent_size;
		collect();
		guest_say(&guest, PROTO_PORT_CONTROL, OP_CREDIT_UPDATE);
	}
	CHECK_INT(sent_size, sizeof(struct proto_header) + PROTO_MAX_PAYLOAD);
	CHECK_MEM(sent + sizeof(struct proto_header) + sizeof(struct proto_run), large, most);
	close_control();
}

int main(void)
{
	CHECK_RUN(test_run);
	CHECK_RUN(test_frames_before_hello);
	CHECK_RUN(test_time);
	CHECK_RUN(test_time_without_reading);
	CHECK_RUN(test_frames_before_connecting);
	CHECK_RUN(test_frames_in_pieces);
	CHECK_RUN(test_error_text);
	CHECK_RUN(test_nonsense);
	CHECK_RUN(test_oversized_frames);
	CHECK_RUN(test_another_version);
	CHECK_RUN(test_only_one_agent);
	CHECK_RUN(test_large_run);
	return check_report();
}
