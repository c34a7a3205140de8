/*
 * A relay moves bytes from one descriptor to another, as fast as the slower side
 * and never holding more than one buffer; from a pipe it holds none.
 */
#ifndef SMOLPACK_GUEST_RELAY_H
#define SMOLPACK_GUEST_RELAY_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RELAY_BUFFER_SIZE	65536

/* All zero to begin with. */
struct relay {
	bool	from_pipe;		/* the source is a pipe: its bytes need not pass our memory */
	bool	sink_full;		/* bytes wait in the source */
	bool	sink_half_closed;	/* its peer sends nothing more, but may still read */
	size_t	start, end;		/* of the bytes not yet written */
	uint8_t	buffer[RELAY_BUFFER_SIZE];
};

/**
 * relay_prepare() - add to what is polled for on both descriptors
 *
 * The caller sets .fd to the descriptor or -1 and .events to 0 first (two relays can
 * share a pair of descriptors); @source's .fd stays as it is.
 */
void relay_prepare(const struct relay *relay, struct pollfd *source, struct pollfd *sink);

/**
 * relay_pump() - move what can be moved after poll()
 *
 * Both descriptors are non-blocking, .revents are poll's answers.
 *
 * Return: true when the relay has come to its end: all of the source is written, or
 * nobody reads the sink any more.
 */
bool relay_pump(struct relay *relay, const struct pollfd *source, const struct pollfd *sink);

#endif
