/* The host end of the guest's agent: frames of guest/proto.h over one connection. */
#ifndef SMOLPACK_CONTROL_H
#define SMOLPACK_CONTROL_H

#include "../guest/proto.h"
#include "virtio/vsock.h"

/* What the guest says; called on the loop's thread. */
struct control_hooks {
	void	(*started)(void *context);
	void	(*stopped)(void *context, unsigned signal);
	void	(*exited)(void *context, const struct proto_exit *exit);
	/* The program could not be started; @text is printable and one line. */
	void	(*failed)(void *context, unsigned status, const char *text);
	/* The agent is gone or talks nonsense; @text says which. */
	void	(*lost)(void *context, const char *text);
};

#define CONTROL_MAX_RECEIVED 1024	/* bytes of a frame from the guest */

struct control {
	struct vsock_listener	listener;
	struct vsock_connection	*connection;
	const struct control_hooks *hooks;
	void			*context;
	uint8_t			received[CONTROL_MAX_RECEIVED];
	size_t			received_size;
	bool			greeted;
	bool			time_asked;	/* and not answered yet */
	/* RUN waits here until the guest says HELLO; later frames queue up behind it. */
	uint8_t			*outgoing;
	size_t			outgoing_size, outgoing_sent, outgoing_capacity;
};

/**
 * control_init - wait for the guest's agent; once it says HELLO it gets RUN.
 *
 * @run: as in guest/proto.h.
 * @records: @records_size bytes of `key=value` NUL.
 * Return: 0, -E2BIG when the records are more than a frame can hold, or another
 * negative errno.
 */
int control_init(struct control *control, struct vsock *vsock, const struct proto_run *run,
		 const char *records, size_t records_size, const struct control_hooks *hooks,
		 void *context);

/** control_signal - let the guest send signal @number to the program, or to the foreground group. */
void control_signal(struct control *control, unsigned number, bool to_group);

/** control_winsize - tell the guest's terminal its new size. */
void control_winsize(struct control *control, const struct proto_winsize *size);

#endif
