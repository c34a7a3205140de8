/* The packed file: its sections, every bound checked, mapped read-only. */
#ifndef SMOLPACK_ARTIFACT_H
#define SMOLPACK_ARTIFACT_H

#include <stddef.h>
#include <stdint.h>

#include "format.h"

/* A part of the file; size 0 when the file has no such section. */
struct section {
	uint64_t	offset;		/* from the start of the file */
	uint64_t	size;
};

struct artifact {
	int		fd;
	uint64_t	file_size;
	struct section	sections[FORMAT_SECTION_CONFIG + 1];	/* by enum format_section_type */

	/* The small sections, mapped; the root file system is only ever read by offset. */
	const uint8_t	*kernel;
	const uint8_t	*initramfs;
	const char	*config;	/* sections[…].size bytes, the last one NUL */
};

/**
 * artifact_open - read trailer and table of the file at @fd, check them, map the small sections.
 *
 * @artifact takes over @fd. On failure @why says what is wrong with the file.
 * Return: 0 or a negative errno.
 */
int artifact_open(struct artifact *artifact, int fd, char *why, size_t why_size);

/**
 * artifact_trim - give back the memory of the mapped kernel and initramfs, once they are copied.
 *
 * They stay readable: what is touched again comes from the file again.
 */
void artifact_trim(const struct artifact *artifact);

/**
 * artifact_next_record - walk the `key=value` records of the config section.
 *
 * @record: NULL for the first. Return: the next record, or NULL at the end.
 */
const char *artifact_next_record(const struct artifact *artifact, const char *record);

/** artifact_config - Return: the value of the first record with @key, or NULL. */
const char *artifact_config(const struct artifact *artifact, const char *key);

#endif
