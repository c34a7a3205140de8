/* Opens the packed file. Every number in it is hostile until checked here. */
#include "artifact.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMPLAIN(...) (snprintf(why, why_size, __VA_ARGS__), -EINVAL)

static bool all_zero(const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	while (size--)
		if (*at++)
			return false;
	return true;
}

static int read_exactly(int fd, void *buffer, size_t size, uint64_t offset)
{
	ssize_t got = pread(fd, buffer, size, (off_t)offset);

	if (got < 0)
		return -errno;
	return (size_t)got == size ? 0 : -ENODATA;
}

static int read_trailer(const struct artifact *artifact, struct format_trailer *trailer,
			char *why, size_t why_size)
{
	uint64_t file_size = artifact->file_size;

	if (file_size < sizeof(*trailer) ||
	    read_exactly(artifact->fd, trailer, sizeof(*trailer), file_size - sizeof(*trailer)) < 0 ||
	    memcmp(trailer->magic, FORMAT_TRAILER_MAGIC, sizeof(trailer->magic)))
		return COMPLAIN("no machine is packed in this file, or it was cut short");
	if (trailer->version != FORMAT_VERSION)
		return COMPLAIN("format version %u is not known to this launcher (it knows %u)",
				trailer->version, FORMAT_VERSION);
	if (trailer->file_size != file_size)
		return COMPLAIN("the file should have %llu bytes but has %llu",
				(unsigned long long)trailer->file_size,
				(unsigned long long)file_size);
	if (trailer->reserved0 || !all_zero(trailer->reserved1, sizeof(trailer->reserved1)))
		return COMPLAIN("reserved bytes in the trailer are not zero");
	return 0;
}

/* Where the next section may start at the earliest moves up as sections are checked. */
static int add_section(struct artifact *artifact, const struct format_section *entry,
		       uint64_t *free_from, uint64_t end, char *why, size_t why_size)
{
	if (entry->type < FORMAT_SECTION_LAUNCHER || entry->type > FORMAT_SECTION_CONFIG)
		return COMPLAIN("section type %u is not known", entry->type);
	if (entry->reserved0 || !all_zero(entry->reserved1, sizeof(entry->reserved1)))
		return COMPLAIN("reserved bytes of section %u are not zero", entry->type);
	if (artifact->sections[entry->type].size)
		return COMPLAIN("section %u stands in the table twice", entry->type);
	if (entry->size == 0)
		return COMPLAIN("section %u is empty", entry->type);
	if (entry->offset % FORMAT_PAGE_SIZE)
		return COMPLAIN("section %u is not page-aligned", entry->type);
	if (entry->offset < *free_from)
		return COMPLAIN("section %u overlaps the one before it", entry->type);
	if (entry->offset > end || entry->size > end - entry->offset)
		return COMPLAIN("section %u reaches outside the file", entry->type);
	artifact->sections[entry->type] =
		(struct section){ .offset = entry->offset, .size = entry->size };
	*free_from = entry->offset + entry->size;
	return 0;
}

static int read_table(struct artifact *artifact, const struct format_trailer *trailer, char *why,
		      size_t why_size)
{
	struct {
		struct format_table	header;
		struct format_section	entries[FORMAT_MAX_SECTIONS];
	} table;
	uint64_t end = artifact->file_size - sizeof(*trailer);
	uint64_t size = trailer->table_size, free_from = 0;

	if (size < sizeof(table.header) || size > sizeof(table) ||
	    trailer->table_offset % FORMAT_PAGE_SIZE || trailer->table_offset > end ||
	    size != end - trailer->table_offset)
		return COMPLAIN("the table of sections is not where it must be");
	if (read_exactly(artifact->fd, &table, size, trailer->table_offset) < 0)
		return COMPLAIN("the table of sections cannot be read");
	if (memcmp(table.header.magic, FORMAT_TABLE_MAGIC, sizeof(table.header.magic)) ||
	    table.header.version != FORMAT_VERSION || table.header.reserved0 ||
	    !all_zero(table.header.reserved1, sizeof(table.header.reserved1)))
		return COMPLAIN("the table of sections is damaged");
	if (table.header.arch != FORMAT_ARCH_X86_64)
		return COMPLAIN("the machine inside is of another architecture");
	if (table.header.section_count > FORMAT_MAX_SECTIONS ||
	    size != sizeof(table.header) +
		    table.header.section_count * sizeof(struct format_section))
		return COMPLAIN("the table of sections has a wrong size");
	for (uint32_t i = 0; i < table.header.section_count; i++) {
		int error = add_section(artifact, &table.entries[i], &free_from,
					trailer->table_offset, why, why_size);

		if (error)
			return error;
	}
	if (artifact->sections[FORMAT_SECTION_LAUNCHER].offset != 0)
		return COMPLAIN("the launcher is not at the start of the file");
	for (int type = FORMAT_SECTION_LAUNCHER; type <= FORMAT_SECTION_CONFIG; type++)
		if (!artifact->sections[type].size)
			return COMPLAIN("section %d is missing", type);
	return 0;
}

static const void *map(const struct artifact *artifact, enum format_section_type type)
{
	const struct section *section = &artifact->sections[type];

	return mmap(NULL, section->size, PROT_READ, MAP_PRIVATE, artifact->fd,
		    (off_t)section->offset);
}

int artifact_open(struct artifact *artifact, int fd, char *why, size_t why_size)
{
	struct format_trailer trailer;
	struct stat status;

	*artifact = (struct artifact){ .fd = fd };
	if (fstat(fd, &status) < 0)
		return COMPLAIN("the file cannot be examined: %s", strerror(errno));
	artifact->file_size = (uint64_t)status.st_size;

	int error = read_trailer(artifact, &trailer, why, why_size);

	if (!error)
		error = read_table(artifact, &trailer, why, why_size);
	if (error)
		return error;

	artifact->kernel = map(artifact, FORMAT_SECTION_KERNEL);
	artifact->initramfs = map(artifact, FORMAT_SECTION_INITRAMFS);
	artifact->config = map(artifact, FORMAT_SECTION_CONFIG);
	if (artifact->kernel == MAP_FAILED || artifact->initramfs == MAP_FAILED ||
	    artifact->config == MAP_FAILED)
		return COMPLAIN("the file cannot be mapped: %s", strerror(errno));

	uint64_t config_size = artifact->sections[FORMAT_SECTION_CONFIG].size;

	if (config_size > FORMAT_MAX_CONFIG || artifact->config[config_size - 1] != '\0')
		return COMPLAIN("the run defaults are damaged");
	return 0;
}

void artifact_trim(const struct artifact *artifact)
{
	madvise((void *)(uintptr_t)artifact->kernel,
		artifact->sections[FORMAT_SECTION_KERNEL].size, MADV_DONTNEED);
	madvise((void *)(uintptr_t)artifact->initramfs,
		artifact->sections[FORMAT_SECTION_INITRAMFS].size, MADV_DONTNEED);
}

const char *artifact_next_record(const struct artifact *artifact, const char *record)
{
	const char *end = artifact->config + artifact->sections[FORMAT_SECTION_CONFIG].size;
	const char *next = record ? record + strlen(record) + 1 : artifact->config;

	return next < end ? next : NULL;
}

const char *artifact_config(const struct artifact *artifact, const char *key)
{
	size_t length = strlen(key);

	for (const char *record = NULL; (record = artifact_next_record(artifact, record));)
		if (strncmp(record, key, length) == 0 && record[length] == '=')
			return record + length + 1;
	return NULL;
}
