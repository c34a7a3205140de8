/* What to run in the guest: the file's defaults, changed by the command line. */
#ifndef SMOLPACK_PROGRAM_H
#define SMOLPACK_PROGRAM_H

#include <stddef.h>

#include "artifact.h"
#include "options.h"

/* `key=value` NUL records, as guest/proto.h has them after struct proto_run. */
struct records {
	char	*bytes;
	size_t	size;
};

/**
 * program_describe - entrypoint, arguments, environment, user and directory as records.
 *
 * @terminal_type: the host's TERM for a program with a terminal, else NULL.
 * Return: 0, -ENOENT when there is nothing to run, or -ENOMEM.
 */
int program_describe(struct records *records, const struct artifact *artifact,
		     const struct options *options, const char *terminal_type);

#endif
