// sources: stub/mem.c stub/hashtree.c stub/disk.c stub/virtio/queue.c stub/virtio/blk.c libsodium.c
/* The block device and its ring: the input is descriptors, available entries and requests' headers. */
#include <sys/mman.h>
#include <unistd.h>

#include "fake_driver.h"
#include "fake_tree.h"
#include "fuzz.h"
#include "virtio/blk.h"

#define QUEUE_SIZE	16
#define DISK_SIZE	(2 * FORMAT_CHUNK_SIZE + 700)
#define RING_BYTES	(4 + 2 * QUEUE_SIZE)

static struct disk disk;

static void on_damaged(struct disk *damaged, uint64_t file_offset, int error)
{
	(void)damaged;
	(void)file_offset;
	(void)error;
}

static void on_interrupt(struct virtio_device *device, unsigned index)
{
	(void)device;
	(void)index;
}

/* Its second chunk is not what was hashed. */
static void open_disk(void)
{
	uint8_t *bytes = calloc(1, DISK_SIZE);

	disk = (struct disk){ .fd = memfd_create("disk", MFD_CLOEXEC), .damaged = on_damaged };
	fake_tree(&disk.tree, bytes, DISK_SIZE);
	bytes[FORMAT_CHUNK_SIZE] = 1;
	MUST(write(disk.fd, bytes, DISK_SIZE) == DISK_SIZE);
	MUST(disk_open(&disk) == 0);
	free(bytes);
}

/* Fills guest memory from the input. Return: what is left of it. */
static size_t place(struct fake_driver *driver, uint64_t gpa, size_t room, const uint8_t **data,
		    size_t size)
{
	size_t taken = size < room ? size : room;

	memcpy(driver_at(driver, gpa), *data, taken);
	*data += taken;
	return size - taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake_driver driver;
	struct virtio_blk blk;

	if (size < 2)
		return 0;
	if (!disk.checked) {
		open_disk();
		driver_open(&driver, QUEUE_SIZE);
	}
	memset(disk.checked, 0, 1);
	memset(driver.ram, 0, DRIVER_RAM_SIZE);
	virtio_blk_init(&blk, &disk, "root");
	blk.device.interrupt = on_interrupt;
	blk.device.queues[0].event_idx = data[0] & 1;
	MUST(driver_enable(&driver, &blk.device.queues[0], 0) == 0);
	data++;
	size = place(&driver, DRIVER_AVAIL, RING_BYTES, &data, size - 1);
	size = place(&driver, DRIVER_DESC, QUEUE_SIZE * sizeof(struct driver_desc), &data, size);
	place(&driver, DRIVER_BUFFERS, 0x1000, &data, size);
	blk.device.class->notify(&blk.device, 0);
	return 0;
}
