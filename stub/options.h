/* The --vm-… options of a packed file. */
#ifndef SMOLPACK_OPTIONS_H
#define SMOLPACK_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct options {
	bool		help, info, verify, console, debug;
	uint64_t	memory_size;	/* bytes; 0: as packed */
	unsigned	cpus;		/* 0: as packed */
	uint64_t	timeout_ms;	/* 0: none */
	unsigned	stop_signal;	/* Linux number; 0: as packed */
	const char	*entrypoint;	/* a program, "" for none; NULL: as packed */
	const char	*workdir;	/* absolute path in the guest; NULL: as packed */
	const char	*user;		/* USER[:GROUP]; NULL: as packed */
	const char	*accelerator;	/* a name, or NULL for auto */
	const char	**environment;	/* NAME=value, environment_count of them */
	size_t		environment_count;
	char		**arguments;	/* the program's, NULL-terminated */
};

/**
 * options_parse - take the leading --vm-… words off @argv; the rest is the program's.
 *
 * The first word that is no --vm-… option ends them; `--` does too and is dropped.
 * Return: 0, or -EINVAL and @why says which word is wrong and what is right.
 */
int options_parse(struct options *options, char **argv, char *why, size_t why_size);

/** options_parse_size - bytes from `512M`, `2G`, `1048576`. Return: 0 or -EINVAL. */
int options_parse_size(const char *text, uint64_t *bytes);

/** options_parse_count - a decimal number from 1 to @max. Return: 0 or -EINVAL. */
int options_parse_count(const char *text, unsigned max, unsigned *count);

/** options_help - what --vm-help prints, with one %s for the program's name. */
extern const char options_help[];

#endif
