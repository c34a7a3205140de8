// sources: stub/mem.c stub/bus.c stub/virtio/queue.c stub/virtio/mmio.c stub/host/linux_loop.c
/* The virtio-mmio transport: its registers as a driver on the bus sees them. */
#include <errno.h>

#include "check.h"
#include "fake_driver.h"
#include "fake_turns.h"
#include "virtio/mmio.h"

#define BASE			0xd0000000ull
#define IRQ			5
#define DEVICE_FEATURES		0x25ull
#define CONFIG_SIZE		8

#define DEVICE_FEATURES_REG	0x010	/* registers: virtio 1.2, 4.2.2 */
#define DEVICE_FEATURES_SEL	0x014
#define DRIVER_FEATURES		0x020
#define DRIVER_FEATURES_SEL	0x024
#define QUEUE_SEL		0x030
#define QUEUE_NUM_MAX		0x034
#define QUEUE_NUM		0x038
#define QUEUE_READY		0x044
#define QUEUE_NOTIFY		0x050
#define INTERRUPT_STATUS	0x060
#define INTERRUPT_ACK		0x064
#define STATUS			0x070
#define QUEUE_DESC		0x080
#define QUEUE_DRIVER		0x090
#define QUEUE_DEVICE		0x0a0
#define CONFIG			0x100
#define ACKNOWLEDGE		1u
#define DRIVER			2u
#define DRIVER_OK		4u
#define FEATURES_OK		8u
#define NEEDS_RESET		64u

static struct fake_driver driver;
static struct bus bus;
static struct loop loop;
static struct virtio_mmio mmio;
static unsigned notified[2], resets, served;
static unsigned busy;	/* requests that the guest adds while it is served */
static int irq_fd, notify_fds[2], hv_error;

/* Test doubles: what the transport asks of the hypervisor. */
int hv_irq_fd(struct hv *hv, int event_fd, unsigned irq)
{
	(void)hv;
	CHECK_INT(irq, IRQ);
	irq_fd = event_fd;
	return hv_error;
}

int hv_notify_fd(struct hv *hv, int event_fd, uint64_t gpa, uint32_t value)
{
	(void)hv;
	CHECK_INT(gpa, BASE + QUEUE_NOTIFY);
	CHECK(value < 2);
	notify_fds[value & 1] = event_fd;
	return 0;
}

static void on_notify(struct virtio_device *device, unsigned index)
{
	struct virtq_chain chain;

	notified[index]++;
	while (virtqueue_pop(&device->queues[index], &chain) == 1) {
		virtqueue_push(&device->queues[index], chain.head, 0);
		served++;
		if (busy && busy--)
			driver_submit(&driver, chain.head);
	}
	virtio_flush(device, index);
}

static void on_reset(struct virtio_device *device)
{
	(void)device;
	resets++;
}

static const struct virtio_class test_class = {
	.name = "test", .id = 42, .features = DEVICE_FEATURES, .queue_count = 2,
	.config_size = CONFIG_SIZE, .notify = on_notify, .reset = on_reset,
};
static struct virtio_device device;

static void open_device(void)
{
	static const uint8_t config[CONFIG_SIZE] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	driver_open(&driver, 16);
	device = (struct virtio_device){ .class = &test_class, .config = config };
	device.queues[0].memory = device.queues[1].memory = &driver.memory;
	bus = (struct bus){ 0 };
	hv_error = 0;
	notified[0] = notified[1] = resets = served = busy = 0;
	CHECK_INT(loop_init(&loop), 0);
	CHECK_INT(virtio_mmio_attach(&mmio, &device, NULL, &bus, &loop, BASE, IRQ), 0);
}

static void close_device(void)
{
	close(irq_fd);
	close(notify_fds[0]);
	close(notify_fds[1]);
	close(loop.poll_fd);
	close(loop.wake_fd);
	driver_close(&driver);
}

static uint32_t get(uint64_t offset)
{
	uint32_t value = 0;

	bus_access(&bus, BASE + offset, &value, sizeof(value), false);
	return value;
}

static void put(uint64_t offset, uint32_t value)
{
	bus_access(&bus, BASE + offset, &value, sizeof(value), true);
}

static void put64(uint64_t offset, uint64_t value)
{
	put(offset, (uint32_t)value);
	put(offset + 4, (uint32_t)(value >> 32));
}

static uint32_t negotiate(uint64_t features)
{
	put(STATUS, ACKNOWLEDGE | DRIVER);
	for (uint32_t half = 0; half < 2; half++) {
		put(DRIVER_FEATURES_SEL, half);
		put(DRIVER_FEATURES, (uint32_t)(features >> 32 * half));
	}
	put(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
	return get(STATUS);
}

static void set_up_queue(uint32_t index, uint32_t size)
{
	put(QUEUE_SEL, index);
	put(QUEUE_NUM, size);
	put64(QUEUE_DESC, DRIVER_DESC);
	put64(QUEUE_DRIVER, DRIVER_AVAIL);
	put64(QUEUE_DEVICE, DRIVER_USED);
	put(QUEUE_READY, 1);
}

/* What the hypervisor does when the guest notifies. */
static void kick(unsigned index)
{
	uint64_t one = 1;

	CHECK_INT(write(notify_fds[index], &one, sizeof(one)), sizeof(one));
	turns_run(&loop);
}

static uint64_t count_of(int event_fd)
{
	uint64_t count;

	return read(event_fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void test_identity(void)
{
	open_device();
	CHECK_INT(get(0x000), 0x74726976);
	CHECK_INT(get(0x004), 2);
	CHECK_INT(get(0x008), 42);
	CHECK_INT(get(STATUS), 0);
	CHECK_INT(get(0x0fc), 0);	/* the configuration never changes */
	close_device();
}

static void test_features_offered(void)
{
	open_device();
	CHECK_INT(get(DEVICE_FEATURES_REG), DEVICE_FEATURES | VIRTIO_F_EVENT_IDX);
	put(DEVICE_FEATURES_SEL, 1);
	CHECK_INT(get(DEVICE_FEATURES_REG), VIRTIO_F_VERSION_1 >> 32);
	put(DEVICE_FEATURES_SEL, 2);
	CHECK_INT(get(DEVICE_FEATURES_REG), 0);
	put(DEVICE_FEATURES_SEL, UINT32_MAX);
	CHECK_INT(get(DEVICE_FEATURES_REG), 0);
	close_device();
}

static void test_features_chosen(void)
{
	open_device();
	CHECK(negotiate(VIRTIO_F_VERSION_1 | 0x5) & FEATURES_OK);
	CHECK_INT(device.driver_features, VIRTIO_F_VERSION_1 | 0x5);
	put(DRIVER_FEATURES_SEL, 0);
	put(DRIVER_FEATURES, 0x25);	/* too late */
	CHECK_INT(device.driver_features, VIRTIO_F_VERSION_1 | 0x5);
	CHECK_INT(mmio.driver_features, VIRTIO_F_VERSION_1 | 0x5);
	close_device();
}

static void test_features_refused(void)
{
	static const uint64_t bad[] = {
		0, 0x5, VIRTIO_F_VERSION_1 | 0x8, VIRTIO_F_VERSION_1 | 1ull << 63,
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		open_device();
		CHECK_INT(negotiate(bad[i]), ACKNOWLEDGE | DRIVER);
		CHECK_INT(device.driver_features, 0);
		CHECK(negotiate(VIRTIO_F_VERSION_1) & FEATURES_OK);	/* another try */
		close_device();
	}
}

static void test_queue_at_work(void)
{
	struct driver_used element;

	open_device();
	negotiate(VIRTIO_F_VERSION_1);
	CHECK_INT(get(QUEUE_NUM_MAX), VIRTQUEUE_SIZE);
	CHECK_INT(get(QUEUE_READY), 0);
	set_up_queue(1, 16);
	CHECK_INT(get(QUEUE_READY), 1);
	put(STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
	driver_describe(&driver, 0, DRIVER_BUFFERS, 8, 0, 0);
	driver_submit(&driver, 0);
	kick(1);
	CHECK_INT(notified[1], 1);
	CHECK_INT(notified[0], 0);
	CHECK(driver_collect(&driver, &element));
	CHECK_INT(count_of(irq_fd), 1);
	CHECK_INT(get(INTERRUPT_STATUS), 1);
	put(INTERRUPT_ACK, 1);
	CHECK_INT(get(INTERRUPT_STATUS), 0);
	driver_submit(&driver, 0);
	kick(1);
	CHECK_INT(notified[1], 2);
	CHECK(driver_collect(&driver, &element));
	close_device();
}

/* A guest that adds requests as fast as they are served: other sources get their turn. */
static void test_busy_queue(void)
{
	open_device();
	negotiate(VIRTIO_F_VERSION_1);
	set_up_queue(0, 16);
	driver_describe(&driver, 0, DRIVER_BUFFERS, 8, 0, 0);
	driver_submit(&driver, 0);
	busy = 10 * VIRTIO_TURN;
	kick(0);
	CHECK(served >= VIRTIO_TURN && served <= TURNS * VIRTIO_TURN);
	for (unsigned i = 0; i < 10; i++)
		turns_run(&loop);	/* it goes on without another kick */
	CHECK_INT(served, 10 * VIRTIO_TURN + 1);
	close_device();
}

static void test_running_queue_stays(void)
{
	open_device();
	negotiate(VIRTIO_F_VERSION_1);
	set_up_queue(0, 16);
	put(QUEUE_NUM, 8);
	put64(QUEUE_DESC, 0);
	CHECK_INT(device.queues[0].size, 16);
	CHECK_INT(device.queues[0].desc_gpa, DRIVER_DESC);
	put(QUEUE_READY, 0);
	CHECK_INT(get(QUEUE_READY), 0);
	put(QUEUE_NUM, 8);
	CHECK_INT(device.queues[0].size, 8);
	close_device();
}

static void test_bad_queue_sizes(void)
{
	static const uint32_t bad[] = {
		0, 3, VIRTQUEUE_SIZE + 1, 2 * VIRTQUEUE_SIZE, 0x10000, 0x10010, UINT32_MAX,
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		open_device();
		negotiate(VIRTIO_F_VERSION_1);
		set_up_queue(0, bad[i]);
		CHECK_INT(get(QUEUE_READY), 0);
		CHECK(get(STATUS) & NEEDS_RESET);
		kick(0);
		CHECK_INT(served, 0);
		close_device();
	}
}

static void test_bad_queue_addresses(void)
{
	static const uint64_t bad[] = { 0, UINT64_MAX - 15, DRIVER_RAM_END - 16, DRIVER_DESC + 1 };

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		open_device();
		negotiate(VIRTIO_F_VERSION_1);
		put(QUEUE_NUM, 16);
		put64(QUEUE_DESC, bad[i]);
		put64(QUEUE_DRIVER, DRIVER_AVAIL);
		put64(QUEUE_DEVICE, DRIVER_USED);
		put(QUEUE_READY, 1);
		CHECK_INT(get(QUEUE_READY), 0);
		CHECK(get(STATUS) & NEEDS_RESET);
		close_device();
	}
}

static void test_bad_queue_index(void)
{
	static const uint32_t bad[] = { 2, VIRTIO_MAX_QUEUES, 1000, UINT32_MAX };

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		open_device();
		negotiate(VIRTIO_F_VERSION_1);
		set_up_queue(bad[i], 16);
		CHECK_INT(get(QUEUE_NUM_MAX), 0);
		CHECK_INT(get(QUEUE_READY), 0);
		put(QUEUE_NOTIFY, bad[i]);
		CHECK_INT(notified[0] + notified[1], 0);
		close_device();
	}
}

static void test_reset(void)
{
	open_device();
	negotiate(VIRTIO_F_VERSION_1);
	set_up_queue(1, 16);
	put(STATUS, 0);
	CHECK_INT(resets, 1);
	CHECK_INT(get(STATUS), 0);
	CHECK_INT(get(INTERRUPT_STATUS), 0);
	CHECK_INT(device.driver_features, 0);
	put(QUEUE_SEL, 1);
	CHECK_INT(get(QUEUE_READY), 0);
	CHECK(device.queues[1].memory == &driver.memory);
	kick(1);
	CHECK_INT(served, 0);
	negotiate(VIRTIO_F_VERSION_1);
	set_up_queue(1, 16);
	CHECK_INT(get(QUEUE_READY), 1);
	close_device();
}

static uint64_t config_at(uint64_t offset, unsigned size)
{
	uint64_t value = UINT64_MAX;

	bus_access(&bus, BASE + CONFIG + offset, &value, size, false);
	return size == 8 ? value : value & ((1ull << 8 * size) - 1);
}

static void test_config(void)
{
	open_device();
	CHECK_INT(config_at(0, 1), 1);
	CHECK_INT(config_at(2, 2), 0x0403);
	CHECK_INT(config_at(4, 4), 0x08070605);
	CHECK_INT(config_at(0, 8), 0x0807060504030201);
	CHECK_INT(config_at(7, 2), 0);	/* reaches outside */
	CHECK_INT(config_at(1, 8), 0);
	CHECK_INT(config_at(8, 1), 0);
	CHECK_INT(config_at(VIRTIO_MMIO_SIZE - CONFIG - 8, 8), 0);
	put(CONFIG, 0xffffffff);	/* read-only */
	CHECK_INT(config_at(0, 4), 0x04030201);
	close_device();
}

/* Accesses of every size everywhere, aligned or not: nothing but zeros or registers. */
static void test_odd_accesses(void)
{
	open_device();
	for (unsigned size = 1; size <= 8; size *= 2) {
		for (uint64_t offset = 0; offset + size <= VIRTIO_MMIO_SIZE; offset++) {
			uint64_t value = UINT64_MAX;

			bus_access(&bus, BASE + offset, &value, size, true);
			bus_access(&bus, BASE + offset, &value, size, false);
			if (size == 8 && offset < CONFIG)
				CHECK(value <= UINT32_MAX);
		}
	}
	put(STATUS, 0);
	CHECK(negotiate(VIRTIO_F_VERSION_1) & FEATURES_OK);
	close_device();
}

static void test_no_interrupt_line(void)
{
	open_device();
	close_device();
	driver_open(&driver, 16);
	hv_error = -ENOSPC;
	bus.count = 0;
	CHECK_INT(virtio_mmio_attach(&mmio, &device, NULL, &bus, &loop, BASE, IRQ), -ENOSPC);
	CHECK_INT(bus.count, 0);
	close(irq_fd);
	driver_close(&driver);
}

int main(void)
{
	CHECK_RUN(test_identity);
	CHECK_RUN(test_features_offered);
	CHECK_RUN(test_features_chosen);
	CHECK_RUN(test_features_refused);
	CHECK_RUN(test_queue_at_work);
	CHECK_RUN(test_busy_queue);
	CHECK_RUN(test_running_queue_stays);
	CHECK_RUN(test_bad_queue_sizes);
	CHECK_RUN(test_bad_queue_addresses);
	CHECK_RUN(test_bad_queue_index);
	CHECK_RUN(test_reset);
	CHECK_RUN(test_config);
	CHECK_RUN(test_odd_accesses);
	CHECK_RUN(test_no_interrupt_line);
	return check_report();
}
