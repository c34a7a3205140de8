/*
 * A section of the file as a disk: each chunk is compared with its hash when a byte of it
 * is first read, and what is handed out then are the very bytes that were compared.
 */
#ifndef SMOLPACK_DISK_H
#define SMOLPACK_DISK_H

#include <stdint.h>
#include <sys/uio.h>

#include "hashtree.h"

struct disk {
	/* Set by the owner before disk_open(). */
	int		fd;
	uint64_t	offset;		/* of the section in the file */
	struct hashtree	tree;		/* over the section's bytes */
	/*
	 * Called once a chunk that cannot be handed out, with its place in the file. @error:
	 * -EILSEQ when its hash is another one, else why it cannot be read.
	 */
	void		(*damaged)(struct disk *disk, uint64_t file_offset, int error);

	/* Private: a bit a chunk. */
	uint8_t		*checked;
	uint8_t		*reported;
	uint8_t		chunk[FORMAT_CHUNK_SIZE];	/* the one that is being checked */
};

/** disk_open - prepare for reading. Return: 0 or -ENOMEM. */
int disk_open(struct disk *disk);

/**
 * disk_read - fill the first @length bytes of the vector from byte @position on.
 *
 * The range lies inside the section. On failure some of the vector may be filled.
 * Return: 0 or -EIO.
 */
int disk_read(struct disk *disk, uint64_t position, const struct iovec *iov, unsigned count,
	      uint64_t length);

#endif
