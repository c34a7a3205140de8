/* Messages for the person who runs the machine. */
#include "log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *program = "smolpack";
static bool debugging;

void log_init(const char *name)
{
	program = name;
}

void log_enable_debug(void)
{
	debugging = true;
}

/* Control characters: those of ASCII, and those of Unicode behind U+007F, in UTF-8. */
char log_shown(const char *at)
{
	const unsigned char *bytes = (const unsigned char *)at;

	if (bytes[0] < ' ' || bytes[0] == 0x7f || (bytes[0] == 0xc2 && (bytes[1] & 0xe0) == 0x80))
		return '?';
	return *at;
}

/* One write a line, so that lines of several processes do not mix. */
static void print_line(const char *kind, const char *format, va_list arguments)
{
	char line[1024];
	int used = snprintf(line, sizeof(line), "%s: %s", program, kind);

	if (used < 0 || used >= (int)sizeof(line) / 2)
		used = 0;
	int text = vsnprintf(line + used, sizeof(line) - (size_t)used - 1, format, arguments);

	if (text < 0)
		return;
	size_t length = (size_t)used + (size_t)text;

	if (length > sizeof(line) - 2)
		length = sizeof(line) - 2;
	line[length] = '\0';
	for (size_t i = 0; i < length; i++)
		line[i] = log_shown(line + i);
	line[length++] = '\n';
	ssize_t ignored = write(STDERR_FILENO, line, length);

	(void)ignored;	/* there is nowhere left to complain */
}

void die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_line("", format, arguments);
	va_end(arguments);
	exit(LAUNCHER_FAILURE);
}

void warn(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_line("", format, arguments);
	va_end(arguments);
}

void debug(const char *format, ...)
{
	va_list arguments;

	if (!debugging)
		return;
	va_start(arguments, format);
	print_line("debug: ", format, arguments);
	va_end(arguments);
}
