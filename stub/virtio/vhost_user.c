/* The vhost-user transport (QEMU's docs/interop/vhost-user.rst), back end. */
#include "vhost_user.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define CONFIG_HEADER_SIZE	(3 * sizeof(uint32_t))

#define F_PROTOCOL_FEATURES	(1ull << 30)
#define PROTOCOL_F_CONFIG	(1ull << 9)

/* SET_VRING_KICK, _CALL, _ERR: the ring's index and whether a descriptor comes along. */
#define VRING_INDEX_MASK	0xffu
#define VRING_NO_FD		0x100u

enum request {
	GET_FEATURES		= 1,
	SET_FEATURES		= 2,
	SET_OWNER		= 3,
	SET_MEM_TABLE		= 5,
	SET_VRING_NUM		= 8,
	SET_VRING_ADDR		= 9,
	SET_VRING_BASE		= 10,
	GET_VRING_BASE		= 11,
	SET_VRING_KICK		= 12,
	SET_VRING_CALL		= 13,
	SET_VRING_ERR		= 14,
	GET_PROTOCOL_FEATURES	= 15,
	SET_PROTOCOL_FEATURES	= 16,
	SET_VRING_ENABLE	= 18,
	GET_CONFIG		= 24,
	SET_CONFIG		= 25,
};

static uint64_t offered_features(const struct vhost_user *transport)
{
	return transport->device->class->features | VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX |
	       F_PROTOCOL_FEATURES;
}

static uint64_t offered_protocol_features(const struct vhost_user *transport)
{
	return transport->device->class->config_size ? PROTOCOL_F_CONFIG : 0;
}

static int reply_u64(struct vhost_user *transport, uint64_t value)
{
	transport->wire.message.payload.u64 = value;
	return vhost_user_reply(&transport->wire, sizeof(value));
}

static void replace_fd(int *at, int fd)
{
	if (*at >= 0)
		close(*at);
	*at = fd;
}

static void interrupt(struct virtio_device *device, unsigned index)
{
	const struct vhost_user *transport = device->transport;
	const uint64_t one = 1;
	int fd = transport->rings[index].call_fd;

	if (fd >= 0) {
		ssize_t ignored = write(fd, &one, sizeof(one));

		(void)ignored;	/* the counter is full: an interrupt is pending anyway */
	}
}

/* One turn for the queue; when it wants another, the kick descriptor says so to the loop. */
static void serve_ring(struct vhost_user *transport, unsigned index)
{
	const uint64_t one = 1;

	if (virtio_notify(transport->device, index)) {
		ssize_t ignored = write(transport->rings[index].kick.fd, &one, sizeof(one));

		(void)ignored;	/* the counter is full: it is readable anyway */
	}
}

static void kicked(struct loop_source *source, unsigned events)
{
	struct vhost_user *transport = source->context;
	unsigned index = 0;
	uint64_t kicks;

	(void)events;
	while (source != &transport->rings[index].kick)
		index++;
	if (read(source->fd, &kicks, sizeof(kicks)) == sizeof(kicks))
		serve_ring(transport, index);
}

static void stop_ring(struct vhost_user *transport, unsigned index)
{
	struct vhost_user_ring *ring = &transport->rings[index];
	struct virtqueue *queue = &transport->device->queues[index];

	loop_remove(transport->loop, &ring->kick);
	if (queue->enabled)
		ring->next_avail = virtqueue_disable(queue);
}

/* A ring runs from its kick descriptor on, and where both sides know ENABLE, while enabled. */
static int update_ring(struct vhost_user *transport, unsigned index)
{
	struct vhost_user_ring *ring = &transport->rings[index];
	struct virtio_device *device = transport->device;
	struct virtqueue *queue = &device->queues[index];
	bool enabled = ring->wanted || !(transport->features & F_PROTOCOL_FEATURES);

	if (ring->kick.fd < 0 || !enabled) {
		stop_ring(transport, index);
		return 0;
	}
	if (queue->enabled)
		return 0;
	queue->event_idx = device->driver_features & VIRTIO_F_EVENT_IDX;
	int error = virtqueue_enable(queue, ring->next_avail);

	if (error)
		return error;
	error = loop_add(transport->loop, &ring->kick, LOOP_READ);
	if (error)
		return error;
	/* Requests may have been waiting since before the kick descriptor was ours. */
	serve_ring(transport, index);
	return 0;
}

static struct vhost_user_ring *ring_at(struct vhost_user *transport, uint32_t index)
{
	return index < transport->device->class->queue_count ? &transport->rings[index] : NULL;
}

static int get_features(struct vhost_user *transport)
{
	return reply_u64(transport, offered_features(transport));
}

static int set_features(struct vhost_user *transport)
{
	uint64_t features = transport->wire.message.payload.u64;

	if (features & ~offered_features(transport))
		return -EINVAL;
	transport->features = features;
	transport->device->driver_features = features & ~F_PROTOCOL_FEATURES;
	return 0;
}

static int set_owner(struct vhost_user *transport)
{
	(void)transport;	/* one front end a socket */
	return 0;
}

static int get_protocol_features(struct vhost_user *transport)
{
	return reply_u64(transport, offered_protocol_features(transport));
}

static int set_protocol_features(struct vhost_user *transport)
{
	uint64_t features = transport->wire.message.payload.u64;

	return features & ~offered_protocol_features(transport) ? -EINVAL : 0;
}

/*
 * The memory itself is ours already; the table is needed for the addresses in which
 * the front end names rings. Its descriptors are duplicates and dropped.
 */
static int set_mem_table(struct vhost_user *transport)
{
	const struct vhost_user_message *message = &transport->wire.message;
	uint32_t count = message->payload.memory.count;

	if (count > VHOST_USER_MAX_REGIONS || count != transport->wire.fd_count ||
	    message->size != 2 * sizeof(uint32_t) + count * sizeof(struct vhost_user_region))
		return -EINVAL;
	transport->region_count = 0;
	for (uint32_t i = 0; i < count; i++) {
		const struct vhost_user_region region = message->payload.memory.regions[i];

		if (region.size == 0 || region.user + region.size < region.user ||
		    !mem_at(transport->memory, region.gpa, region.size))
			return -EINVAL;
		transport->regions[transport->region_count++] = region;
	}
	return 0;
}

/* Return: whether the front end's @user address is guest memory, at @gpa. */
static bool translate(const struct vhost_user *transport, uint64_t user, uint64_t *gpa)
{
	for (unsigned i = 0; i < transport->region_count; i++) {
		const struct vhost_user_region *region = &transport->regions[i];

		if (user >= region->user && user - region->user < region->size) {
			*gpa = region->gpa + (user - region->user);
			return true;
		}
	}
	return false;
}

static int set_vring_num(struct vhost_user *transport)
{
	uint32_t index = transport->wire.message.payload.vring.index;
	uint32_t size = transport->wire.message.payload.vring.value;

	if (!ring_at(transport, index) || size > VIRTQUEUE_MAX_SIZE ||
	    transport->device->queues[index].enabled)
		return -EINVAL;
	transport->device->queues[index].size = (uint16_t)size;
	return 0;
}

static int set_vring_addr(struct vhost_user *transport)
{
	const struct vhost_user_message *message = &transport->wire.message;
	uint32_t index = message->payload.rings.index;

	if (!ring_at(transport, index))
		return -EINVAL;
	struct virtqueue *queue = &transport->device->queues[index];

	if (queue->enabled ||
	    !translate(transport, message->payload.rings.desc, &queue->desc_gpa) ||
	    !translate(transport, message->payload.rings.avail, &queue->avail_gpa) ||
	    !translate(transport, message->payload.rings.used, &queue->used_gpa))
		return -EINVAL;
	return 0;
}

static int set_vring_base(struct vhost_user *transport)
{
	uint32_t index = transport->wire.message.payload.vring.index;
	uint32_t next_avail = transport->wire.message.payload.vring.value;

	if (!ring_at(transport, index) || next_avail > UINT16_MAX ||
	    transport->device->queues[index].enabled)
		return -EINVAL;
	transport->rings[index].next_avail = (uint16_t)next_avail;
	return 0;
}

/* Stops the ring. Once none runs, the driver has reset the device or is gone. */
static int get_vring_base(struct vhost_user *transport)
{
	struct virtio_device *device = transport->device;
	uint32_t index = transport->wire.message.payload.vring.index;
	struct vhost_user_ring *ring = ring_at(transport, index);

	if (!ring)
		return -EINVAL;
	stop_ring(transport, index);
	virtqueue_reset(&device->queues[index]);
	replace_fd(&ring->kick.fd, -1);
	ring->wanted = false;
	bool any = false;

	for (unsigned i = 0; i < device->class->queue_count; i++)
		any |= device->queues[i].enabled;
	if (!any && device->class->reset)
		device->class->reset(device);
	transport->wire.message.payload.vring.value = ring->next_avail;
	return vhost_user_reply(&transport->wire, sizeof(transport->wire.message.payload.vring));
}

static int set_vring_enable(struct vhost_user *transport)
{
	uint32_t index = transport->wire.message.payload.vring.index;
	struct vhost_user_ring *ring = ring_at(transport, index);

	if (!ring)
		return -EINVAL;
	ring->wanted = transport->wire.message.payload.vring.value != 0;
	return update_ring(transport, index);
}

/*
 * What SET_VRING_KICK, _CALL and _ERR have in common: @fd is the descriptor that came
 * with it, the caller's from then on, or -1.
 */
static int take_ring_fd(struct vhost_user *transport, unsigned *index, int *fd)
{
	uint64_t value = transport->wire.message.payload.u64;

	*index = (unsigned)(value & VRING_INDEX_MASK);
	if (value & ~(uint64_t)(VRING_INDEX_MASK | VRING_NO_FD) || !ring_at(transport, *index) ||
	    transport->wire.fd_count != !(value & VRING_NO_FD))
		return -EINVAL;
	*fd = vhost_user_take_fd(&transport->wire);
	/* Neither reading nor writing an event may ever block the loop. */
	if (*fd >= 0 && fcntl(*fd, F_SETFL, O_NONBLOCK) < 0) {
		int error = -errno;

		close(*fd);
		return error;
	}
	return 0;
}

static int set_vring_kick(struct vhost_user *transport)
{
	unsigned index;
	int fd;
	int error = take_ring_fd(transport, &index, &fd);

	if (error)
		return error;
	stop_ring(transport, index);
	replace_fd(&transport->rings[index].kick.fd, fd);
	return update_ring(transport, index);
}

static int set_vring_call(struct vhost_user *transport)
{
	unsigned index;
	int fd;
	int error = take_ring_fd(transport, &index, &fd);

	if (!error)
		replace_fd(&transport->rings[index].call_fd, fd);
	return error;
}

/* We report no errors that way. */
static int set_vring_err(struct vhost_user *transport)
{
	unsigned index;
	int fd;
	int error = take_ring_fd(transport, &index, &fd);

	if (!error)
		replace_fd(&fd, -1);
	return error;
}

static int get_config(struct vhost_user *transport)
{
	struct vhost_user_message *message = &transport->wire.message;
	const struct virtio_device *device = transport->device;
	uint32_t offset = message->payload.config.offset;
	uint32_t size = message->payload.config.size;

	if (size > VHOST_USER_MAX_CONFIG || message->size != CONFIG_HEADER_SIZE + size)
		return -EINVAL;
	/* The front end may ask for fields of features that we do not have. */
	memset(message->payload.config.bytes, 0, size);
	if (offset < device->class->config_size) {
		uint32_t part = device->class->config_size - offset;

		memcpy(message->payload.config.bytes, (const uint8_t *)device->config + offset,
		       part < size ? part : size);
	}
	return vhost_user_reply(&transport->wire, message->size);
}

static int set_config(struct vhost_user *transport)
{
	(void)transport;	/* read-only: what the driver writes is ignored */
	return 0;
}

#define PAYLOAD(field) sizeof(((struct vhost_user_message *)0)->payload.field)

static const struct {
	uint32_t	min_size, max_size;	/* of the payload */
	unsigned	max_fds;
	int		(*handle)(struct vhost_user *transport);
} requests[] = {
	[GET_FEATURES]		= { 0, 0, 0, get_features },
	[SET_FEATURES]		= { PAYLOAD(u64), PAYLOAD(u64), 0, set_features },
	[SET_OWNER]		= { 0, 0, 0, set_owner },
	[SET_MEM_TABLE]		= { 8, PAYLOAD(memory), VHOST_USER_MAX_REGIONS, set_mem_table },
	[SET_VRING_NUM]		= { PAYLOAD(vring), PAYLOAD(vring), 0, set_vring_num },
	[SET_VRING_ADDR]	= { PAYLOAD(rings), PAYLOAD(rings), 0, set_vring_addr },
	[SET_VRING_BASE]	= { PAYLOAD(vring), PAYLOAD(vring), 0, set_vring_base },
	[GET_VRING_BASE]	= { PAYLOAD(vring), PAYLOAD(vring), 0, get_vring_base },
	[SET_VRING_KICK]	= { PAYLOAD(u64), PAYLOAD(u64), 1, set_vring_kick },
	[SET_VRING_CALL]	= { PAYLOAD(u64), PAYLOAD(u64), 1, set_vring_call },
	[SET_VRING_ERR]		= { PAYLOAD(u64), PAYLOAD(u64), 1, set_vring_err },
	[GET_PROTOCOL_FEATURES]	= { 0, 0, 0, get_protocol_features },
	[SET_PROTOCOL_FEATURES]	= { PAYLOAD(u64), PAYLOAD(u64), 0, set_protocol_features },
	[SET_VRING_ENABLE]	= { PAYLOAD(vring), PAYLOAD(vring), 0, set_vring_enable },
	[GET_CONFIG]		= { CONFIG_HEADER_SIZE, PAYLOAD(config), 0, get_config },
	[SET_CONFIG]		= { CONFIG_HEADER_SIZE, PAYLOAD(config), 0, set_config },
};

/* Return: 0 when the message at hand was served, or a negative errno. */
static int serve(struct vhost_user *transport)
{
	const struct vhost_user_message *message = &transport->wire.message;
	uint32_t request = message->request;

	if (request >= sizeof(requests) / sizeof(requests[0]) || !requests[request].handle)
		return -EOPNOTSUPP;
	if (message->size < requests[request].min_size ||
	    message->size > requests[request].max_size)
		return -EMSGSIZE;
	if (transport->wire.fd_count > requests[request].max_fds)
		return -EPROTO;
	return requests[request].handle(transport);
}

static void readable(struct loop_source *source, unsigned events)
{
	struct vhost_user *transport = source->context;
	int result = vhost_user_receive(&transport->wire);

	(void)events;	/* a hangup shows when everything that was sent has been read */
	if (result > 0) {
		result = serve(transport);
		vhost_user_finish(&transport->wire);
	}
	if (result < 0) {
		vhost_user_close(transport);
		transport->closed(transport, result == -ECONNRESET ? 0 : result);
	}
}

int vhost_user_open(struct vhost_user *transport, struct virtio_device *device,
		    const struct guest_memory *memory, struct loop *loop, int fd)
{
	transport->device = device;
	transport->memory = memory;
	transport->loop = loop;
	transport->socket = (struct loop_source){
		.fd = fd, .ready = readable, .context = transport,
	};
	transport->region_count = 0;
	transport->features = 0;
	transport->wire = (struct vhost_user_wire){ .fd = fd };
	for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++) {
		transport->rings[i] = (struct vhost_user_ring){
			.kick = { .fd = -1, .ready = kicked, .context = transport },
			.call_fd = -1,
		};
		device->queues[i].memory = memory;
	}
	virtio_reset(device);	/* it may have served a machine that failed to start */
	device->transport = transport;
	device->interrupt = interrupt;
	int error = loop_add(loop, &transport->socket, LOOP_READ);

	if (error)
		vhost_user_close(transport);
	return error;
}

void vhost_user_close(struct vhost_user *transport)
{
	loop_remove(transport->loop, &transport->socket);
	replace_fd(&transport->socket.fd, -1);
	for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++) {
		stop_ring(transport, i);
		replace_fd(&transport->rings[i].kick.fd, -1);
		replace_fd(&transport->rings[i].call_fd, -1);
	}
	vhost_user_finish(&transport->wire);
}
