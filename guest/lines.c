/* Reads a file line by line: of any size, in bounded memory. */
#include "lines.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void lines_begin(struct lines *lines, int fd)
{
	/* not the buffer: memory that is never touched costs nothing */
	lines->fd = fd;
	lines->error = 0;
	lines->at_end = fd < 0;
	lines->passing_over = false;
	lines->start = lines->end = 0;
}

/* Reads more behind what is there; drops a line that fills the whole buffer. */
static void refill(struct lines *lines)
{
	ssize_t got;

	memmove(lines->buffer, lines->buffer + lines->start, lines->end - lines->start);
	lines->end -= lines->start;
	lines->start = 0;
	if (lines->end == sizeof(lines->buffer)) {
		lines->end = 0;
		lines->passing_over = true;
	}
	do
		got = read(lines->fd, lines->buffer + lines->end,
			   sizeof(lines->buffer) - lines->end);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		lines->error = errno;
	if (got <= 0)
		lines->at_end = true;
	else
		lines->end += (size_t)got;
}

bool lines_next(struct lines *lines, struct text *line)
{
	for (;;) {
		char *start = lines->buffer + lines->start;
		size_t size = lines->end - lines->start;
		char *newline = memchr(start, '\n', size);
		bool whole = !lines->passing_over;

		if (!newline && !lines->at_end) {
			refill(lines);
			continue;
		}
		if (!newline && (!size || lines->error))
			return false;
		*line = (struct text){ start, newline ? (size_t)(newline - start) : size };
		lines->start += line->size + (newline ? 1 : 0);
		lines->passing_over = false;
		if (whole)
			return true;
	}
}
