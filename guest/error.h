/*
 * An error on its way to the user: the status that the launcher exits with and
 * one line that names the thing and the remedy.
 */
#ifndef SMOLPACK_GUEST_ERROR_H
#define SMOLPACK_GUEST_ERROR_H

#include <stdint.h>

#define ERROR_MACHINE		125	/* the machine could not be set up */
#define ERROR_NOT_EXECUTABLE	126	/* as a shell says it */
#define ERROR_NOT_FOUND		127	/* as a shell says it */

struct error {
	uint32_t	status;
	char		text[1024];
};

/**
 * error_set() - fill in @error; control characters in the text become '?'
 *
 * Return: always -1, so that a failing function can end with `return error_set(…)`.
 */
int error_set(struct error *error, uint32_t status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
