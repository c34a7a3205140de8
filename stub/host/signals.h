/* Signals to the launcher, as events for the loop. */
#ifndef SMOLPACK_HOST_SIGNALS_H
#define SMOLPACK_HOST_SIGNALS_H

#include <stdbool.h>

/**
 * signals_open - block the signals in @numbers (ended by 0) and make them readable from a descriptor.
 *
 * Before any thread starts, so that all inherit the mask. What the caller made us
 * ignore (nohup, a shell's background job) stays ignored.
 * Return: the descriptor or a negative errno.
 */
int signals_open(const int *numbers);

/**
 * signals_read - take the next signal.
 *
 * @from_terminal: whether a key (or the terminal itself) sent it, to all of the
 * foreground, rather than a process.
 * Return: its number, or -EAGAIN when there is none.
 */
int signals_read(int fd, bool *from_terminal);

#endif
