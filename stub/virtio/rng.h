/* The entropy device (virtio 1.2, section 5.4): random bytes of the host's kernel. */
#ifndef SMOLPACK_VIRTIO_RNG_H
#define SMOLPACK_VIRTIO_RNG_H

#include "device.h"

struct virtio_rng {
	struct virtio_device	device;
};

/** virtio_rng_init - make @rng a device that a transport can take. */
void virtio_rng_init(struct virtio_rng *rng);

#endif
