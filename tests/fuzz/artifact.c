// sources: stub/artifact.c stub/hashtree.c libsodium.c
/*
 * Trailer, table and config of a packed file.
 *
 * The input is a byte of flags, the length of a config section and its bytes, and then
 * the end of the file, from the table on; what stands before is good. The flags let
 * hashes and sizes be right, so that what lies behind these checks is reached.
 */
#include "fake_artifact.h"
#include "fuzz.h"

#define FIX_CONFIG	1
#define FIX_FILE_SIZE	2
#define CONFIG_INDEX	(FORMAT_SECTION_CONFIG - 1)
#define MAX_END		0x20000

static uint8_t end[MAX_END];
static int fd = -1;

/* The config section's entry speaks for the bytes that are there now. */
static void fix_config(const uint8_t *config, size_t size, size_t end_size)
{
	size_t place = sizeof(struct format_table) + CONFIG_INDEX * sizeof(struct format_section);
	struct format_section entry;
	struct hashtree tree;

	if (end_size < place + sizeof(entry))
		return;
	memcpy(&entry, end + place, sizeof(entry));
	fake_tree(&tree, config, size);
	entry.size = size;
	memcpy(entry.root, tree.root, sizeof(entry.root));
	fake_tree_free(&tree);
	memcpy(end + place, &entry, sizeof(entry));
}

static void fix_file_size(size_t end_size)
{
	struct format_trailer trailer;

	if (end_size < sizeof(trailer))
		return;
	memcpy(&trailer, end + end_size - sizeof(trailer), sizeof(trailer));
	trailer.file_size = FAKE_TABLE_OFFSET + end_size;
	memcpy(end + end_size - sizeof(trailer), &trailer, sizeof(trailer));
}

/* What was accepted lies inside the file and can be read. */
static void look_around(struct artifact *artifact)
{
	char why[256];
	size_t records = 0;

	for (int type = FORMAT_SECTION_LAUNCHER; type <= FORMAT_SECTION_HASHES; type++) {
		const struct section *section = &artifact->sections[type];

		MUST(section->size || type > FORMAT_SECTION_CONFIG);
		MUST(section->offset <= artifact->table_offset &&
		     section->size <= artifact->table_offset - section->offset);
	}
	MUST(artifact->table_size <= sizeof(artifact->table));
	MUST(artifact->table_offset + artifact->table_size + artifact->signatures_size +
	     sizeof(struct format_trailer) == artifact->file_size);
	artifact_check(artifact, FORMAT_SECTION_KERNEL, artifact->kernel, why, sizeof(why));
	artifact_check(artifact, FORMAT_SECTION_INITRAMFS, artifact->initramfs, why, sizeof(why));
	for (const char *record = NULL; (record = artifact_next_record(artifact, record));)
		records += strlen(record) + 1;
	MUST(records == artifact->sections[FORMAT_SECTION_CONFIG].size);
	artifact_config(artifact, "mem");
	artifact_trim(artifact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct artifact artifact;
	char why[256] = "";

	if (size < 2)
		return 0;
	uint8_t flags = data[0];
	size_t config_size = data[1];
	const uint8_t *config = data + 2;

	if (config_size == 0 || config_size > size - 2 || size - 2 - config_size > MAX_END)
		return 0;
	size_t end_size = size - 2 - config_size;

	memcpy(end, config + config_size, end_size);
	if (flags & FIX_CONFIG)
		fix_config(config, config_size, end_size);
	if (flags & FIX_FILE_SIZE)
		fix_file_size(end_size);
	if (fd < 0) {
		fake_artifact();
		fd = memfd_create("tool.vm", MFD_CLOEXEC);
		MUST(write(fd, fake_bytes, FAKE_TABLE_OFFSET) == FAKE_TABLE_OFFSET);
	}
	MUST(ftruncate(fd, FAKE_TABLE_OFFSET) == 0);
	MUST(pwrite(fd, end, end_size, FAKE_TABLE_OFFSET) == (ssize_t)end_size);
	MUST(pwrite(fd, config, config_size, (off_t)fake_entries[CONFIG_INDEX].offset) ==
	     (ssize_t)config_size);

	if (artifact_open(&artifact, dup(fd), why, sizeof(why)) == 0)
		look_around(&artifact);
	else
		MUST(why[0]);
	fake_close(&artifact);
	return 0;
}
