/* The user's terminal: raw while the guest has it, as it was however the launcher ends. */
#ifndef SMOLPACK_HOST_TERMINAL_H
#define SMOLPACK_HOST_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

/**
 * terminal_set_raw - let every key through to the guest, on the terminal at @fd.
 *
 * @keep_output: leave output processing on, for others print to it as well.
 * It is undone by terminal_restore(), at exit() and when a fault kills the launcher.
 */
void terminal_set_raw(int fd, bool keep_output);

/** terminal_restore - put back what terminal_set_raw() changed; harmless otherwise. */
void terminal_restore(void);

/** terminal_is_ours - whether the launcher's process group is in @fd's foreground. */
bool terminal_is_ours(int fd);

/** terminal_size - Return: false when @fd has no size to tell. */
bool terminal_size(int fd, uint16_t *rows, uint16_t *columns, uint16_t *x_pixels,
		   uint16_t *y_pixels);

#endif
