// sources: stub/artifact.c
/* Packed files: a good one, one with each defect, and thousands of damaged ones. */
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "artifact.h"
#include "check.h"

#define PAGE		FORMAT_PAGE_SIZE
#define SECTIONS	FORMAT_SECTION_CONFIG
#define TABLE_OFFSET	((SECTIONS) * PAGE)
#define TABLE_SIZE	(sizeof(struct format_table) + SECTIONS * sizeof(struct format_section))
#define FILE_SIZE	(TABLE_OFFSET + TABLE_SIZE + sizeof(struct format_trailer))
#define MUTATIONS	20000

static const char config[] = "mem=64M\0env=A=1\0env=B=2\0empty=\0";

/* The whole file, and where its fixed structures stand. */
static uint8_t bytes[FILE_SIZE + PAGE];
static struct format_table *const table = (void *)(bytes + TABLE_OFFSET);
static struct format_section *const entries =
	(void *)(bytes + TABLE_OFFSET + sizeof(struct format_table));
static struct format_trailer *const trailer = (void *)(bytes + TABLE_OFFSET + TABLE_SIZE);

static struct artifact artifact;
static char why[256];

static void make_good(void)
{
	memset(bytes, 0, sizeof(bytes));
	*table = (struct format_table){
		.version = FORMAT_VERSION, .arch = FORMAT_ARCH_X86_64, .section_count = SECTIONS,
	};
	memcpy(table->magic, FORMAT_TABLE_MAGIC, sizeof(table->magic));
	for (unsigned i = 0; i < SECTIONS; i++) {
		entries[i] = (struct format_section){
			.type = i + 1, .offset = i * PAGE, .size = 100 + i,
		};
		memset(bytes + i * PAGE, 'A' + (int)i, PAGE);
	}
	entries[SECTIONS - 1].size = sizeof(config) - 1;
	memcpy(bytes + entries[SECTIONS - 1].offset, config, sizeof(config) - 1);
	*trailer = (struct format_trailer){
		.version = FORMAT_VERSION, .table_offset = TABLE_OFFSET, .table_size = TABLE_SIZE,
		.file_size = FILE_SIZE,
	};
	memcpy(trailer->magic, FORMAT_TRAILER_MAGIC, sizeof(trailer->magic));
}

static void unmap(const void *mapping, enum format_section_type type)
{
	if (mapping && mapping != MAP_FAILED)
		munmap((void *)(uintptr_t)mapping, artifact.sections[type].size);
}

static void close_artifact(void)
{
	unmap(artifact.kernel, FORMAT_SECTION_KERNEL);
	unmap(artifact.initramfs, FORMAT_SECTION_INITRAMFS);
	unmap(artifact.config, FORMAT_SECTION_CONFIG);
	close(artifact.fd);
}

/* Opens the first @size bytes as a file. Return: what artifact_open() does. */
static int open_bytes(size_t size)
{
	int fd = memfd_create("tool.vm", MFD_CLOEXEC);

	CHECK_INT(write(fd, bytes, size), size);
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
	make_good();
}

static void test_good(void)
{
	make_good();
	CHECK_INT(open_bytes(FILE_SIZE), 0);
	CHECK_INT(artifact.file_size, FILE_SIZE);
	CHECK_INT(artifact.sections[FORMAT_SECTION_ROOTFS].offset, 3 * PAGE);
	CHECK_INT(artifact.sections[FORMAT_SECTION_ROOTFS].size, 103);
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

	make_good();
	CHECK_INT(open_bytes(FILE_SIZE), 0);
	for (unsigned i = 0; i < 4; i++) {
		record = artifact_next_record(&artifact, record);
		CHECK_STR(record, expected[i]);
	}
	CHECK(!artifact_next_record(&artifact, record));
	close_artifact();
}

static void test_truncated_anywhere(void)
{
	make_good();
	for (size_t size = 0; size < FILE_SIZE; size += size < TABLE_OFFSET ? 127 : 1) {
		CHECK(open_bytes(size) < 0);
		CHECK(why[0]);
		close_artifact();
	}
}

static void test_trailing_bytes(void)
{
	make_good();
	CHECK(open_bytes(FILE_SIZE + 1) < 0);
	close_artifact();
	memcpy(bytes + FILE_SIZE, trailer, sizeof(*trailer));	/* even a whole trailer */
	CHECK(open_bytes(FILE_SIZE + sizeof(*trailer)) < 0);
	CHECK(strstr(why, "bytes but has"));
	close_artifact();
}

static void test_trailer_defects(void)
{
	make_good();
	trailer->magic[7] = '\r';
	refused("no machine is packed");
	trailer->version = FORMAT_VERSION + 1;
	refused("version 2");
	trailer->file_size++;
	refused("bytes but has");
	trailer->reserved0 = 1;
	refused("reserved");
	trailer->reserved1[23] = 1;
	refused("reserved");
	trailer->table_offset += 8;
	refused("table");
	trailer->table_offset -= PAGE;
	refused("table");
	trailer->table_offset = UINT64_MAX & ~(uint64_t)(PAGE - 1);
	refused("table");
	trailer->table_size = UINT64_MAX;
	refused("table");
	trailer->table_size = 0;
	refused("table");
	trailer->table_size -= sizeof(struct format_section);
	refused("table");
}

static void test_table_defects(void)
{
	make_good();
	table->magic[0] = 0;
	refused("table");
	table->version = 0;
	refused("table");
	table->reserved0 = 1;
	refused("table");
	table->reserved1[39] = 1;
	refused("table");
	table->arch = FORMAT_ARCH_AARCH64;
	refused("architecture");
	table->section_count--;
	refused("table");
	table->section_count = UINT32_MAX;
	refused("table");
	table->section_count = 1u << 26;	/* times 64: 0 in 32 bits */
	refused("table");
}

static void test_section_defects(void)
{
	static const uint64_t huge[] = { UINT64_MAX, 1ull << 63, UINT64_MAX - PAGE + 1, 1ull << 32 };

	make_good();
	entries[1].type = 0;
	refused("type 0");
	entries[1].type = FORMAT_SECTION_CONFIG + 1;
	refused("type 6");
	entries[1].type = UINT32_MAX;
	refused("type");
	entries[1].type = FORMAT_SECTION_LAUNCHER;
	refused("twice");
	entries[1].reserved0 = 1;
	refused("reserved");
	entries[1].reserved1[0] = 1;
	refused("reserved");
	entries[2].size = 0;
	refused("empty");
	entries[2].offset++;
	refused("page-aligned");
	entries[1].size = PAGE + 1;
	refused("overlaps");
	entries[2].offset = 0;
	refused("overlaps");
	entries[SECTIONS - 1].offset = TABLE_OFFSET;
	refused("outside");
	entries[SECTIONS - 1].size = PAGE + 1;	/* into the table */
	refused("outside");
	for (unsigned i = 0; i < sizeof(huge) / sizeof(huge[0]); i++) {
		entries[1].size = huge[i];
		refused("outside");
		entries[1].offset = huge[i] & ~(uint64_t)(PAGE - 1);
		refused("outside");
	}
}

static void test_missing_sections(void)
{
	make_good();
	for (unsigned missing = 0; missing < SECTIONS; missing++) {
		for (unsigned i = missing; i + 1 < SECTIONS; i++)
			entries[i] = entries[i + 1];
		table->section_count = SECTIONS - 1;
		/* The table is shorter by one: so is all that stands behind it. */
		struct format_trailer moved = *trailer;

		moved.table_size -= sizeof(struct format_section);
		moved.file_size -= sizeof(struct format_section);
		memcpy(&entries[SECTIONS - 1], &moved, sizeof(moved));
		CHECK(open_bytes(moved.file_size) < 0);
		CHECK(strstr(why, "is missing"));
		close_artifact();
		make_good();
	}
}

static void test_config_defects(void)
{
	make_good();
	bytes[entries[SECTIONS - 1].offset + entries[SECTIONS - 1].size - 1] = 'x';
	refused("run defaults");
}

/* The same sequence in every run. */
static uint32_t next_random(void)
{
	static uint32_t state = 2463534242u;

	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

/* Whatever is accepted keeps inside the file. */
static void check_bounds(void)
{
	for (unsigned type = FORMAT_SECTION_LAUNCHER; type <= FORMAT_SECTION_CONFIG; type++) {
		const struct section *section = &artifact.sections[type];

		CHECK(section->size > 0 && section->offset <= TABLE_OFFSET &&
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
		make_good();
		for (unsigned n = 1 + next_random() % 4; n > 0; n--) {
			size_t at = TABLE_OFFSET + next_random() % (FILE_SIZE - TABLE_OFFSET);

			bytes[at] = next_random() % 2
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
	CHECK(accepted > 0 && accepted < MUTATIONS / 2);
}

int main(void)
{
	CHECK_RUN(test_good);
	CHECK_RUN(test_records);
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
