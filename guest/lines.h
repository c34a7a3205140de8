/* Reads a file line by line: of any size, in bounded memory. */
#ifndef SMOLPACK_GUEST_LINES_H
#define SMOLPACK_GUEST_LINES_H

#include <stdbool.h>
#include <stddef.h>

#define LINES_LONGEST	(1u << 20)	/* bytes; what is longer is passed over */

/* A piece of a line, or all of it; not terminated. start may be NULL when size is 0. */
struct text {
	const char	*start;
	size_t		size;
};

/* Large: not for the stack. */
struct lines {
	int	fd;
	int	error;		/* errno, when reading ended early */
	bool	at_end;
	bool	passing_over;	/* the rest of a line that is too long */
	size_t	start, end;	/* of what was read and not returned yet */
	char	buffer[LINES_LONGEST];
};

/** lines_begin() - read the lines of @fd from where it stands; -1: there are none */
void lines_begin(struct lines *lines, int fd);

/**
 * lines_next() - the next line, without its newline
 * @line: valid until the next call
 *
 * Return: false at the end; @lines->error says whether it is the file's.
 */
bool lines_next(struct lines *lines, struct text *line);

#endif
