/* Frames to and from the guest's agent. What the guest sends is hostile. */
#include "control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"

static int append(struct control *control, const void *bytes, size_t size)
{
	if (control->outgoing_size + size > control->outgoing_capacity) {
		size_t capacity = control->outgoing_size + size;
		uint8_t *grown = realloc(control->outgoing, capacity);

		if (!grown)
			return -ENOMEM;
		control->outgoing = grown;
		control->outgoing_capacity = capacity;
	}
	memcpy(control->outgoing + control->outgoing_size, bytes, size);
	control->outgoing_size += size;
	return 0;
}

static ssize_t fill_from_outgoing(void *context, struct iovec *iov, unsigned count)
{
	struct control *control = context;
	size_t copied = iov_copy_to(iov, count, 0, control->outgoing + control->outgoing_sent,
				    control->outgoing_size - control->outgoing_sent);

	control->outgoing_sent += copied;
	return (ssize_t)copied;
}

static void pump(struct control *control)
{
	if (!control->greeted || !control->connection)
		return;
	while (control->outgoing_sent < control->outgoing_size)
		if (vsock_send(control->connection, fill_from_outgoing, control) <= 0)
			return;
	control->outgoing_size = control->outgoing_sent = 0;
}

static void send_frame(struct control *control, enum proto_type type, const void *payload,
		       size_t size)
{
	struct proto_header header = { .type = type, .size = (uint32_t)size };

	if (append(control, &header, sizeof(header)) == 0 && append(control, payload, size) == 0)
		pump(control);
}

/* Once for all questions so far: a guest that reads no answers shall not fill our memory. */
static void tell_time(struct control *control)
{
	if (control->time_asked && control->outgoing_size == 0) {
		const struct proto_time time = { .realtime_ns = host_realtime_ns() };

		control->time_asked = false;
		send_frame(control, PROTO_TIME, &time, sizeof(time));
	}
}

static void on_hello(struct control *control, const struct proto_hello *hello)
{
	if (hello->version != PROTO_VERSION || control->greeted) {
		control->hooks->lost(control->context, "the guest's init is of another version");
		return;
	}
	control->greeted = true;
	pump(control);
}

/* Text from inside goes to a terminal: nothing but printable characters. */
static void on_error(struct control *control, uint8_t *payload, size_t size)
{
	struct proto_error error;
	char text[CONTROL_MAX_RECEIVED];
	size_t length = size - sizeof(error);

	memcpy(&error, payload, sizeof(error));
	for (size_t i = 0; i < length; i++) {
		uint8_t byte = payload[sizeof(error) + i];

		text[i] = byte < ' ' || byte == 0x7f ? '?' : (char)byte;
	}
	text[length] = '\0';
	control->hooks->failed(control->context, error.status & 0xff, text);
}

static bool handle_frame(struct control *control, uint32_t type, uint8_t *payload, size_t size)
{
	if (type == PROTO_HELLO && size == sizeof(struct proto_hello)) {
		struct proto_hello hello;

		memcpy(&hello, payload, sizeof(hello));
		on_hello(control, &hello);
	} else if (type == PROTO_TIME && size == 0) {
		control->time_asked = true;
		tell_time(control);
	} else if (type == PROTO_STARTED && size == 0) {
		control->hooks->started(control->context);
	} else if (type == PROTO_STOPPED && size == sizeof(struct proto_signal)) {
		struct proto_signal signal;

		memcpy(&signal, payload, sizeof(signal));
		control->hooks->stopped(control->context, signal.number);
	} else if (type == PROTO_EXIT && size == sizeof(struct proto_exit)) {
		struct proto_exit exit;

		memcpy(&exit, payload, sizeof(exit));
		control->hooks->exited(control->context, &exit);
	} else if (type == PROTO_ERROR && size >= sizeof(struct proto_error)) {
		on_error(control, payload, size);
	} else {
		return false;
	}
	return true;
}

/* Handles all whole frames that are there. Return: false when one makes no sense. */
static bool handle_frames(struct control *control)
{
	struct proto_header header;
	size_t used = 0;

	while (control->received_size - used >= sizeof(header)) {
		memcpy(&header, control->received + used, sizeof(header));
		if (header.size > sizeof(control->received) - sizeof(header))
			return false;
		if (control->received_size - used - sizeof(header) < header.size)
			break;
		if (!handle_frame(control, header.type, control->received + used + sizeof(header),
				  header.size))
			return false;
		used += sizeof(header) + header.size;
	}
	control->received_size -= used;
	memmove(control->received, control->received + used, control->received_size);
	return true;
}

static void on_received(struct vsock_connection *connection, struct iovec *iov, unsigned count,
			size_t size)
{
	struct control *control = connection->context;
	size_t taken = 0;

	while (taken < size) {
		size_t part = iov_copy_from(control->received + control->received_size,
					    sizeof(control->received) - control->received_size,
					    iov, count, taken);

		control->received_size += part;
		taken += part;
		if (part == 0 || !handle_frames(control)) {
			control->hooks->lost(control->context, "the guest's init talks nonsense");
			return;
		}
	}
	vsock_consumed(connection, size);
}

static bool on_accept(struct vsock_listener *listener, struct vsock_connection *connection)
{
	struct control *control = listener->context;

	/* The first process to connect is init; nobody can take its place. */
	if (control->connection || control->greeted)
		return false;
	control->connection = connection;
	return true;
}

static void on_writable(struct vsock_connection *connection)
{
	pump(connection->context);
	tell_time(connection->context);
}

static void on_closed(struct vsock_connection *connection)
{
	struct control *control = connection->context;

	control->connection = NULL;
	/* Before that it is the machine that failed to start, and whoever runs it gets to know. */
	if (control->greeted)
		control->hooks->lost(control->context, "the guest's init is gone");
}

int control_init(struct control *control, struct vsock *vsock, const struct proto_run *run,
		 const char *records, size_t records_size, const struct control_hooks *hooks,
		 void *context)
{
	struct proto_header header = {
		.type = PROTO_RUN, .size = (uint32_t)(sizeof(*run) + records_size),
	};

	if (records_size > PROTO_MAX_PAYLOAD - sizeof(*run))
		return -E2BIG;
	control->hooks = hooks;
	control->context = context;
	control->listener = (struct vsock_listener){
		.port = PROTO_PORT_CONTROL,
		.accept = on_accept,
		.received = on_received,
		.writable = on_writable,
		.finished = on_closed,
		.refused = on_closed,
		.closed = on_closed,
		.context = control,
	};

	int error = append(control, &header, sizeof(header));

	if (!error)
		error = append(control, run, sizeof(*run));
	if (!error)
		error = append(control, records, records_size);
	return error ? error : vsock_listen(vsock, &control->listener);
}

void control_signal(struct control *control, unsigned number, bool to_group)
{
	struct proto_signal signal = { .number = number, .to_group = to_group };

	send_frame(control, PROTO_SIGNAL, &signal, sizeof(signal));
}

void control_winsize(struct control *control, const struct proto_winsize *size)
{
	send_frame(control, PROTO_WINSIZE, size, sizeof(*size));
}
