/* Inflates the stored kernel, several frames at once. */
#include "kernel.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <zstd.h>

#define MAX_THREADS	8
/* No kernel of ours is near this; it bounds what a hostile file can make us reserve. */
#define MAX_MEMORY	(1ull << 30)

#define COMPLAIN(text) (snprintf(why, why_size, "the kernel section is damaged: %s", text), -EINVAL)

int kernel_open(struct kernel *kernel, const uint8_t *section, uint64_t size, char *why,
		size_t why_size)
{
	const struct format_kernel *header = &kernel->header;

	kernel->section = section;
	if (size < sizeof(*header))
		return COMPLAIN("it is too short");
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

struct inflation {
	const struct kernel	*kernel;
	uint8_t			*image;
	atomic_uint		next;	/* frame that nobody has taken yet */
	atomic_bool		failed;
};

static bool inflate_frame(const struct kernel *kernel, const struct format_frame *frame,
			  uint8_t *image)
{
	const uint8_t *stored = kernel->section + frame->offset;
	uint8_t *to = image + frame->image_offset;

	if (kernel->header.encoding == FORMAT_ENCODING_RAW) {
		memcpy(to, stored, frame->image_size);
		return true;
	}
	return ZSTD_decompress(to, frame->image_size, stored, frame->size) == frame->image_size;
}

static void *worker(void *argument)
{
	struct inflation *inflation = argument;
	const struct kernel *kernel = inflation->kernel;

	for (;;) {
		unsigned i = atomic_fetch_add(&inflation->next, 1);

		if (i >= kernel->header.frame_count)
			return NULL;
		if (!inflate_frame(kernel, &kernel->frames[i], inflation->image))
			atomic_store(&inflation->failed, true);
	}
}

int kernel_inflate(const struct kernel *kernel, uint8_t *image, unsigned threads)
{
	struct inflation inflation = { .kernel = kernel, .image = image };
	pthread_t helpers[MAX_THREADS];
	unsigned started = 0;

	while (started + 1 < threads && started + 1 < kernel->header.frame_count &&
	       started < MAX_THREADS &&
	       pthread_create(&helpers[started], NULL, worker, &inflation) == 0)
		started++;
	worker(&inflation);
	while (started)
		pthread_join(helpers[--started], NULL);
	return atomic_load(&inflation.failed) ? -EILSEQ : 0;
}
