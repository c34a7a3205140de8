/* What the RUN frame says about the program: records, decoded. */
#ifndef SMOLPACK_GUEST_RECORDS_H
#define SMOLPACK_GUEST_RECORDS_H

#include "error.h"

#include <stddef.h>

/* Strings point into the records, which must outlive this. */
struct program {
	char		**arguments;	/* ends with NULL; at least one */
	char		**environment;	/* ends with NULL; each name once, the last value */
	const char	*workdir;	/* NULL: the root directory */
	const char	*user;		/* NULL: root */
	const char	*hostname;	/* NULL: leave it */
	char		**volumes;	/* directories that have to exist; ends with NULL */
	size_t		environment_size, environment_capacity;
};

/**
 * records_decode() - decode `key=value` NUL records
 * @records: @size bytes, taken over by @program
 *
 * The arrays of @program are allocated. The environment has room for two more entries.
 *
 * Return: 0, or -1 with @error set.
 */
int records_decode(char *records, size_t size, struct program *program, struct error *error);

/** program_free() - free the arrays */
void program_free(struct program *program);

/** program_environment() - the value of a variable, or NULL */
const char *program_environment(const struct program *program, const char *name);

/**
 * program_set_environment() - set a variable; @entry is `NAME=value` and is kept
 *
 * Does nothing when there is no room for a new name.
 */
void program_set_environment(struct program *program, char *entry);

#endif
