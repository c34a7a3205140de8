// sources: stub/artifact.c stub/hashtree.c stub/signature.c libsodium.c
/* Files that the packer wrote, as the launcher reads them: whole, cut short, and with each byte flipped. */
#include <stdlib.h>

#include "check.h"
#include "fake_artifact.h"
#include "signature.h"

#define GOLDEN "tests/packer/golden/"

static uint8_t *bytes;
static size_t size;
static struct artifact artifact;
static struct signatures signatures;
static char why[512];

static bool load(const char *path)
{
	FILE *file = fopen(path, "r");

	free(bytes);
	bytes = NULL;
	if (!CHECK(file != NULL))
		return false;
	fseek(file, 0, SEEK_END);
	size = (size_t)ftell(file);
	rewind(file);
	bytes = malloc(size);
	CHECK_INT(fread(bytes, 1, size, file), size);
	fclose(file);
	return true;
}

/* What the launcher does with every file, of the first @length bytes. Return: 0 or a negative errno. */
static int check_file(size_t length)
{
	int fd = memfd_create("tool.vm", MFD_CLOEXEC), error;

	CHECK_INT(write(fd, bytes, length), length);
	why[0] = '\0';
	error = artifact_open(&artifact, fd, why, sizeof(why));
	if (!error)
		error = signatures_verify(&signatures, artifact.signatures, artifact.signatures_size,
					  artifact.table, artifact.table_size, why, sizeof(why));
	CHECK(!error == !why[0]);
	return error;
}

/* All sections are what their hashes say. */
static bool intact(void)
{
	for (int type = FORMAT_SECTION_LAUNCHER; type < FORMAT_SECTION_HASHES; type++)
		if (artifact.sections[type].size &&
		    artifact_check(&artifact, type, bytes + artifact.sections[type].offset, why,
				   sizeof(why)) < 0)
			return false;
	return true;
}

static void test_whole(void)
{
	REQUIRE(load(GOLDEN "v2-unsigned.vm"));
	CHECK_INT(check_file(size), 0);
	CHECK(intact());
	CHECK_INT(signatures.count, 0);
	fake_close(&artifact);
	REQUIRE(load(GOLDEN "v2-signed.vm"));
	CHECK_INT(check_file(size), 0);
	CHECK(intact());
	CHECK_INT(signatures.count, 2);
	fake_close(&artifact);
}

static void test_version_before(void)
{
	REQUIRE(load(GOLDEN "v1.vm"));
	CHECK(check_file(size) < 0);
	CHECK(strstr(why, "version 1"));
	fake_close(&artifact);
}

/* Table, signatures, trailer: each is refused before anything of the file is used. */
static void test_every_byte_behind_the_sections(void)
{
	size_t table;

	REQUIRE(load(GOLDEN "v2-signed.vm"));
	CHECK_INT(check_file(size), 0);
	table = artifact.table_offset;
	fake_close(&artifact);
	for (size_t at = table; at < size; at++) {
		bytes[at] ^= 0x04;
		if (!CHECK(check_file(size) < 0))
			fprintf(stderr, "\tbyte %zu\n", at);
		fake_close(&artifact);
		bytes[at] ^= 0x04;
	}
	for (size_t length = table; length < size; length++) {
		CHECK(check_file(length) < 0);
		fake_close(&artifact);
	}
}

/* Nothing of a section can be another byte, nor of the hashes. */
static void test_every_byte_of_the_sections(void)
{
	REQUIRE(load(GOLDEN "v2-signed.vm"));
	for (unsigned type = FORMAT_SECTION_LAUNCHER; type <= FORMAT_SECTION_HASHES; type++) {
		CHECK_INT(check_file(size), 0);
		struct section section = artifact.sections[type];

		fake_close(&artifact);
		for (size_t i = 0; i < section.size; i += section.size > 10000 ? 499 : 1) {
			bytes[section.offset + i] ^= 0x80;
			if (!CHECK(check_file(size) < 0 || !intact()))
				fprintf(stderr, "\tbyte %zu of %s\n", i, artifact_section_name(type));
			fake_close(&artifact);
			bytes[section.offset + i] ^= 0x80;
		}
	}
}

/* The sections of one signed file under the table of another: what `signed by` says must not spread. */
static void test_sections_of_another_file(void)
{
	REQUIRE(load(GOLDEN "v2-signed.vm"));
	CHECK_INT(check_file(size), 0);
	struct section kernel = artifact.sections[FORMAT_SECTION_KERNEL];
	struct section root = artifact.sections[FORMAT_SECTION_ROOTFS];

	fake_close(&artifact);
	memcpy(bytes + kernel.offset, bytes + root.offset, FORMAT_PAGE_SIZE);
	CHECK_INT(check_file(size), 0);
	CHECK(artifact_check(&artifact, FORMAT_SECTION_KERNEL, artifact.kernel, why, sizeof(why)) < 0);
	CHECK(strstr(why, "kernel"));
	fake_close(&artifact);
}

int main(void)
{
	CHECK_RUN(test_whole);
	CHECK_RUN(test_version_before);
	CHECK_RUN(test_every_byte_behind_the_sections);
	CHECK_RUN(test_every_byte_of_the_sections);
	CHECK_RUN(test_sections_of_another_file);
	free(bytes);
	return check_report();
}
