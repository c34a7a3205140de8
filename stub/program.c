/* Puts together what to run. */
#include "program.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int add(struct records *records, const char *key, const char *value)
{
	size_t key_size = strlen(key), value_size = strlen(value) + 1;
	char *grown = realloc(records->bytes, records->size + key_size + 1 + value_size);

	if (!grown)
		return -ENOMEM;
	records->bytes = grown;
	grown += records->size;
	memcpy(grown, key, key_size);
	grown[key_size] = '=';
	memcpy(grown + key_size + 1, value, value_size);
	records->size += key_size + 1 + value_size;
	return 0;
}

/* The value when @record is one of @key. */
static const char *value_of(const char *record, const char *key)
{
	size_t length = strlen(key);

	return strncmp(record, key, length) == 0 && record[length] == '=' ? record + length + 1
									  : NULL;
}

/* Adds all values of @from as records of @to. Return: how many, or a negative errno. */
static int add_all(struct records *records, const struct artifact *artifact, const char *from,
		   const char *to)
{
	int count = 0;

	for (const char *record = NULL; (record = artifact_next_record(artifact, record));) {
		const char *value = value_of(record, from);

		if (!value)
			continue;
		if (add(records, to, value) < 0)
			return -ENOMEM;
		count++;
	}
	return count;
}

/*
 * ENTRYPOINT, then the user's words, or CMD when there are none. CMD is words for the packed
 * ENTRYPOINT and goes with it.
 */
static int add_arguments(struct records *records, const struct artifact *artifact,
			 const struct options *options)
{
	char **arguments = options->arguments;
	int count = 0;

	if (!options->entrypoint)
		count = add_all(records, artifact, "entrypoint", "arg");
	else if (*options->entrypoint)
		count = add(records, "arg", options->entrypoint) < 0 ? -ENOMEM : 1;
	if (count >= 0 && !*arguments && !options->entrypoint) {
		int more = add_all(records, artifact, "cmd", "arg");

		count = more < 0 ? more : count + more;
	}
	for (; count >= 0 && *arguments; arguments++, count++)
		if (add(records, "arg", *arguments) < 0)
			return -ENOMEM;
	return count == 0 ? -ENOENT : count < 0 ? count : 0;
}

static bool same_name(const char *a, const char *b)
{
	size_t length = strcspn(a, "=");

	return length == strcspn(b, "=") && strncmp(a, b, length) == 0;
}

static bool is_overridden(const char *variable, const struct options *options)
{
	for (size_t i = 0; i < options->environment_count; i++)
		if (same_name(variable, options->environment[i]))
			return true;
	return false;
}

static int add_environment(struct records *records, const struct artifact *artifact,
			   const struct options *options, const char *terminal_type)
{
	bool has_term = !terminal_type || is_overridden("TERM=", options);
	int error = 0;

	for (const char *record = NULL; (record = artifact_next_record(artifact, record)) && !error;) {
		const char *variable = value_of(record, "env");

		if (!variable || is_overridden(variable, options))
			continue;
		has_term = has_term || same_name(variable, "TERM=");
		error = add(records, "env", variable);
	}
	if (!error && !has_term) {
		char term[128] = "TERM=";

		strncat(term, terminal_type, sizeof(term) - sizeof("TERM="));
		error = add(records, "env", term);
	}
	for (size_t i = 0; i < options->environment_count && !error; i++) {
		bool again = false;	/* the last one of a name counts */

		for (size_t j = i + 1; j < options->environment_count; j++)
			again = again || same_name(options->environment[i], options->environment[j]);
		if (!again)
			error = add(records, "env", options->environment[i]);
	}
	return error;
}

int program_describe(struct records *records, const struct artifact *artifact,
		     const struct options *options, const char *terminal_type)
{
	const struct { const char *key, *given; } settings[] = {
		{ "workdir", options->workdir }, { "user", options->user }, { "hostname", NULL },
	};

	*records = (struct records){ 0 };

	int error = add_arguments(records, artifact, options);

	if (!error)
		error = add_environment(records, artifact, options, terminal_type);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]) && !error; i++) {
		const char *value = settings[i].given ? settings[i].given
						      : artifact_config(artifact, settings[i].key);

		if (value)
			error = add(records, settings[i].key, value);
	}
	if (!error && add_all(records, artifact, "volume", "volume") < 0)
		error = -ENOMEM;
	return error;
}
