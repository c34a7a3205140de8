/* Writes the one line that a failure ends as. */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>

int error_set(struct error *error, uint32_t status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	error->status = status;

	/* names come from the image and the command line: keep it one line */
	for (char *c = error->text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	return -1;
}
