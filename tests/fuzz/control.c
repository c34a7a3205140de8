// sources: stub/mem.c stub/virtio/queue.c stub/virtio/vsock.c stub/control.c
/* The agent's frames: the input is what a guest writes, in packets of the length in its first byte. */
#include "control.h"
#include "fake_guest.h"
#include "fuzz.h"
#include "host/host.h"

uint64_t host_realtime_ns(void)
{
	return 1;
}

static void on_started(void *context)
{
	(void)context;
}

static void on_stopped(void *context, unsigned signal)
{
	(void)context;
	(void)signal;
}

static void on_exited(void *context, const struct proto_exit *exit)
{
	(void)context;
	(void)exit;
}

/* Nothing but printable text goes to the user's terminal. */
static void look_at(const char *text)
{
	for (; *text; text++)
		MUST((unsigned char)*text >= ' ' && *text != 0x7f);
}

static void on_failed(void *context, unsigned status, const char *text)
{
	(void)context;
	(void)status;
	look_at(text);
}

static void on_lost(void *context, const char *text)
{
	(void)context;
	look_at(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct control_hooks hooks = {
		.started = on_started, .stopped = on_stopped, .exited = on_exited,
		.failed = on_failed, .lost = on_lost,
	};
	static const char records[] = "arg=ls";
	static const struct proto_run run;
	static struct fake_guest guest;
	static struct control control;
	size_t piece;

	if (size < 2)
		return 0;
	piece = data[0] + 1u;
	memset(&control, 0, sizeof(control));
	if (guest.rx.ram)
		guest_begin(&guest);
	else
		guest_open(&guest);
	MUST(control_init(&control, &guest.vsock, &run, records, sizeof(records), &hooks, NULL) == 0);
	guest_post(&guest, GUEST_QUEUE_SIZE);
	guest_say(&guest, PROTO_PORT_CONTROL, OP_REQUEST);
	for (size_t at = 1; at < size; at += piece) {
		guest_send(&guest, PROTO_PORT_CONTROL, data + at,
			   (uint32_t)(size - at < piece ? size - at : piece));
		while (guest_receive(&guest))
			guest_post(&guest, 1);
	}
	free(control.outgoing);
	return 0;
}
