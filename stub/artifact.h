/* The packed file: its sections, every bound checked, mapped read-only. */
#ifndef SMOLPACK_ARTIFACT_H
#define SMOLPACK_ARTIFACT_H

#include <stddef.h>
#include <stdint.h>

#include "format.h"
#include "hashtree.h"

#define ARTIFACT_MAX_TABLE \
	(sizeof(struct format_table) + FORMAT_MAX_SECTIONS * sizeof(struct format_section))

/* A part of the file; size 0 when the file has no such section. */
struct section {
	uint64_t	offset;		/* from the start of the file */
	uint64_t	size;
	uint64_t	tree_offset;	/* of its tree in the section of hashes */
	struct hashtree	tree;		/* over its bytes; the section of hashes has none */
};

struct artifact {
	int		fd;
	uint64_t	file_size;
	struct section	sections[FORMAT_SECTION_HASHES + 1];	/* by enum format_section_type */

	/* The table and the signatures over it, as they stand in the file. */
	uint8_t		table[ARTIFACT_MAX_TABLE];
	size_t		table_size;
	uint64_t	table_offset;
	uint8_t		*signatures;	/* allocated; NULL when there are none */
	size_t		signatures_size;

	/* The small sections, mapped; the root file system is only ever read by offset. */
	const uint8_t	*kernel;
	const uint8_t	*initramfs;
	const uint8_t	*hashes;	/* NULL when there are none */
	const char	*config;	/* checked; sections[…].size bytes, the last one NUL */
};

/**
 * artifact_open - read trailer and table of the file at @fd, check them, map the small sections.
 *
 * Of the sections' content only config has been compared with its hash when this returns. What
 * the table says has the word of those who signed it, once signatures_verify() has said so.
 * @artifact takes over @fd. On failure @why says what is wrong with the file.
 * Return: 0 or a negative errno.
 */
int artifact_open(struct artifact *artifact, int fd, char *why, size_t why_size);

/**
 * artifact_check - compare a section, mapped at @data, with its hashes.
 *
 * Return: 0, or -EILSEQ and @why names section and place.
 */
int artifact_check(const struct artifact *artifact, enum format_section_type type,
		   const void *data, char *why, size_t why_size);

/** artifact_section_name - what people call it. */
const char *artifact_section_name(enum format_section_type type);

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
