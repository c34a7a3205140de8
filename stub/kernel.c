/* Checks and inflates the stored kernel, several frames at once. */
#include "kernel.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <zstd.h>

/* No kernel of ours is near this; it bounds what a hostile file can make us reserve. */
#define MAX_MEMORY	(1ull << 30)

#define COMPLAIN(text) (snprintf(why, why_size, "the kernel section is damaged: %s", text), -EINVAL)

/* Header and frames' index lie in the first chunk. */
static_assert(sizeof(struct format_kernel) + FORMAT_MAX_FRAMES * sizeof(struct format_frame) <=
	      FORMAT_CHUNK_SIZE, "kernel header");

int kernel_open(struct kernel *kernel, const uint8_t *section, const struct hashtree *tree,
		char *why, size_t why_size)
{
	const struct format_kernel *header = &kernel->header;
	uint64_t size = tree->size;

	kernel->section = section;
	kernel->tree = tree;
	if (size < sizeof(*header))
		return COMPLAIN("it is too short");
	if (hashtree_check_chunk(tree, 0, section) < 0)
		return COMPLAIN("its start is not what was packed; get the file again");
	memcpy(&kernel->header, section, sizeof(*header));
	if (header->frame_count == 0 || header->frame_count > FORMAT_MAX_FRAMES ||
	    size < sizeof(*header) + header->frame_count * sizeof(struct format_frame))
		return COMPLAIN("its number of frames is wrong");
	memcpy(kernel->frames, section + sizeof(*header),
	       header->frame_count * sizeof(struct format_frame));
	if (header->encoding != FORMAT_ENCODING_RAW && header->encoding != FORMAT_ENCODING_ZSTD)
		return COMPLAIN("its encoding is not known");
	if (header->load_address % FORMAT_PAGE_SIZE || header->load_address > UINT32_MAX ||
	    header->memory_size > MAX_MEMORY || header->image_size > header->memory_size)
		return COMPLAIN("it does not fit into memory");
	if (header->entry < header->load_address ||
	    header->entry - header->load_address >= header->image_size)
		return COMPLAIN("its entry point lies outside");

	uint64_t covered = 0;

	for (uint32_t i = 0; i < header->frame_count; i++) {
		const struct format_frame *frame = &kernel->frames[i];

		if (frame->offset > size || frame->size > size - frame->offset)
			return COMPLAIN("a frame reaches outside the section");
		if (frame->image_offset != covered ||
		    frame->image_size > header->image_size - covered)
			return COMPLAIN("its frames do not make up the image");
		if (header->encoding == FORMAT_ENCODING_RAW && frame->size != frame->image_size)
			return COMPLAIN("a frame has a wrong size");
		covered += frame->image_size;
	}
	if (covered != header->image_size)
		return COMPLAIN("its frames do not make up the image");
	return 0;
}

static bool inflate_frame(const struct kernel *kernel, const struct format_frame *frame,
			  ZSTD_DCtx *decoder, uint8_t *image)
{
	const uint8_t *stored = kernel->section + frame->offset;
	uint8_t *to = image + frame->image_offset;

	/* A chunk that two frames share is checked twice: the decoder sees no byte before. */
	if (hashtree_check_range(kernel->tree, kernel->section, frame->offset, frame->size, NULL) < 0)
		return false;
	if (kernel->header.encoding == FORMAT_ENCODING_RAW) {
		memcpy(to, stored, frame->image_size);
		return true;
	}
	return decoder && ZSTD_decompressDCtx(decoder, to, frame->image_size, stored,
					      frame->size) == frame->image_size;
}

static void *worker(void *argument)
{
	struct inflation *inflation = argument;
	const struct kernel *kernel = inflation->kernel;
	ZSTD_DCtx *decoder = NULL;
	unsigned i;

	while ((i = atomic_fetch_add(&inflation->next, 1)) < kernel->header.frame_count) {
		if (!decoder)
			decoder = ZSTD_createDCtx();
		if (!inflate_frame(kernel, &kernel->frames[i], decoder, inflation->image))
			atomic_store(&inflation->failed, true);
	}
	ZSTD_freeDCtx(decoder);
	return NULL;
}

void kernel_inflate_start(struct inflation *inflation, const struct kernel *kernel, uint8_t *image,
			  unsigned threads)
{
	*inflation = (struct inflation){ .kernel = kernel, .image = image };
	while (inflation->helper_count < threads &&
	       inflation->helper_count < kernel->header.frame_count &&
	       pthread_create(&inflation->helpers[inflation->helper_count], NULL, worker,
			      inflation) == 0)
		inflation->helper_count++;
}

int kernel_inflate_finish(struct inflation *inflation)
{
	worker(inflation);
	while (inflation->helper_count)
		pthread_join(inflation->helpers[--inflation->helper_count], NULL);
	return atomic_load(&inflation->failed) ? -EILSEQ : 0;
}

int kernel_inflate(const struct kernel *kernel, uint8_t *image, unsigned threads)
{
	struct inflation inflation;

	kernel_inflate_start(&inflation, kernel, image, threads - 1);
	return kernel_inflate_finish(&inflation);
}
