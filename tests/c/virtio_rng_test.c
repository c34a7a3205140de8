// sources: stub/mem.c stub/virtio/queue.c stub/virtio/rng.c
/* The entropy device: fills what it is given, as far as one helping goes, and nothing else. */
#include "check.h"
#include "fake_driver.h"
#include "virtio/rng.h"

#define HELPING 256

static struct fake_driver driver;
static struct virtio_rng rng;
static unsigned interrupts;

static void count_interrupt(struct virtio_device *device, unsigned index)
{
	(void)device;
	(void)index;
	interrupts++;
}

static void open_device(void)
{
	driver_open(&driver, 4);
	virtio_rng_init(&rng);
	rng.device.interrupt = count_interrupt;
	interrupts = 0;
	CHECK_INT(driver_enable(&driver, &rng.device.queues[0], 0), 0);
}

/* Ask for @length bytes. Return: how many came, -1 when there was no answer. */
static long long ask(uint32_t length, uint16_t flags)
{
	struct driver_used element;

	driver_describe(&driver, 0, DRIVER_BUFFERS, length, flags, 0);
	driver_submit(&driver, 0);
	rng.device.class->notify(&rng.device, 0);
	return driver_collect(&driver, &element) ? (long long)element.length : -1;
}

static unsigned zeros(uint64_t gpa, unsigned length)
{
	const uint8_t *bytes = driver_at(&driver, gpa);
	unsigned count = 0;

	for (unsigned i = 0; i < length; i++)
		count += bytes[i] == 0;
	return count;
}

static void test_fills_a_buffer(void)
{
	open_device();
	CHECK_INT(ask(64, DESC_WRITE), 64);
	CHECK(zeros(DRIVER_BUFFERS, 64) < 16);
	CHECK_INT(zeros(DRIVER_BUFFERS + 64, 64), 64);
	CHECK_INT(interrupts, 1);
	driver_close(&driver);
}

static void test_never_the_same_twice(void)
{
	uint8_t first[64];

	open_device();
	ask(sizeof(first), DESC_WRITE);
	memcpy(first, driver_at(&driver, DRIVER_BUFFERS), sizeof(first));
	ask(sizeof(first), DESC_WRITE);
	CHECK(memcmp(first, driver_at(&driver, DRIVER_BUFFERS), sizeof(first)) != 0);
	driver_close(&driver);
}

static void test_a_helping_is_limited(void)
{
	open_device();
	CHECK_INT(ask(0x10000, DESC_WRITE), HELPING);
	CHECK_INT(zeros(DRIVER_BUFFERS + HELPING, 0x1000), 0x1000);
	driver_close(&driver);
}

static void test_buffers_that_cannot_be_filled(void)
{
	open_device();
	CHECK_INT(ask(64, 0), 0);	/* the device may only read it */
	CHECK_INT(ask(0, DESC_WRITE), 0);
	CHECK_INT(zeros(DRIVER_BUFFERS, 64), 64);
	driver_close(&driver);
}

int main(void)
{
	CHECK_RUN(test_fills_a_buffer);
	CHECK_RUN(test_never_the_same_twice);
	CHECK_RUN(test_a_helping_is_limited);
	CHECK_RUN(test_buffers_that_cannot_be_filled);
	return check_report();
}
