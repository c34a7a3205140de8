/* The entropy device. */
#include "rng.h"

#include <sys/random.h>
#include <unistd.h>

/* What getentropy() gives at once. Who asks for more gets a part, as the standard allows. */
#define ENTROPY_MAX 256

static void notify(struct virtio_device *device, unsigned index)
{
	struct virtqueue *queue = &device->queues[index];
	struct virtq_chain chain;

	while (virtqueue_pop(queue, &chain) > 0) {
		uint8_t bytes[ENTROPY_MAX];
		size_t written = 0;

		if (getentropy(bytes, sizeof(bytes)) == 0)
			written = iov_copy_to(chain.iov + chain.out_count, chain.in_count, 0,
					      bytes, sizeof(bytes));
		virtqueue_push(queue, chain.head, (uint32_t)written);
	}
	virtio_flush(device, index);
}

static const struct virtio_class rng_class = {
	.name = "rng",
	.id = VIRTIO_ID_RNG,
	.queue_count = 1,
	.notify = notify,
};

void virtio_rng_init(struct virtio_rng *rng)
{
	*rng = (struct virtio_rng){ .device.class = &rng_class };
}
