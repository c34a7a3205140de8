/* Reads a section of the file, chunks checked on first use. */
#include "disk.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "virtio/queue.h"

static bool has_bit(const uint8_t *bits, uint64_t index)
{
	return bits[index / 8] & 1 << index % 8;
}

static void set_bit(uint8_t *bits, uint64_t index)
{
	bits[index / 8] |= (uint8_t)(1 << index % 8);
}

int disk_open(struct disk *disk)
{
	uint64_t bytes = hashtree_chunk_count(&disk->tree) / 8 + 1;

	/* Large ones are address space until they are touched. */
	disk->checked = calloc(1, bytes);
	disk->reported = calloc(1, bytes);
	return disk->checked && disk->reported ? 0 : -ENOMEM;
}

/* Return: 0 or a negative errno, -ENODATA when the file ends before. */
static int read_chunk(struct disk *disk, uint64_t index)
{
	size_t size = hashtree_chunk_size(&disk->tree, index);

	for (size_t done = 0; done < size;) {
		ssize_t got = pread(disk->fd, disk->chunk + done, size - done,
				    (off_t)(disk->offset + index * FORMAT_CHUNK_SIZE + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -ENODATA;
		done += (size_t)got;
	}
	return 0;
}

/* Leaves the chunk in ->chunk. */
static int check_chunk(struct disk *disk, uint64_t index)
{
	int error = read_chunk(disk, index);

	if (!error)
		error = hashtree_check_chunk(&disk->tree, index, disk->chunk);
	if (!error) {
		set_bit(disk->checked, index);
		return 0;
	}
	/* Guests try again. */
	if (!has_bit(disk->reported, index)) {
		set_bit(disk->reported, index);
		disk->damaged(disk, disk->offset + index * FORMAT_CHUNK_SIZE, error);
	}
	return -EIO;
}

/* What was checked before goes from the file straight to @size bytes of the vector from @skip on. */
static int read_checked(const struct disk *disk, uint64_t position, const struct iovec *iov,
			unsigned count, uint64_t skip, uint64_t size)
{
	struct iovec place[VIRTQUEUE_MAX_IOV], *at = place;

	memcpy(place, iov, count * sizeof(*place));
	unsigned first = iov_trim_front(at, count, skip);

	at += first;
	count = iov_limit(at, count - first, size);
	while (size > 0) {
		ssize_t got = preadv(disk->fd, at, (int)count, (off_t)(disk->offset + position));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -EIO;
		first = iov_trim_front(at, count, (size_t)got);
		at += first;
		count -= first;
		position += (uint64_t)got;
		size -= (uint64_t)got;
	}
	return 0;
}

/* Bytes from @position on up to @end, or to the first chunk that has not been checked. */
static uint64_t checked_bytes(const struct disk *disk, uint64_t position, uint64_t end)
{
	uint64_t at = position;

	while (at < end && has_bit(disk->checked, at / FORMAT_CHUNK_SIZE))
		at = (at / FORMAT_CHUNK_SIZE + 1) * FORMAT_CHUNK_SIZE;
	return (at < end ? at : end) - position;
}

int disk_read(struct disk *disk, uint64_t position, const struct iovec *iov, unsigned count,
	      uint64_t length)
{
	uint64_t end = position + length;

	for (uint64_t at = position, piece; at < end; at += piece) {
		uint64_t in_chunk = at % FORMAT_CHUNK_SIZE;
		int error;

		piece = checked_bytes(disk, at, end);
		if (piece) {
			error = read_checked(disk, at, iov, count, at - position, piece);
		} else {
			piece = FORMAT_CHUNK_SIZE - in_chunk;
			if (piece > end - at)
				piece = end - at;
			error = check_chunk(disk, at / FORMAT_CHUNK_SIZE);
			if (!error)
				iov_copy_to(iov, count, at - position, disk->chunk + in_chunk,
					    piece);
		}
		if (error)
			return error;
	}
	return 0;
}
