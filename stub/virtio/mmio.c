/* The virtio-mmio transport: registers on vCPU threads, queues on the loop's. */
#include "mmio.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Register offsets and values, virtio 1.2, 4.2.2. */
enum {
	MAGIC_VALUE		= 0x000,
	VERSION			= 0x004,
	DEVICE_ID		= 0x008,
	VENDOR_ID		= 0x00c,
	DEVICE_FEATURES		= 0x010,
	DEVICE_FEATURES_SEL	= 0x014,
	DRIVER_FEATURES		= 0x020,
	DRIVER_FEATURES_SEL	= 0x024,
	QUEUE_SEL		= 0x030,
	QUEUE_NUM_MAX		= 0x034,
	QUEUE_NUM		= 0x038,
	QUEUE_READY		= 0x044,
	QUEUE_NOTIFY		= 0x050,
	INTERRUPT_STATUS	= 0x060,
	INTERRUPT_ACK		= 0x064,
	STATUS			= 0x070,
	QUEUE_DESC_LOW		= 0x080,
	QUEUE_DESC_HIGH		= 0x084,
	QUEUE_DRIVER_LOW	= 0x090,
	QUEUE_DRIVER_HIGH	= 0x094,
	QUEUE_DEVICE_LOW	= 0x0a0,
	QUEUE_DEVICE_HIGH	= 0x0a4,
	CONFIG_GENERATION	= 0x0fc,
	CONFIG			= 0x100,
};

#define MAGIC			0x74726976u	/* "virt" */
#define MMIO_VERSION		2
#define VENDOR			0x4b504d53u	/* "SMPK" */
#define STATUS_FEATURES_OK	8u
#define STATUS_NEEDS_RESET	64u
#define INTERRUPT_USED_BUFFER	1u

static uint64_t offered_features(const struct virtio_device *device)
{
	return device->class->features | VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX;
}

static struct virtqueue *selected_queue(struct virtio_mmio *mmio)
{
	if (mmio->queue_select >= mmio->device->class->queue_count)
		return NULL;
	return &mmio->device->queues[mmio->queue_select];
}

static void interrupt(struct virtio_device *device, unsigned index)
{
	struct virtio_mmio *mmio = device->transport;
	uint64_t one = 1;

	(void)index;	/* one interrupt line serves all queues */
	atomic_fetch_or(&mmio->interrupt_status, INTERRUPT_USED_BUFFER);
	ssize_t ignored = write(mmio->irq_fd, &one, sizeof(one));

	(void)ignored;	/* an eventfd this far from overflow takes it */
}

static void kicked(struct loop_source *source, unsigned events)
{
	struct virtio_mmio *mmio = source->context;
	uint64_t count, one = 1;

	(void)events;
	if (read(source->fd, &count, sizeof(count)) == sizeof(count) &&
	    virtio_notify(mmio->device, (unsigned)(source - mmio->kicks)))
		count = (uint64_t)write(source->fd, &one, sizeof(one));	/* again, later */
}

static void reset(struct virtio_mmio *mmio)
{
	virtio_reset(mmio->device);
	mmio->status = 0;
	mmio->queue_select = 0;
	mmio->driver_features = 0;
	atomic_store(&mmio->interrupt_status, 0);
}

static void set_status(struct virtio_mmio *mmio, uint32_t value)
{
	struct virtio_device *device = mmio->device;

	if (value == 0) {
		reset(mmio);
		return;
	}
	if (value & ~mmio->status & STATUS_FEATURES_OK) {
		/* Only what was offered, and never the legacy interface. */
		if (mmio->driver_features & ~offered_features(device) ||
		    !(mmio->driver_features & VIRTIO_F_VERSION_1))
			value &= ~STATUS_FEATURES_OK;
		else
			device->driver_features = mmio->driver_features;
	}
	mmio->status = value;
}

static void set_ready(struct virtio_mmio *mmio, struct virtqueue *queue, uint32_t value)
{
	if (value == 0) {
		queue->enabled = false;
		return;
	}
	queue->event_idx = mmio->device->driver_features & VIRTIO_F_EVENT_IDX;
	if (virtqueue_enable(queue, 0) < 0)
		mmio->status |= STATUS_NEEDS_RESET;
}

static void set_half(uint64_t *address, uint32_t value, bool high)
{
	*address = high ? (*address & UINT32_MAX) | (uint64_t)value << 32
			: (*address & ~(uint64_t)UINT32_MAX) | value;
}

static void write_queue_register(struct virtio_mmio *mmio, uint64_t offset, uint32_t value)
{
	struct virtqueue *queue = selected_queue(mmio);

	/* A running queue's rings stay where they are. */
	if (!queue || (queue->enabled && offset != QUEUE_READY))
		return;
	switch (offset) {
	case QUEUE_NUM:
		queue->size = value <= VIRTQUEUE_SIZE ? (uint16_t)value : 0;
		break;
	case QUEUE_READY:
		set_ready(mmio, queue, value);
		break;
	case QUEUE_DESC_LOW:
	case QUEUE_DESC_HIGH:
		set_half(&queue->desc_gpa, value, offset == QUEUE_DESC_HIGH);
		break;
	case QUEUE_DRIVER_LOW:
	case QUEUE_DRIVER_HIGH:
		set_half(&queue->avail_gpa, value, offset == QUEUE_DRIVER_HIGH);
		break;
	case QUEUE_DEVICE_LOW:
	case QUEUE_DEVICE_HIGH:
		set_half(&queue->used_gpa, value, offset == QUEUE_DEVICE_HIGH);
		break;
	}
}

static void write_register(struct virtio_mmio *mmio, uint64_t offset, uint32_t value)
{
	switch (offset) {
	case DEVICE_FEATURES_SEL:
		mmio->device_feature_select = value;
		break;
	case DRIVER_FEATURES_SEL:
		mmio->driver_feature_select = value;
		break;
	case DRIVER_FEATURES:
		if (mmio->driver_feature_select < 2 && !(mmio->status & STATUS_FEATURES_OK))
			set_half(&mmio->driver_features, value, mmio->driver_feature_select == 1);
		break;
	case QUEUE_SEL:
		mmio->queue_select = value;
		break;
	case STATUS:
		set_status(mmio, value);
		break;
	default:
		write_queue_register(mmio, offset, value);
	}
}

static uint32_t read_register(struct virtio_mmio *mmio, uint64_t offset)
{
	struct virtqueue *queue = selected_queue(mmio);

	switch (offset) {
	case MAGIC_VALUE:
		return MAGIC;
	case VERSION:
		return MMIO_VERSION;
	case DEVICE_ID:
		return mmio->device->class->id;
	case VENDOR_ID:
		return VENDOR;
	case DEVICE_FEATURES:
		if (mmio->device_feature_select >= 2)
			return 0;
		return (uint32_t)(offered_features(mmio->device) >>
				  (32 * mmio->device_feature_select));
	case QUEUE_NUM_MAX:
		return queue ? VIRTQUEUE_SIZE : 0;
	case QUEUE_READY:
		return queue && queue->enabled;
	case STATUS:
		return mmio->status;
	default:
		return 0;
	}
}

static void read_config(const struct virtio_mmio *mmio, uint64_t offset, void *data,
			unsigned size)
{
	uint32_t config_size = mmio->device->class->config_size;

	memset(data, 0, size);
	if (offset <= config_size && size <= config_size - offset)
		memcpy(data, (const uint8_t *)mmio->device->config + offset, size);
}

static void access_registers(void *context, uint64_t offset, void *data, unsigned size,
			     bool is_write)
{
	struct virtio_mmio *mmio = context;
	uint32_t value = 0;

	/* Every interrupt comes with these two: they need no lock. */
	if (offset == INTERRUPT_STATUS || offset == INTERRUPT_ACK) {
		memcpy(&value, data, size < sizeof(value) ? size : sizeof(value));
		if (is_write)
			atomic_fetch_and(&mmio->interrupt_status, ~value);
		else
			value = atomic_load(&mmio->interrupt_status);
	} else if (offset >= CONFIG) {
		if (!is_write)
			read_config(mmio, offset - CONFIG, data, size);
		return;
	} else if (size == sizeof(value)) {
		pthread_mutex_lock(&mmio->loop->lock);
		memcpy(&value, data, sizeof(value));
		if (is_write)
			write_register(mmio, offset, value);
		else
			value = read_register(mmio, offset);
		pthread_mutex_unlock(&mmio->loop->lock);
	}
	if (!is_write) {
		memset(data, 0, size);
		memcpy(data, &value, size < sizeof(value) ? size : sizeof(value));
	}
}

int virtio_mmio_attach(struct virtio_mmio *mmio, struct virtio_device *device, struct hv *hv,
		       struct bus *bus, struct loop *loop, uint64_t gpa, unsigned irq)
{
	*mmio = (struct virtio_mmio){
		.device = device,
		.loop = loop,
		.irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
	};
	if (mmio->irq_fd < 0)
		return -errno;
	device->interrupt = interrupt;
	device->transport = mmio;

	int error = hv_irq_fd(hv, mmio->irq_fd, irq);

	for (unsigned i = 0; i < device->class->queue_count && !error; i++) {
		struct loop_source *kick = &mmio->kicks[i];

		*kick = (struct loop_source){
			.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
			.ready = kicked,
			.context = mmio,
		};
		if (kick->fd < 0)
			return -errno;
		error = hv_notify_fd(hv, kick->fd, gpa + QUEUE_NOTIFY, i);
		if (!error)
			error = loop_add(loop, kick, LOOP_READ);
	}
	if (error)
		return error;
	return bus_add(bus, &(struct bus_range){
		.start = gpa,
		.size = VIRTIO_MMIO_SIZE,
		.access = access_registers,
		.context = mmio,
	});
}
