/* The block device (virtio 1.2, section 5.2), read-only. */
#ifndef SMOLPACK_VIRTIO_BLK_H
#define SMOLPACK_VIRTIO_BLK_H

#include <assert.h>

#include "../disk.h"
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
	struct disk		*disk;
	char			id[VIRTIO_BLK_ID_SIZE];
};

/**
 * virtio_blk_init - make @blk the device of @disk, which must outlive it.
 *
 * A last sector that is not full is padded with zeros. @id is what the guest reads as the disk's
 * serial number; at most VIRTIO_BLK_ID_SIZE bytes of it count.
 */
void virtio_blk_init(struct virtio_blk *blk, struct disk *disk, const char *id);

#endif
