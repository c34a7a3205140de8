// sources: stub/mem.c stub/hashtree.c stub/disk.c stub/virtio/queue.c stub/virtio/blk.c libsodium.c
/* The block device: every request a driver can make, and those that only a hostile one makes. */
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "fake_driver.h"
#include "fake_tree.h"
#include "virtio/blk.h"

#define SECTOR		512
#define DISK_OFFSET	100			/* of the disk in its file: not aligned to anything */
#define DISK_SIZE	(3 * SECTOR + 200)	/* the last sector is not full */
#define AFTER		0xee			/* what follows in the file is not the guest's */

#define IN		0
#define OUT		1
#define FLUSH		4
#define GET_ID		8
#define DISCARD		11

#define OK		0
#define IOERR		1
#define UNSUPP		2
#define UNTOUCHED	0x55

#define HEADER		DRIVER_BUFFERS
#define DATA		(DRIVER_BUFFERS + 0x1000)
#define STATUS		(DRIVER_BUFFERS + 0x8000)

static struct fake_driver driver;
static struct disk disk;
static struct virtio_blk blk;
static unsigned interrupts, damages;

static void count_interrupt(struct virtio_device *device, unsigned index)
{
	(void)device;
	(void)index;
	interrupts++;
}

static uint8_t disk_byte(uint64_t at)
{
	return (uint8_t)(at * 7 + at / SECTOR + 1);
}

static int disk_file(void)
{
	uint8_t bytes[DISK_OFFSET + DISK_SIZE + SECTOR];
	int fd = memfd_create("disk", 0);

	memset(bytes, AFTER, sizeof(bytes));
	for (unsigned i = 0; i < DISK_SIZE; i++)
		bytes[DISK_OFFSET + i] = disk_byte(i);
	CHECK_INT(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	return fd;
}

static void count_damage(struct disk *damaged, uint64_t file_offset, int error)
{
	CHECK(damaged == &disk);
	CHECK_INT(file_offset, DISK_OFFSET);
	CHECK(error < 0);
	damages++;
}

/* @size: of the disk, whatever the file holds. */
static void open_disk_of(int fd, uint64_t size)
{
	uint8_t bytes[DISK_SIZE];

	for (unsigned i = 0; i < DISK_SIZE; i++)
		bytes[i] = disk_byte(i);
	disk = (struct disk){ .fd = fd, .offset = DISK_OFFSET, .damaged = count_damage };
	fake_tree(&disk.tree, bytes, DISK_SIZE);
	disk.tree.size = size;
	CHECK_INT(disk_open(&disk), 0);
	driver_open(&driver, 16);
	virtio_blk_init(&blk, &disk, "rootfs");
	blk.device.interrupt = count_interrupt;
	CHECK_INT(driver_enable(&driver, &blk.device.queues[0], 0), 0);
	memset(driver_at(&driver, DRIVER_BUFFERS), UNTOUCHED, 0x10000);
	interrupts = damages = 0;
}

static void open_disk(void)
{
	open_disk_of(disk_file(), DISK_SIZE);
}

static void close_disk(void)
{
	close(disk.fd);
	free(disk.checked);
	free(disk.reported);
	fake_tree_free(&disk.tree);
	driver_close(&driver);
}

static void put_header(uint32_t type, uint64_t sector)
{
	struct { uint32_t type, reserved; uint64_t sector; } header = { type, 0, sector };

	memcpy(driver_at(&driver, HEADER), &header, sizeof(header));
}

/* Submit what starts at descriptor 0. Return: the length that comes back, -1 when nothing does. */
static long long run(void)
{
	struct driver_used element;

	driver_submit(&driver, 0);
	blk.device.class->notify(&blk.device, 0);
	return driver_collect(&driver, &element) && element.id == 0
		       ? (long long)element.length : -1;
}

static uint8_t status(void)
{
	return *(uint8_t *)driver_at(&driver, STATUS);
}

/* The usual shape: header, one buffer of @length bytes, status. */
static long long request(uint32_t type, uint64_t sector, uint32_t length)
{
	uint16_t direction = type == OUT ? 0 : DESC_WRITE;

	put_header(type, sector);
	driver_describe(&driver, 0, HEADER, 16, DESC_NEXT, length ? 1 : 2);
	driver_describe(&driver, 1, DATA, length, (uint16_t)(DESC_NEXT | direction), 2);
	driver_describe(&driver, 2, STATUS, 1, DESC_WRITE, 0);
	return run();
}

static bool data_is_disk(uint64_t gpa, uint64_t position, uint32_t length)
{
	const uint8_t *data = driver_at(&driver, gpa);

	for (uint32_t i = 0; i < length; i++) {
		uint64_t at = position + i;

		if (data[i] != (at < DISK_SIZE ? disk_byte(at) : 0))
			return false;
	}
	return true;
}

static bool data_untouched(uint32_t length)
{
	const uint8_t *data = driver_at(&driver, DATA);

	for (uint32_t i = 0; i < length; i++) {
		if (data[i] != UNTOUCHED)
			return false;
	}
	return true;
}

static void test_config(void)
{
	const struct virtio_blk_config *config;

	open_disk();
	config = blk.device.config;
	CHECK_INT(config->capacity, 4);
	CHECK_INT(config->blk_size, SECTOR);
	CHECK(config->seg_max + 2 <= VIRTQUEUE_MAX_IOV);
	CHECK_INT(blk.device.class->config_size, 24);
	CHECK(blk.device.class->features & 1 << 5);	/* VIRTIO_BLK_F_RO */
	close_disk();
}

static void test_read(void)
{
	open_disk();
	CHECK_INT(request(IN, 1, 2 * SECTOR), 2 * SECTOR + 1);
	CHECK_INT(status(), OK);
	CHECK(data_is_disk(DATA, SECTOR, 2 * SECTOR));
	CHECK_INT(interrupts, 1);
	close_disk();
}

static void test_last_sector_is_padded_with_zeros(void)
{
	open_disk();
	CHECK_INT(request(IN, 2, 2 * SECTOR), 2 * SECTOR + 1);
	CHECK_INT(status(), OK);
	CHECK(data_is_disk(DATA, 2 * SECTOR, 2 * SECTOR));
	close_disk();
}

static void test_read_into_many_buffers(void)
{
	open_disk();
	put_header(IN, 0);
	/* The header comes in two pieces, and the status shares a buffer with data. */
	driver_describe(&driver, 0, HEADER, 3, DESC_NEXT, 4);
	driver_describe(&driver, 4, HEADER + 3, 13, DESC_NEXT, 5);
	driver_describe(&driver, 5, DATA, 1, DESC_NEXT | DESC_WRITE, 6);
	driver_describe(&driver, 6, DATA + 1, 1000, DESC_NEXT | DESC_WRITE, 7);
	driver_describe(&driver, 7, DATA + 1001, 2048 - 1001 + 1, DESC_WRITE, 0);
	CHECK_INT(run(), 2049);
	CHECK(data_is_disk(DATA, 0, 2048));
	CHECK_INT(*(uint8_t *)driver_at(&driver, DATA + 2048), OK);
	close_disk();
}

static void test_read_of_nothing(void)
{
	open_disk();
	CHECK_INT(request(IN, 4, 0), 1);
	CHECK_INT(status(), OK);
	close_disk();
}

static void test_reads_out_of_range(void)
{
	static const struct { uint64_t sector; uint32_t length; } bad[] = {
		{ 4, SECTOR }, { 3, 2 * SECTOR }, { 0, 5 * SECTOR }, { 5, 0 },
		{ UINT64_MAX, SECTOR }, { UINT64_MAX / SECTOR + 1, SECTOR },
		{ 0, 1 }, { 0, SECTOR - 1 }, { 0, SECTOR + 1 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		open_disk();
		CHECK(request(IN, bad[i].sector, bad[i].length) <= 1);
		CHECK_INT(status(), IOERR);
		CHECK(data_untouched(bad[i].length));
		close_disk();
	}
}

static void test_file_shorter_than_promised(void)
{
	open_disk_of(disk_file(), DISK_SIZE + 100 * SECTOR);
	CHECK_INT(request(IN, 50, SECTOR), 0);
	CHECK_INT(status(), IOERR);
	CHECK_INT(damages, 1);
	close_disk();
}

static void test_damaged_disk(void)
{
	static const uint8_t other = 0;

	open_disk();
	CHECK_INT(pwrite(disk.fd, &other, 1, DISK_OFFSET + DISK_SIZE - 1), 1);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_INT(request(IN, i, SECTOR), 0);
		CHECK_INT(status(), IOERR);
		CHECK(data_untouched(SECTOR));
	}
	CHECK_INT(damages, 1);
	close_disk();
}

static void test_writes_fail(void)
{
	uint8_t before, after;

	open_disk();
	CHECK_INT(pread(disk.fd, &before, 1, DISK_OFFSET), 1);
	CHECK_INT(request(OUT, 0, SECTOR), 1);
	CHECK_INT(status(), IOERR);
	CHECK_INT(pread(disk.fd, &after, 1, DISK_OFFSET), 1);
	CHECK_INT(after, before);
	close_disk();
}

static void test_unknown_requests(void)
{
	static const uint32_t types[] = { FLUSH, DISCARD, 3, 12345, UINT32_MAX };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		open_disk();
		CHECK_INT(request(types[i], 0, 0), 1);
		CHECK_INT(status(), UNSUPP);
		close_disk();
	}
}

static void test_id(void)
{
	open_disk();
	CHECK_INT(request(GET_ID, 0, 20), 21);
	CHECK_INT(status(), OK);
	CHECK_MEM(driver_at(&driver, DATA), "rootfs\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
	CHECK(request(GET_ID, 0, 19) == 0 && status() == IOERR);
	CHECK(request(GET_ID, 0, 21) == 0 && status() == IOERR);
	close_disk();
}

static void test_header_too_short(void)
{
	open_disk();
	put_header(IN, 0);
	driver_describe(&driver, 0, HEADER, 15, DESC_NEXT, 1);
	driver_describe(&driver, 1, DATA, SECTOR, DESC_NEXT | DESC_WRITE, 2);
	driver_describe(&driver, 2, STATUS, 1, DESC_WRITE, 0);
	CHECK_INT(run(), 0);
	CHECK_INT(status(), IOERR);
	CHECK(data_untouched(SECTOR));
	close_disk();
}

static void test_no_header(void)
{
	open_disk();
	driver_describe(&driver, 0, STATUS, 1, DESC_WRITE, 0);
	CHECK_INT(run(), 1);
	CHECK_INT(status(), IOERR);
	close_disk();
}

static void test_no_room_for_a_status(void)
{
	open_disk();
	put_header(IN, 0);
	driver_describe(&driver, 0, HEADER, 16, 0, 0);
	CHECK_INT(run(), 0);
	driver_describe(&driver, 0, HEADER, 16, DESC_NEXT, 1);
	driver_describe(&driver, 1, DATA, 0, DESC_WRITE, 0);
	CHECK_INT(run(), 0);
	/* The device lives on. */
	CHECK_INT(request(IN, 0, SECTOR), SECTOR + 1);
	CHECK_INT(status(), OK);
	close_disk();
}

/* A chain of buffers that overlap. */
static void test_more_data_than_the_disk_has(void)
{
	open_disk();
	put_header(IN, 0);
	driver_describe(&driver, 0, HEADER, 16, DESC_NEXT, 1);
	for (unsigned i = 1; i < 15; i++)
		driver_describe(&driver, i, DRIVER_RAM_GPA, (uint32_t)DRIVER_RAM_SIZE,
				DESC_NEXT | DESC_WRITE, (uint16_t)(i + 1));
	driver_describe(&driver, 15, STATUS, 1, DESC_WRITE, 0);
	CHECK_INT(run(), 0);
	CHECK_INT(status(), IOERR);
	close_disk();
}

int main(void)
{
	CHECK_RUN(test_config);
	CHECK_RUN(test_read);
	CHECK_RUN(test_last_sector_is_padded_with_zeros);
	CHECK_RUN(test_read_into_many_buffers);
	CHECK_RUN(test_read_of_nothing);
	CHECK_RUN(test_reads_out_of_range);
	CHECK_RUN(test_file_shorter_than_promised);
	CHECK_RUN(test_damaged_disk);
	CHECK_RUN(test_writes_fail);
	CHECK_RUN(test_unknown_requests);
	CHECK_RUN(test_id);
	CHECK_RUN(test_header_too_short);
	CHECK_RUN(test_no_header);
	CHECK_RUN(test_no_room_for_a_status);
	CHECK_RUN(test_more_data_than_the_disk_has);
	return check_report();
}
