/* The stored kernel: checked once, inflated straight to where it is wanted. */
#ifndef SMOLPACK_KERNEL_H
#define SMOLPACK_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include "format.h"

struct kernel {
	struct format_kernel	header;
	struct format_frame	frames[FORMAT_MAX_FRAMES];
	const uint8_t		*section;	/* what the frames' offsets count from */
};

/**
 * kernel_open - check the kernel section of @size bytes at @section.
 *
 * @section stays the caller's and must outlive @kernel.
 * Return: 0, or -EINVAL and @why says what is wrong.
 */
int kernel_open(struct kernel *kernel, const uint8_t *section, uint64_t size, char *why,
		size_t why_size);

/**
 * kernel_inflate - write the kernel's image, header.image_size bytes, to @image.
 *
 * Frames are inflated in parallel by up to @threads threads, this one included.
 * Return: 0, -EILSEQ when a frame is damaged, or another negative errno.
 */
int kernel_inflate(const struct kernel *kernel, uint8_t *image, unsigned threads);

#endif
