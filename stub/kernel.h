/* The stored kernel: checked once, inflated straight to where it is wanted. */
#ifndef SMOLPACK_KERNEL_H
#define SMOLPACK_KERNEL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
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

/* An inflation under way, by several threads. */
struct inflation {
	const struct kernel	*kernel;
	uint8_t			*image;
	atomic_uint		next;		/* frame that nobody has taken yet */
	atomic_bool		failed;
	pthread_t		helpers[FORMAT_MAX_FRAMES];
	unsigned		helper_count;
};

/**
 * kernel_inflate_start - begin to write the kernel's image, header.image_size bytes, to @image.
 *
 * Up to @threads threads take a frame at a time while the caller does other
 * things. @inflation stays in place until kernel_inflate_finish().
 */
void kernel_inflate_start(struct inflation *inflation, const struct kernel *kernel,
			  uint8_t *image, unsigned threads);

/**
 * kernel_inflate_finish - take a share in what is left to do and await the rest.
 *
 * Return: 0, or -EILSEQ when a frame is damaged.
 */
int kernel_inflate_finish(struct inflation *inflation);

/** kernel_inflate - both in one go, @threads threads with this one. Return: as the latter. */
int kernel_inflate(const struct kernel *kernel, uint8_t *image, unsigned threads);

#endif
