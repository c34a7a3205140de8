/* Decodes the records of a RUN frame into a program to start. */
#include "records.h"

#include <stdlib.h>
#include <string.h>

#define EXTRA_VARIABLES	2	/* PATH and HOME, when the records have none */

static char **find_variable(const struct program *program, const char *name, size_t length)
{
	char **entry = program->environment;

	while (*entry && (strncmp(*entry, name, length) || (*entry)[length] != '='))
		entry++;
	return entry;
}

const char *program_environment(const struct program *program, const char *name)
{
	size_t length = strlen(name);
	char **entry = find_variable(program, name, length);

	return *entry ? *entry + length + 1 : NULL;
}

void program_set_environment(struct program *program, char *entry)
{
	char **place = find_variable(program, entry, strcspn(entry, "="));

	if (!*place) {
		if (program->environment_size == program->environment_capacity)
			return;
		program->environment_size++;
	}
	*place = entry;
}

void program_free(struct program *program)
{
	free(program->arguments);
	free(program->environment);
	free(program->volumes);
	*program = (struct program){ 0 };
}

/* Counts records by key, so that the arrays can be allocated at once. */
static size_t count_records(const char *records, size_t size, const char *key)
{
	size_t count = 0, length = strlen(key);

	for (const char *record = records; record < records + size; record += strlen(record) + 1)
		count += !strncmp(record, key, length);
	return count;
}

static int decode_record(char *record, struct program *program, char ***argument,
			 char ***volume, struct error *error)
{
	char *value = strchr(record, '=');
	size_t length = value ? (size_t)(value - record) : 0;

	if (!value)
		return error_set(error, ERROR_MACHINE, "malformed run record \"%s\": no '='", record);
	value++;

#define IS(key) (length == sizeof(key) - 1 && !memcmp(record, key, sizeof(key) - 1))
	if (IS("arg")) {
		*(*argument)++ = value;
	} else if (IS("env")) {
		if (*value == '=' || !strchr(value, '='))
			return error_set(error, ERROR_MACHINE, "environment variable \"%s\" is "
					 "not of the form NAME=value", value);
		program_set_environment(program, value);
	} else if (IS("volume")) {
		*(*volume)++ = value;
	} else if (IS("workdir")) {
		program->workdir = value;
	} else if (IS("user")) {
		program->user = value;
	} else if (IS("hostname")) {
		program->hostname = value;
	} else {
		return error_set(error, ERROR_MACHINE, "unknown run record \"%s\"", record);
	}
#undef IS
	return 0;
}

int records_decode(char *records, size_t size, struct program *program, struct error *error)
{
	size_t arguments, variables;
	char **argument, **volume;

	*program = (struct program){ 0 };
	if (!size || records[size - 1])
		return error_set(error, ERROR_MACHINE, "malformed run records: no NUL at the end");

	arguments = count_records(records, size, "arg=");
	if (!arguments)
		return error_set(error, ERROR_MACHINE, "no program to run: give one on the "
				 "command line, or pack with an entrypoint");
	variables = count_records(records, size, "env=") + EXTRA_VARIABLES;
	program->arguments = calloc(arguments + 1, sizeof(char *));
	program->environment = calloc(variables + 1, sizeof(char *));
	program->environment_capacity = variables;
	program->volumes = calloc(count_records(records, size, "volume=") + 1, sizeof(char *));
	if (!program->arguments || !program->environment || !program->volumes)
		return error_set(error, ERROR_MACHINE, "out of memory for the program's arguments: "
				 "give the machine more memory");

	argument = program->arguments;
	volume = program->volumes;
	for (char *record = records; record < records + size; record += strlen(record) + 1)
		if (decode_record(record, program, &argument, &volume, error))
			return -1;
	return 0;
}
