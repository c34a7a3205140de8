/* The block device (virtio 1.2, section 5.2): a part of a file, read-only. */
#ifndef SMOLPACK_VIRTIO_BLK_H
#define SMOLPACK_VIRTIO_BLK_H

#include <assert.h>

#include "device.h"

#define VIRTIO_BLK_SECTOR_SIZE	512
#define VIRTIO_BLK_ID_SIZE	20

/* As the driver sees it; little-endian. Ends where the features that we offer end. */
struct virtio_blk_config {
	uint64_t	capacity;	/* sectors of 512 bytes */
	uint32_t	size_max;
	uint32_t	seg_max;	/* data descriptors of one request */
	uint16_t	cylinders;
	uint8_t		heads;
	uint8_t		sectors;
	uint32_t	blk_size;	/* bytes */
};

static_assert(sizeof(struct virtio_blk_config) == 24, "virtio_blk_config");

struct virtio_blk {
	struct virtio_device	device;
	struct virtio_blk_config config;
	int			fd;
	uint64_t		offset, size;	/* the disk's bytes in the file */
	char			id[VIRTIO_BLK_ID_SIZE];
};

/**
 * virtio_blk_init - make @blk a disk of the @size bytes at @offset of the file @fd.
 *
 * A last sector that is not full is padded with zeros. @fd stays the caller's and
 * must outlive @blk. @id is what the guest reads as the disk's serial number; at most
 * VIRTIO_BLK_ID_SIZE bytes of it count.
 */
void virtio_blk_init(struct virtio_blk *blk, int fd, uint64_t offset, uint64_t size,
		     const char *id);

#endif
