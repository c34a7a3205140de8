/* The stored kernel: checked once, inflated straight to where it is wanted. */
#ifndef SMOLPACK_KERNEL_H
#define SMOLPACK_KERNEL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hashtree.h"

struct kernel {
	struct format_kernel	header;
	struct format_frame	frames[FORMAT_MAX_FRAMES];
	const uint8_t		*section;	/* what the frames' offsets count from */
	const struct hashtree	*tree;		/* what the section's bytes are checked against */
};

/**
 * kernel_open - check the header of the kernel section at @section, tree->size bytes.
 *
 * The header has been compared with its hash when this returns; frames are while they are
 * inflated. @section and @tree stay the caller's and must outlive @kernel.
 * Return: 0, or a negative errno and @why says what is wrong.
 */
int kernel_open(struct kernel *kernel, const uint8_t *section, const struct hashtree *tree,
		char *why, size_t why_size);

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
 * Up to @threads threads take a frame at a time, compare it with its hashes and inflate it,
 * while the caller does other things. @inflation stays in place until kernel_inflate_finish().
 */
void kernel_inflate_start(struct inflation *inflation, const struct kernel *kernel,
			  uint8_t *image, unsigned threads);

/**
 * kernel_inflate_finish - take a share in what is left to do and await the rest.
 *
 * Return: 0, or -EILSEQ when a frame is damaged: the image must not run then.
 */
int kernel_inflate_finish(struct inflation *inflation);

/** kernel_inflate - both in one go, @threads threads with this one. Return: as the latter. */
int kernel_inflate(const struct kernel *kernel, uint8_t *image, unsigned threads);

#endif
