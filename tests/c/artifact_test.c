// sources: stub/artifact.c stub/hashtree.c libsodium.c
/* Packed files: a good one, one with each defect, and thousands of damaged ones. */
#include <errno.h>

#include "check.h"
#include "fake_artifact.h"
#include "next_random.h"

#define PAGE		FAKE_PAGE
#define SECTIONS	FAKE_SECTIONS
#define LAST		(SECTIONS - 1)
#define CONFIG		(FORMAT_SECTION_CONFIG - 1)
#define TABLE_OFFSET	FAKE_TABLE_OFFSET
#define FILE_SIZE	FAKE_FILE_SIZE
#define MUTATIONS	4000

static struct artifact artifact;
static char why[256];

static void close_artifact(void)
{
	fake_close(&artifact);
}

/* Opens the first @size bytes as a file. Return: what artifact_open() does. */
static int open_bytes(size_t size)
{
	int fd = memfd_create("tool.vm", MFD_CLOEXEC);

	CHECK_INT(write(fd, fake_bytes, size), size);
	why[0] = '\0';
	return artifact_open(&artifact, fd, why, sizeof(why));
}

/* The file as it stands must be refused, and the message must name the reason. */
static void refused(const char *reason)
{
	CHECK(open_bytes(FILE_SIZE) < 0);
	if (!CHECK(strstr(why, reason)))
		fprintf(stderr, "\twanted \"%s\" in \"%s\"\n", reason, why);
	close_artifact();
	fake_artifact();
}

static void test_good(void)
{
	fake_artifact();
	CHECK_INT(open_bytes(FILE_SIZE), 0);
	CHECK_INT(artifact.file_size, FILE_SIZE);
	CHECK_INT(artifact.sections[FORMAT_SECTION_ROOTFS].offset,
		  2 * PAGE + FAKE_CHUNKS_KERNEL * FORMAT_CHUNK_SIZE);
	CHECK_INT(artifact.sections[FORMAT_SECTION_ROOTFS].size,
		  FAKE_CHUNKS_ROOTFS * FORMAT_CHUNK_SIZE);
	CHECK_INT(artifact.table_size, FAKE_TABLE_SIZE);
	CHECK_MEM(artifact.table, fake_table, FAKE_TABLE_SIZE);
	CHECK_INT(artifact.signatures_size, FAKE_SIGNATURES);
	CHECK_INT(artifact.kernel[100], 'B');
	CHECK_INT(artifact.initramfs[0], 'C');
	CHECK_STR(artifact_config(&artifact, "mem"), "64M");
	CHECK_STR(artifact_config(&artifact, "env"), "A=1");
	CHECK_STR(artifact_config(&artifact, "empty"), "");
	CHECK_STR(artifact_config(&artifact, "me"), NULL);
	CHECK_STR(artifact_config(&artifact, ""), NULL);
	close_artifact();
}

static void test_records(void)
{
	static const char *const expected[] = { "mem=64M", "env=A=1", "env=B=2", "empty=" };
	const char *record = NULL;

	fake_artifact();
	CHECK_INT(open_bytes(FILE_SIZE), 0);
	for (unsigned i = 0; i < 4; i++) {
		record = artifact_next_record(&artifact, record);
		CHECK_STR(record, expected[i]);
	}
	CHECK(!artifact_next_record(&artifact, record));
	close_artifact();
}

/* Every section's tree is where it is looked for: one bad byte in each chunk is found. */
static void test_sections_are_checked(void)
{
	char whole[256];

	fake_artifact();
	CHECK_INT(open_bytes(FILE_SIZE), 0);
	for (unsigned type = FORMAT_SECTION_LAUNCHER; type < FORMAT_SECTION_HASHES; type++) {
		const struct section *section = &artifact.sections[type];
		uint8_t *data = fake_bytes + section->offset;

		CHECK_INT(artifact_check(&artifact, type, data, why, sizeof(why)), 0);
		for (uint64_t at = 0; at < section->size; at += FORMAT_CHUNK_SIZE) {
			data[at] ^= 1;
			CHECK_INT(artifact_check(&artifact, type, data, why, sizeof(why)), -EILSEQ);
			data[at] ^= 1;
			snprintf(whole, sizeof(whole), "its %s section is damaged at offset %llu of",
				 artifact_section_name(type),
				 (unsigned long long)(section->offset + at));
			CHECK(strstr(why, whole));
		}
	}
	close_artifact();
}

static void test_without_hashes(void)
{
	size_t hashes = 0;

	/* Five sections of a page at most, no sbom, no signatures. */
	fake_artifact();
	memcpy(fake_bytes + CONFIG * PAGE, fake_config, sizeof(fake_config) - 1);
	for (unsigned i = 0; i <= CONFIG; i++)
		fake_entry(i, i + 1, i * PAGE, i == CONFIG ? sizeof(fake_config) - 1 : PAGE, &hashes);
	CHECK_INT(hashes, 0);
	fake_table->section_count = CONFIG + 1;

	struct format_trailer moved = *fake_trailer;

	moved.table_offset = (CONFIG + 1) * PAGE;
	moved.table_size -= 2 * sizeof(struct format_section);
	moved.signatures_size = 0;
	moved.file_size = moved.table_offset + moved.table_size + sizeof(moved);
	memcpy(fake_bytes + moved.table_offset, fake_table, moved.table_size);
	memcpy(fake_bytes + moved.table_offset + moved.table_size, &moved, sizeof(moved));
	CHECK_INT(open_bytes(moved.file_size), 0);
	CHECK(!artifact.hashes);
	CHECK(!artifact.signatures);
	CHECK_INT(artifact.sections[FORMAT_SECTION_SBOM].size, 0);
	CHECK_INT(artifact_check(&artifact, FORMAT_SECTION_KERNEL, artifact.kernel, why,
				 sizeof(why)), 0);
	close_artifact();
}

static void test_tree_defects(void)
{
	fake_artifact();
	fake_entries[1].tree_offset = FORMAT_HASH_SIZE;	/* kernel */
	refused("hashes of the kernel section");
	fake_entries[3].tree_offset = 0;			/* rootfs, whose tree comes second */
	refused("hashes of the rootfs section");
	fake_entries[3].tree_offset = UINT64_MAX;
	refused("hashes of the rootfs section");
	fake_entries[0].tree_offset = FORMAT_HASH_SIZE;	/* launcher: has none */
	refused("hashes of the launcher section");
	fake_entries[LAST].tree_offset = FORMAT_HASH_SIZE;
	refused("hashes of its own");
	fake_entries[LAST].root[31] = 1;
	refused("hashes of its own");
	fake_entries[LAST].size--;
	refused("wrong size");
	fake_entries[LAST].size++;
	refused("wrong size");
	fake_entries[CONFIG].root[0] ^= 1;
	refused("config section is damaged");
	/* Hashes before sbom. */
	fake_entries[LAST] = fake_entries[LAST - 1];
	fake_entries[LAST].offset += PAGE;
	fake_entries[LAST - 1] = (struct format_section){
		.type = FORMAT_SECTION_HASHES, .offset = fake_entries[LAST].offset - PAGE,
		.size = FAKE_HASHES_SIZE,
	};
	refused("not the last");
}

static void test_signature_places(void)
{
	fake_artifact();
	fake_trailer->signatures_size = FORMAT_MAX_SIGNATURES + 1;
	refused("signatures");
	fake_trailer->signatures_size = UINT64_MAX;
	refused("signatures");
	fake_trailer->signatures_size += 8;
	refused("table");
	fake_trailer->signatures_size = 0;
	refused("table");
	fake_trailer->table_size += FAKE_SIGNATURES;
	fake_trailer->signatures_size = 0;
	refused("table");
}

static void test_truncated_anywhere(void)
{
	fake_artifact();
	for (size_t size = 0; size < FILE_SIZE; size += size < TABLE_OFFSET ? 997 : 1) {
		CHECK(open_bytes(size) < 0);
		CHECK(why[0]);
		close_artifact();
	}
}

static void test_trailing_bytes(void)
{
	fake_artifact();
	CHECK(open_bytes(FILE_SIZE + 1) < 0);
	close_artifact();
	memcpy(fake_bytes + FILE_SIZE, fake_trailer, sizeof(*fake_trailer));	/* even a whole trailer */
	CHECK(open_bytes(FILE_SIZE + sizeof(*fake_trailer)) < 0);
	CHECK(strstr(why, "bytes but has"));
	close_artifact();
}

static void test_trailer_defects(void)
{
	fake_artifact();
	fake_trailer->magic[7] = '\r';
	refused("no machine is packed");
	fake_trailer->version = FORMAT_VERSION + 1;
	refused("version 3");
	fake_trailer->version = 1;
	refused("version 1");
	fake_trailer->file_size++;
	refused("bytes but has");
	fake_trailer->reserved0 = 1;
	refused("reserved");
	fake_trailer->reserved1[15] = 1;
	refused("reserved");
	fake_trailer->table_offset += 8;
	refused("table");
	fake_trailer->table_offset -= PAGE;
	refused("table");
	fake_trailer->table_offset = UINT64_MAX & ~(uint64_t)(PAGE - 1);
	refused("table");
	fake_trailer->table_size = UINT64_MAX;
	refused("table");
	fake_trailer->table_size = 0;
	refused("table");
	fake_trailer->table_size -= sizeof(struct format_section);
	refused("table");
}

static void test_table_defects(void)
{
	fake_artifact();
	fake_table->magic[0] = 0;
	refused("table");
	fake_table->version = 0;
	refused("table");
	fake_table->reserved0 = 1;
	refused("table");
	fake_table->reserved1[39] = 1;
	refused("table");
	fake_table->arch = FORMAT_ARCH_AARCH64;
	refused("architecture");
	fake_table->section_count--;
	refused("table");
	fake_table->section_count = UINT32_MAX;
	refused("table");
	fake_table->section_count = 1u << 26;	/* times 64: 0 in 32 bits */
	refused("table");
}

static void test_section_defects(void)
{
	static const uint64_t huge[] = { UINT64_MAX, 1ull << 63, UINT64_MAX - PAGE + 1, 1ull << 32 };

	fake_artifact();
	fake_entries[1].type = 0;
	refused("type 0");
	fake_entries[1].type = FORMAT_SECTION_HASHES + 1;
	refused("type 8");
	fake_entries[1].type = UINT32_MAX;
	refused("type");
	fake_entries[1].type = FORMAT_SECTION_LAUNCHER;
	refused("twice");
	fake_entries[1].reserved0 = 1;
	refused("reserved");
	fake_entries[2].size = 0;
	refused("empty");
	fake_entries[2].offset++;
	refused("page-aligned");
	fake_entries[0].size = PAGE + 1;
	refused("overlaps");
	fake_entries[2].offset = 0;
	refused("overlaps");
	fake_entries[2].offset += PAGE;
	refused("gap before the initramfs section");
	fake_entries[0].size = 1;
	fake_entries[1].offset += PAGE;
	refused("gap before the kernel section");
	fake_entries[LAST].offset = TABLE_OFFSET;
	refused("outside");
	fake_entries[LAST].size = PAGE + 1;	/* into the table */
	refused("outside");
	for (unsigned i = 0; i < sizeof(huge) / sizeof(huge[0]); i++) {
		fake_entries[1].size = huge[i];
		refused("outside");
		fake_entries[1].offset = huge[i] & ~(uint64_t)(PAGE - 1);
		refused("outside");
	}
}

static void test_missing_sections(void)
{
	fake_artifact();
	for (uint32_t type = FORMAT_SECTION_LAUNCHER; type <= FORMAT_SECTION_CONFIG; type++) {
		/* In its place stands sbom, and nothing where that was. */
		fake_entries[type - 1].type = FORMAT_SECTION_SBOM;
		fake_entries[LAST - 1] = fake_entries[LAST];
		fake_entries[LAST - 1].offset -= PAGE;
		fake_table->section_count--;
		/* The table is shorter by one: so is all that stands behind it. */
		struct format_trailer moved = *fake_trailer;

		moved.table_size -= sizeof(struct format_section);
		moved.signatures_size = 0;
		moved.file_size -= sizeof(struct format_section) + FAKE_SIGNATURES;
		memcpy(&fake_entries[LAST], &moved, sizeof(moved));
		CHECK(open_bytes(moved.file_size) < 0);
		if (!CHECK(strstr(why, "is missing") && strstr(why, artifact_section_name(type))))
			fprintf(stderr, "\t%s\n", why);
		close_artifact();
		fake_artifact();
	}
}

/* A config section with these fake_bytes, properly hashed, must be refused. */
static void config_refused(const char *config, size_t size, const char *reason)
{
	size_t hashes = 0;

	memcpy(fake_bytes + fake_entries[CONFIG].offset, config, size);
	fake_entry(CONFIG, FORMAT_SECTION_CONFIG, fake_entries[CONFIG].offset, size, &hashes);
	refused(reason);
}

static void test_config_defects(void)
{
	fake_artifact();
	fake_bytes[fake_entries[CONFIG].offset] ^= 1;
	refused("config section is damaged");
	config_refused("a=b", 3, "has no end");
	config_refused("a=b\0c", 5, "has no end");
	config_refused("a=b\0c", 6, "not key=value");
	config_refused("=b", 3, "not key=value");
	config_refused("a=b\0", 5, "not key=value");
}

/* Whatever is accepted keeps inside the file. */
static void check_bounds(void)
{
	for (unsigned type = FORMAT_SECTION_LAUNCHER; type <= FORMAT_SECTION_HASHES; type++) {
		const struct section *section = &artifact.sections[type];

		CHECK((section->size > 0 || type > FORMAT_SECTION_CONFIG) && section->offset <= TABLE_OFFSET &&
		      section->size <= TABLE_OFFSET - section->offset);
	}
	for (const char *record = NULL; (record = artifact_next_record(&artifact, record));)
		CHECK(strlen(record) < artifact.sections[FORMAT_SECTION_CONFIG].size);
}

static void test_mutations(void)
{
	static const uint8_t interesting[] = { 0, 1, 0x10, 0x7f, 0x80, 0xff };
	unsigned accepted = 0;

	for (unsigned round = 0; round < MUTATIONS; round++) {
		fake_artifact();
		for (unsigned n = 1 + next_random() % 4; n > 0; n--) {
			size_t at = TABLE_OFFSET + next_random() % (FILE_SIZE - TABLE_OFFSET);

			fake_bytes[at] = next_random() % 2
				? interesting[next_random() % sizeof(interesting)]
				: (uint8_t)next_random();
		}
		if (open_bytes(FILE_SIZE) == 0) {
			accepted++;
			check_bounds();
		} else {
			CHECK(why[0]);
		}
		close_artifact();
	}
	CHECK(accepted > 0 && accepted < MUTATIONS);
}

int main(void)
{
	CHECK_RUN(test_good);
	CHECK_RUN(test_records);
	CHECK_RUN(test_sections_are_checked);
	CHECK_RUN(test_without_hashes);
	CHECK_RUN(test_tree_defects);
	CHECK_RUN(test_signature_places);
	CHECK_RUN(test_truncated_anywhere);
	CHECK_RUN(test_trailing_bytes);
	CHECK_RUN(test_trailer_defects);
	CHECK_RUN(test_table_defects);
	CHECK_RUN(test_section_defects);
	CHECK_RUN(test_missing_sections);
	CHECK_RUN(test_config_defects);
	CHECK_RUN(test_mutations);
	return check_report();
}
