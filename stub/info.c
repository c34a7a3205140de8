/* Describes the packed file on stdout. */
#include "info.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "log.h"

/* Values come from the file and go to a terminal: nothing but printable characters. */
static void print_value(const char *value)
{
	for (; *value; value++)
		putchar(log_shown(value));
}

#define SHOWN_ROOT 8	/* bytes of a root that tell two sections apart */

static void print_section(const struct artifact *artifact, enum format_section_type type)
{
	const struct section *section = &artifact->sections[type];

	if (!section->size)
		return;
	printf("%-10s %12" PRIu64 " %12" PRIu64, artifact_section_name(type), section->offset,
	       section->size);
	for (unsigned i = 0; type != FORMAT_SECTION_HASHES && i < SHOWN_ROOT; i++)
		printf("%s%02x", i ? "" : "  ", section->tree.root[i]);
	printf("\n");
}

static void print_time(uint64_t seconds)
{
	time_t time = (time_t)seconds;
	struct tm parts;
	char text[64];

	/* A year of more than four digits is no year that anything was signed in. */
	if (seconds <= INT64_MAX && gmtime_r(&time, &parts) && parts.tm_year < 10000 - 1900 &&
	    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &parts) > 0)
		printf("%s", text);
	else
		printf("a time that makes no sense");
}

void info_print_signers(const struct signatures *signatures)
{
	if (signatures->count == 0)
		printf("unsigned\n");
	for (unsigned i = 0; i < signatures->count; i++) {
		printf("signed by %s, as it says at ", signatures->signers[i].fingerprint);
		print_time(signatures->signers[i].time);
		printf("\n");
	}
	if (signatures->unknown)
		printf("signatures of unknown types: %u\n", signatures->unknown);
}

int info_print(const struct artifact *artifact, const struct signatures *signatures)
{
	printf("format     %d\nsize       %" PRIu64 " bytes\n\n"
	       "section          offset         size  root\n", FORMAT_VERSION, artifact->file_size);
	for (int type = FORMAT_SECTION_LAUNCHER; type <= FORMAT_SECTION_HASHES; type++)
		print_section(artifact, type);
	printf("\n");
	info_print_signers(signatures);
	printf("\n");
	for (const char *record = NULL; (record = artifact_next_record(artifact, record));) {
		print_value(record);
		putchar('\n');
	}
	return fflush(stdout) == 0 ? 0 : -errno;
}
