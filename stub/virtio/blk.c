/* The block device: requests become reads of a disk into guest memory. */
#include "blk.h"

#include <string.h>

#define F_SEG_MAX	(1ull << 2)
#define F_RO		(1ull << 5)
#define F_BLK_SIZE	(1ull << 6)

enum request_type {
	REQUEST_IN	= 0,
	REQUEST_OUT	= 1,
	REQUEST_GET_ID	= 8,
};

enum request_status {
	STATUS_OK	= 0,
	STATUS_IOERR	= 1,
	STATUS_UNSUPP	= 2,
};

struct request_header {
	uint32_t	type;
	uint32_t	reserved;
	uint64_t	sector;
};

/* Fills the vector, @length bytes in all, from byte @position of the disk on. */
static enum request_status read_disk(const struct virtio_blk *blk, uint64_t position,
				     struct iovec *iov, unsigned count, uint64_t length)
{
	static const uint8_t zeros[VIRTIO_BLK_SECTOR_SIZE];
	uint64_t stored = blk->disk->tree.size - position;

	if (length > stored) {
		/* Less than a sector: the capacity was rounded up to one. */
		iov_copy_to(iov, count, stored, zeros, length - stored);
		length = stored;
	}
	return disk_read(blk->disk, position, iov, count, length) < 0 ? STATUS_IOERR : STATUS_OK;
}

/* The vector is where the request's data goes, @length bytes. */
static enum request_status serve(const struct virtio_blk *blk, const struct request_header *header,
				 struct iovec *iov, unsigned count, uint64_t length)
{
	switch (header->type) {
	case REQUEST_IN: {
		uint64_t sectors = length / VIRTIO_BLK_SECTOR_SIZE;
		uint64_t capacity = blk->config.capacity;

		if (length % VIRTIO_BLK_SECTOR_SIZE || header->sector > capacity ||
		    sectors > capacity - header->sector)
			return STATUS_IOERR;
		return read_disk(blk, header->sector * VIRTIO_BLK_SECTOR_SIZE, iov, count, length);
	}
	case REQUEST_OUT:
		return STATUS_IOERR;
	case REQUEST_GET_ID:
		if (length != sizeof(blk->id))
			return STATUS_IOERR;
		iov_copy_to(iov, count, 0, blk->id, sizeof(blk->id));
		return STATUS_OK;
	default:
		return STATUS_UNSUPP;
	}
}

/* Return: how many bytes of the request were filled. */
static uint32_t handle(const struct virtio_blk *blk, struct virtq_chain *chain)
{
	struct request_header header;
	struct iovec *in = chain->iov + chain->out_count;
	uint8_t status = STATUS_IOERR;

	if (chain->in_size == 0)
		return 0;	/* no room for a status, so nothing can be answered */
	/* The status is the last byte, wherever the driver's descriptors end. */
	size_t length = chain->in_size - 1;
	struct iovec data[VIRTQUEUE_MAX_IOV];

	memcpy(data, in, chain->in_count * sizeof(*data));
	if (length < UINT32_MAX &&
	    iov_copy_from(&header, sizeof(header), chain->iov, chain->out_count, 0) ==
	    sizeof(header))
		status = serve(blk, &header, data, iov_limit(data, chain->in_count, length),
			       length);
	iov_copy_to(in, chain->in_count, length, &status, sizeof(status));
	/* The figure counts from the first byte on: after a failure the data's place is not filled. */
	return status == STATUS_OK || length == 0 ? (uint32_t)chain->in_size : 0;
}

static void notify(struct virtio_device *device, unsigned index)
{
	const struct virtio_blk *blk = (const struct virtio_blk *)device;
	struct virtqueue *queue = &device->queues[index];
	struct virtq_chain chain;

	while (virtqueue_pop(queue, &chain) > 0) {
		virtqueue_push(queue, chain.head, handle(blk, &chain));
		virtio_flush(device, index);
	}
}

static const struct virtio_class blk_class = {
	.name = "blk",
	.id = VIRTIO_ID_BLOCK,
	.features = F_SEG_MAX | F_RO | F_BLK_SIZE,
	.queue_count = 1,
	.config_size = sizeof(struct virtio_blk_config),
	.notify = notify,
};

void virtio_blk_init(struct virtio_blk *blk, struct disk *disk, const char *id)
{
	uint64_t size = disk->tree.size;

	*blk = (struct virtio_blk){
		.device = { .class = &blk_class },
		.config = {
			.capacity = size / VIRTIO_BLK_SECTOR_SIZE +
				    (size % VIRTIO_BLK_SECTOR_SIZE != 0),
			.seg_max = VIRTQUEUE_MAX_IOV - 2,	/* header and status */
			.blk_size = VIRTIO_BLK_SECTOR_SIZE,
		},
		.disk = disk,
	};
	blk->device.config = &blk->config;
	memcpy(blk->id, id, strnlen(id, sizeof(blk->id)));
}
