/* Opens the packed file. Every number in it is hostile until checked here. */
#include "artifact.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

const char *artifact_section_name(enum format_section_type type)
{
	static const char *const names[] = {
		[FORMAT_SECTION_LAUNCHER] = "launcher", [FORMAT_SECTION_KERNEL] = "kernel",
		[FORMAT_SECTION_INITRAMFS] = "initramfs", [FORMAT_SECTION_ROOTFS] = "rootfs",
		[FORMAT_SECTION_CONFIG] = "config", [FORMAT_SECTION_SBOM] = "sbom",
		[FORMAT_SECTION_HASHES] = "hashes",
	};

	return names[type];
}

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

/* What the entries read so far have taken. */
struct taken {
	uint64_t	file;		/* bytes up to the end of the last section */
	uint64_t	hashes;		/* bytes of the hashes section that hold their trees */
};

/* The first page that starts at or behind @offset, which lies in the file. */
static uint64_t page_after(uint64_t offset)
{
	return (offset + FORMAT_PAGE_SIZE - 1) & ~(uint64_t)(FORMAT_PAGE_SIZE - 1);
}

static int add_section(struct artifact *artifact, const struct format_section *entry,
		       struct taken *taken, char *why, size_t why_size)
{
	uint64_t end = artifact->table_offset;

	if (entry->type < FORMAT_SECTION_LAUNCHER || entry->type > FORMAT_SECTION_HASHES)
		return COMPLAIN("section type %u is not known", entry->type);

	const char *name = artifact_section_name(entry->type);
	struct section *section = &artifact->sections[entry->type];

	if (entry->reserved0)
		return COMPLAIN("reserved bytes of the %s section are not zero", name);
	if (section->size)
		return COMPLAIN("the %s section stands in the table twice", name);
	if (entry->size == 0)
		return COMPLAIN("the %s section is empty", name);
	if (entry->offset % FORMAT_PAGE_SIZE)
		return COMPLAIN("the %s section is not page-aligned", name);
	if (entry->offset < taken->file)
		return COMPLAIN("the %s section overlaps the one before it", name);
	if (entry->offset > end || entry->size > end - entry->offset)
		return COMPLAIN("the %s section reaches outside the file", name);
	if (entry->offset != page_after(taken->file))
		return COMPLAIN("there is a gap before the %s section", name);
	*section = (struct section){
		.offset = entry->offset, .size = entry->size, .tree_offset = entry->tree_offset,
	};
	taken->file = entry->offset + entry->size;
	if (entry->type == FORMAT_SECTION_HASHES) {
		if (entry->tree_offset || !all_zero(entry->root, sizeof(entry->root)))
			return COMPLAIN("the %s section has hashes of its own", name);
		return 0;
	}

	uint64_t nodes = hashtree_nodes_size(entry->size);

	if (entry->tree_offset != (nodes ? taken->hashes : 0))
		return COMPLAIN("the hashes of the %s section are not where they must be", name);
	taken->hashes += nodes;
	section->tree.size = entry->size;
	memcpy(section->tree.root, entry->root, sizeof(entry->root));
	return 0;
}

static int read_sections(struct artifact *artifact, uint32_t count, char *why, size_t why_size)
{
	struct taken taken = { 0 };
	uint32_t last = 0;	/* type of the last one */

	for (uint32_t i = 0; i < count; i++) {
		struct format_section entry;

		memcpy(&entry, artifact->table + sizeof(struct format_table) + i * sizeof(entry),
		       sizeof(entry));
		int error = add_section(artifact, &entry, &taken, why, why_size);

		if (error)
			return error;
		last = entry.type;
	}
	for (int type = FORMAT_SECTION_LAUNCHER; type <= FORMAT_SECTION_CONFIG; type++)
		if (!artifact->sections[type].size)
			return COMPLAIN("the %s section is missing", artifact_section_name(type));
	if (artifact->table_offset != page_after(taken.file))
		return COMPLAIN("there is a gap before the table of sections");
	if (artifact->sections[FORMAT_SECTION_LAUNCHER].offset != 0)
		return COMPLAIN("the launcher is not at the start of the file");
	if (artifact->sections[FORMAT_SECTION_HASHES].size != taken.hashes)
		return COMPLAIN("the hashes section has a wrong size");
	if (taken.hashes && last != FORMAT_SECTION_HASHES)
		return COMPLAIN("the hashes section is not the last one");
	return 0;
}

static int read_table(struct artifact *artifact, const struct format_trailer *trailer, char *why,
		      size_t why_size)
{
	struct format_table header;
	uint64_t end = artifact->file_size - sizeof(*trailer);
	uint64_t size = trailer->table_size, signatures_size = trailer->signatures_size;

	if (signatures_size > FORMAT_MAX_SIGNATURES || signatures_size > end)
		return COMPLAIN("its signatures are too large");
	end -= signatures_size;
	if (size < sizeof(header) || size > sizeof(artifact->table) ||
	    trailer->table_offset % FORMAT_PAGE_SIZE || trailer->table_offset > end ||
	    size != end - trailer->table_offset)
		return COMPLAIN("the table of sections is not where it must be");
	artifact->table_offset = trailer->table_offset;
	artifact->table_size = size;
	artifact->signatures_size = signatures_size;
	if (signatures_size && !(artifact->signatures = malloc(signatures_size)))
		return COMPLAIN("there is no memory for its signatures");
	if (read_exactly(artifact->fd, artifact->table, size, trailer->table_offset) < 0 ||
	    read_exactly(artifact->fd, artifact->signatures, signatures_size, end) < 0)
		return COMPLAIN("the table of sections cannot be read");
	memcpy(&header, artifact->table, sizeof(header));
	if (memcmp(header.magic, FORMAT_TABLE_MAGIC, sizeof(header.magic)) ||
	    header.version != FORMAT_VERSION || header.reserved0 ||
	    !all_zero(header.reserved1, sizeof(header.reserved1)))
		return COMPLAIN("the table of sections is damaged");
	if (header.arch != FORMAT_ARCH_X86_64)
		return COMPLAIN("the machine inside is of another architecture");
	if (header.section_count > FORMAT_MAX_SECTIONS ||
	    size != sizeof(header) + header.section_count * sizeof(struct format_section))
		return COMPLAIN("the table of sections has a wrong size");
	return read_sections(artifact, header.section_count, why, why_size);
}

static const void *map(const struct artifact *artifact, enum format_section_type type)
{
	const struct section *section = &artifact->sections[type];

	return mmap(NULL, section->size, PROT_READ, MAP_PRIVATE, artifact->fd,
		    (off_t)section->offset);
}

/* Only what its hash speaks for is looked at. */
static int check_config(const struct artifact *artifact, char *why, size_t why_size)
{
	const struct section *section = &artifact->sections[FORMAT_SECTION_CONFIG];

	if (section->size > FORMAT_MAX_CONFIG)
		return COMPLAIN("the config section is too large");

	int error = artifact_check(artifact, FORMAT_SECTION_CONFIG, artifact->config, why, why_size);

	if (error)
		return error;
	if (artifact->config[section->size - 1] != '\0')
		return COMPLAIN("a record of the config section has no end");
	for (const char *record = NULL; (record = artifact_next_record(artifact, record));)
		if (*record == '=' || !strchr(record, '='))
			return COMPLAIN("a record of the config section is not key=value");
	return 0;
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
	if (artifact->sections[FORMAT_SECTION_HASHES].size)
		artifact->hashes = map(artifact, FORMAT_SECTION_HASHES);
	if (artifact->kernel == MAP_FAILED || artifact->initramfs == MAP_FAILED ||
	    artifact->config == MAP_FAILED || artifact->hashes == MAP_FAILED)
		return COMPLAIN("the file cannot be mapped: %s", strerror(errno));
	for (int type = FORMAT_SECTION_LAUNCHER; artifact->hashes && type < FORMAT_SECTION_HASHES;
	     type++)
		artifact->sections[type].tree.nodes =
			artifact->hashes + artifact->sections[type].tree_offset;
	return check_config(artifact, why, why_size);
}

int artifact_check(const struct artifact *artifact, enum format_section_type type,
		   const void *data, char *why, size_t why_size)
{
	const struct section *section = &artifact->sections[type];
	uint64_t bad;

	if (hashtree_check_range(&section->tree, data, 0, section->size, &bad) == 0)
		return 0;
	snprintf(why, why_size, "its %s section is damaged at offset %llu of the file; get the file "
		 "again", artifact_section_name(type), (unsigned long long)(section->offset + bad));
	return -EILSEQ;
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
