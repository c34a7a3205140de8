// sources: stub/kernel.c stub/hashtree.c zstd.c libsodium.c
/* The stored kernel: good and hostile headers, raw and compressed frames. */
#include <errno.h>
#include <stdlib.h>
#include <zstd.h>

#include "check.h"
#include "fake_tree.h"
#include "kernel.h"
#include "next_random.h"

#define FRAMES		4
#define FRAME_SIZE	5000u
#define IMAGE_SIZE	(FRAMES * FRAME_SIZE)
#define MUTATIONS	5000

static struct kernel_section {
	struct format_kernel	header;
	struct format_frame	frames[FORMAT_MAX_FRAMES];
	uint8_t			stored[(FRAMES + 1) * FORMAT_CHUNK_SIZE];
} section;
static uint64_t section_size;
static uint8_t original[IMAGE_SIZE], image[IMAGE_SIZE];
static struct kernel kernel;
static struct hashtree tree;
static char why[256];

static void make_section(enum format_encoding encoding)
{
	uint64_t at = offsetof(struct kernel_section, stored);

	for (unsigned i = 0; i < IMAGE_SIZE; i++)
		original[i] = (uint8_t)(i / 7 + i * i / 900);
	memset(&section, 0, sizeof(section));
	section.header = (struct format_kernel){
		.load_address = 0x1000000, .entry = 0x1000100,
		.image_size = IMAGE_SIZE, .memory_size = 2 * IMAGE_SIZE,
		.encoding = encoding, .frame_count = FRAMES,
	};
	for (unsigned i = 0; i < FRAMES; i++) {
		uint8_t *to = (uint8_t *)&section + at;
		size_t size = FRAME_SIZE;

		if (encoding == FORMAT_ENCODING_ZSTD)
			size = ZSTD_compress(to, 2 * FRAME_SIZE, original + i * FRAME_SIZE,
					     FRAME_SIZE, 3);
		else
			memcpy(to, original + i * FRAME_SIZE, FRAME_SIZE);
		section.frames[i] = (struct format_frame){
			.offset = at, .size = size,
			.image_offset = i * FRAME_SIZE, .image_size = FRAME_SIZE,
		};
		at += size;
	}
	section_size = at;
}

/* Raw frames, each across the border of two chunks. */
static void make_wide_section(void)
{
	make_section(FORMAT_ENCODING_RAW);
	memset(section.stored, 0, sizeof(section.stored));
	for (unsigned i = 0; i < FRAMES; i++) {
		section.frames[i].offset = (i + 1) * FORMAT_CHUNK_SIZE - FRAME_SIZE / 2;
		memcpy((uint8_t *)&section + section.frames[i].offset, original + i * FRAME_SIZE,
		       FRAME_SIZE);
	}
	section_size = (FRAMES + 1) * FORMAT_CHUNK_SIZE;
}

static int open_hashed_section(void)
{
	why[0] = '\0';
	return kernel_open(&kernel, (const uint8_t *)&section, &tree, why, sizeof(why));
}

/* With the hashes that its bytes have now. */
static int open_section(uint64_t size)
{
	fake_tree_free(&tree);
	fake_tree(&tree, &section, size);
	return open_hashed_section();
}

static void inflates(enum format_encoding encoding, unsigned threads)
{
	make_section(encoding);
	REQUIRE(open_section(section_size) == 0);
	memset(image, 0xee, sizeof(image));
	CHECK_INT(kernel_inflate(&kernel, image, threads), 0);
	CHECK_MEM(image, original, IMAGE_SIZE);
}

static void test_inflate(void)
{
	inflates(FORMAT_ENCODING_RAW, 1);
	inflates(FORMAT_ENCODING_RAW, 4);
	inflates(FORMAT_ENCODING_ZSTD, 0);
	inflates(FORMAT_ENCODING_ZSTD, 1);
	inflates(FORMAT_ENCODING_ZSTD, 4);
	inflates(FORMAT_ENCODING_ZSTD, 1000);
}

static void refused(const char *reason)
{
	CHECK_INT(open_section(section_size), -EINVAL);
	if (!CHECK(strstr(why, reason)))
		fprintf(stderr, "\twanted \"%s\" in \"%s\"\n", reason, why);
	make_section(FORMAT_ENCODING_ZSTD);
}

static void test_short_sections(void)
{
	make_section(FORMAT_ENCODING_ZSTD);
	for (uint64_t size = 0; size < section_size; size += 1 + size / 200)
		CHECK_INT(open_section(size), -EINVAL);
	CHECK_INT(open_section(section_size), 0);
}

static void test_header_defects(void)
{
	make_section(FORMAT_ENCODING_ZSTD);
	section.header.frame_count = 0;
	refused("number of frames");
	section.header.frame_count = FORMAT_MAX_FRAMES + 1;
	refused("number of frames");
	section.header.frame_count = UINT32_MAX;
	refused("number of frames");
	section.header.encoding = 2;
	refused("encoding");
	section.header.load_address++;
	refused("memory");
	section.header.load_address = 1ull << 32;
	refused("memory");
	section.header.memory_size = IMAGE_SIZE - 1;
	refused("memory");
	section.header.memory_size = UINT64_MAX;
	refused("memory");
	section.header.entry = section.header.load_address - 1;
	refused("entry");
	section.header.entry = section.header.load_address + IMAGE_SIZE;
	refused("entry");
	section.header.entry = UINT64_MAX;
	refused("entry");
}

static void test_frame_defects(void)
{
	make_section(FORMAT_ENCODING_ZSTD);
	section.frames[1].offset = section_size + 1;
	refused("outside the section");
	section.frames[1].offset = UINT64_MAX;
	refused("outside the section");
	section.frames[1].size = UINT64_MAX;
	refused("outside the section");
	section.frames[1].size = section_size;
	refused("outside the section");
	section.frames[2].image_offset++;
	refused("make up");
	section.frames[2].image_size = UINT64_MAX;
	refused("make up");
	section.frames[3].image_size--;
	refused("make up");
	section.frames[3].image_size++;
	refused("make up");
	section.header.frame_count--;
	refused("make up");
	section.frames[2].image_size = -(uint64_t)FRAME_SIZE;	/* around 2^64 and back … */
	section.frames[3].image_offset = FRAME_SIZE;
	section.frames[3].image_size = 3 * FRAME_SIZE;		/* … to the right sum */
	refused("make up");
	make_section(FORMAT_ENCODING_RAW);
	section.frames[0].size--;
	refused("wrong size");
}

static void test_damaged_frames(void)
{
	for (unsigned threads = 1; threads <= 4; threads += 3) {
		for (unsigned i = 0; i < FRAMES; i++) {
			make_section(FORMAT_ENCODING_ZSTD);
			((uint8_t *)&section)[section.frames[i].offset] ^= 1;	/* its magic */
			REQUIRE(open_section(section_size) == 0);
			CHECK_INT(kernel_inflate(&kernel, image, threads), -EILSEQ);
		}
	}
	make_section(FORMAT_ENCODING_ZSTD);
	section.frames[1].size--;	/* cut short */
	REQUIRE(open_section(section_size) == 0);
	CHECK_INT(kernel_inflate(&kernel, image, 1), -EILSEQ);
	make_section(FORMAT_ENCODING_ZSTD);
	section.frames[1].image_size--;	/* it holds more than it says */
	section.frames[2].image_offset--;
	section.frames[2].image_size++;	/* and it less */
	REQUIRE(open_section(section_size) == 0);
	CHECK_INT(kernel_inflate(&kernel, image, 1), -EILSEQ);
}

/* A flipped byte anywhere but outside of header and frames is found, and nothing of its frame written. */
static void test_bytes_that_were_not_packed(void)
{
	make_wide_section();
	CHECK_INT(open_section(section_size), 0);
	CHECK_INT(kernel_inflate(&kernel, image, 1), 0);
	CHECK_MEM(image, original, IMAGE_SIZE);
	for (uint64_t at = 0; at < section_size; at += 9973) {
		((uint8_t *)&section)[at] ^= 1;
		memset(image, 0xee, sizeof(image));
		if (at < FORMAT_CHUNK_SIZE) {
			CHECK_INT(open_hashed_section(), -EINVAL);
			CHECK(strstr(why, "get the file again"));
		} else {
			uint64_t frame = at / FORMAT_CHUNK_SIZE - 1;

			CHECK_INT(open_hashed_section(), 0);
			CHECK_INT(kernel_inflate(&kernel, image, 1 + at % 3), -EILSEQ);
			for (unsigned i = 0; i < FRAME_SIZE; i++)
				CHECK(image[frame * FRAME_SIZE + i] == 0xee);
		}
		((uint8_t *)&section)[at] ^= 1;
	}
}

/* What opens inflates inside the image or says that it is damaged; the sanitizers look on. */
static void test_mutations(void)
{
	static struct kernel_section good;

	make_section(FORMAT_ENCODING_ZSTD);
	good = section;
	for (unsigned round = 0; round < MUTATIONS; round++) {
		section = good;
		for (unsigned n = 1 + next_random() % 3; n > 0; n--)
			((uint8_t *)&section)[next_random() % (round % 2 ? 192 : section_size)] =
				(uint8_t)next_random();
		if (open_section(section_size) < 0) {
			CHECK(why[0]);
			continue;
		}
		uint8_t *to = malloc(kernel.header.image_size);
		int error = kernel_inflate(&kernel, to, 1);

		CHECK(error == 0 || error == -EILSEQ);
		free(to);
	}
}

int main(void)
{
	CHECK_RUN(test_inflate);
	CHECK_RUN(test_short_sections);
	CHECK_RUN(test_header_defects);
	CHECK_RUN(test_frame_defects);
	CHECK_RUN(test_damaged_frames);
	CHECK_RUN(test_bytes_that_were_not_packed);
	CHECK_RUN(test_mutations);
	fake_tree_free(&tree);
	return check_report();
}
