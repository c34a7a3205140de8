// sources: stub/mem.c stub/virtio/queue.c
/* The ring walker against honest and hostile drivers. */
#include <errno.h>

#include "check.h"
#include "fake_driver.h"

#define SIZE 8

static struct fake_driver driver;
static struct virtqueue queue;
static struct virtq_chain chain;

static void open_at(uint16_t start)
{
	driver_open(&driver, SIZE);
	queue = (struct virtqueue){ 0 };
	CHECK_INT(driver_enable(&driver, &queue, start), 0);
}

static void test_chain(void)
{
	open_at(0);
	driver_describe(&driver, 3, DRIVER_BUFFERS, 16, DESC_NEXT, 5);
	driver_describe(&driver, 5, DRIVER_BUFFERS + 0x100, 32, DESC_NEXT | DESC_WRITE, 0);
	driver_describe(&driver, 0, DRIVER_BUFFERS + 0x200, 1, DESC_WRITE, 0);
	driver_submit(&driver, 3);
	CHECK_INT(virtqueue_pop(&queue, &chain), 1);
	CHECK_INT(chain.head, 3);
	CHECK_INT(chain.out_count, 1);
	CHECK_INT(chain.in_count, 2);
	CHECK_INT(chain.out_size, 16);
	CHECK_INT(chain.in_size, 33);
	CHECK(chain.iov[1].iov_base == driver_at(&driver, DRIVER_BUFFERS + 0x100));
	CHECK_INT(virtqueue_pop(&queue, &chain), 0);
	driver_close(&driver);
}

static void test_unpop_delivers_again(void)
{
	open_at(0);
	driver_describe(&driver, 1, DRIVER_BUFFERS, 4, DESC_WRITE, 0);
	driver_submit(&driver, 1);
	CHECK_INT(virtqueue_pop(&queue, &chain), 1);
	virtqueue_unpop(&queue);
	chain.head = 0;
	CHECK_INT(virtqueue_pop(&queue, &chain), 1);
	CHECK_INT(chain.head, 1);
	driver_close(&driver);
}

static void test_indices_wrap_around(void)
{
	struct driver_used element;

	open_at(UINT16_MAX - 2);
	for (unsigned i = 0; i < 4 * SIZE; i++) {
		uint16_t head = (uint16_t)(i % SIZE);

		driver_describe(&driver, head, DRIVER_BUFFERS, 64, DESC_WRITE, 0);
		driver_submit(&driver, head);
		CHECK_INT(virtqueue_pop(&queue, &chain), 1);
		virtqueue_push(&queue, chain.head, i);
		CHECK(driver_collect(&driver, &element));
		CHECK_INT(element.id, head);
		CHECK_INT(element.length, i);
	}
	CHECK_INT(driver_used(&driver)[1], (uint16_t)(UINT16_MAX - 2 + 4 * SIZE));
	driver_close(&driver);
}

static void test_disable_and_go_on(void)
{
	open_at(5);
	driver_describe(&driver, 2, DRIVER_BUFFERS, 4, DESC_WRITE, 0);
	driver_submit(&driver, 2);
	driver_submit(&driver, 2);
	CHECK_INT(virtqueue_pop(&queue, &chain), 1);
	uint16_t next = virtqueue_disable(&queue);

	CHECK_INT(next, 6);
	CHECK_INT(virtqueue_pop(&queue, &chain), 0);
	CHECK_INT(virtqueue_enable(&queue, next), 0);
	CHECK_INT(virtqueue_pop(&queue, &chain), 1);
	CHECK_INT(virtqueue_pop(&queue, &chain), 0);
	driver_close(&driver);
}

/* The driver's request is malformed: the queue is broken and stays so until it is enabled anew. */
static void check_broken(void)
{
	CHECK_INT(virtqueue_pop(&queue, &chain), -EINVAL);
	CHECK(queue.broken);
	driver_describe(&driver, 0, DRIVER_BUFFERS, 4, DESC_WRITE, 0);
	driver_submit(&driver, 0);
	CHECK_INT(virtqueue_pop(&queue, &chain), -EINVAL);
	CHECK_INT(driver_enable(&driver, &queue, 0), 0);
	driver_submit(&driver, 0);
	CHECK_INT(virtqueue_pop(&queue, &chain), 1);
	driver_close(&driver);
}

static void test_head_outside_the_table(void)
{
	open_at(0);
	driver_submit(&driver, SIZE);
	check_broken();
}

static void test_next_outside_the_table(void)
{
	open_at(0);
	driver_describe(&driver, 1, DRIVER_BUFFERS, 4, DESC_NEXT, UINT16_MAX);
	driver_submit(&driver, 1);
	check_broken();
}

static void test_loop_of_descriptors(void)
{
	open_at(0);
	driver_describe(&driver, 1, DRIVER_BUFFERS, 4, DESC_NEXT, 2);
	driver_describe(&driver, 2, DRIVER_BUFFERS, 4, DESC_NEXT, 1);
	driver_submit(&driver, 1);
	check_broken();
}

static void test_readable_after_writable(void)
{
	open_at(0);
	driver_describe(&driver, 1, DRIVER_BUFFERS, 4, DESC_NEXT | DESC_WRITE, 2);
	driver_describe(&driver, 2, DRIVER_BUFFERS, 4, 0, 0);
	driver_submit(&driver, 1);
	check_broken();
}

static void test_indirect_was_not_offered(void)
{
	open_at(0);
	driver_describe(&driver, 1, DRIVER_BUFFERS, 16, DESC_INDIRECT, 0);
	driver_submit(&driver, 1);
	check_broken();
}

static void test_more_requests_than_fit(void)
{
	open_at(0);
	driver_describe(&driver, 0, DRIVER_BUFFERS, 4, DESC_WRITE, 0);
	driver_avail(&driver)[1] = SIZE + 1;
	check_broken();
}

static void test_buffers_outside_ram(void)
{
	static const struct { uint64_t address; uint32_t length; } bad[] = {
		{ 0, 1 },
		{ DRIVER_RAM_GPA - 1, 2 },
		{ DRIVER_RAM_END, 1 },
		{ DRIVER_RAM_END - 1, 2 },
		{ DRIVER_RAM_GPA, UINT32_MAX },
		{ UINT64_MAX, 1 },
		{ UINT64_MAX - 3, 8 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		open_at(0);
		driver_describe(&driver, 1, bad[i].address, bad[i].length, DESC_WRITE, 0);
		driver_submit(&driver, 1);
		check_broken();
	}
}

static void test_rings_that_cannot_be(void)
{
	static const struct { uint16_t size; uint64_t desc, avail, used; } bad[] = {
		{ 0, DRIVER_DESC, DRIVER_AVAIL, DRIVER_USED },
		{ 3, DRIVER_DESC, DRIVER_AVAIL, DRIVER_USED },
		{ 2 * VIRTQUEUE_MAX_SIZE, DRIVER_DESC, DRIVER_AVAIL, DRIVER_USED },
		{ SIZE, DRIVER_DESC + 8, DRIVER_AVAIL, DRIVER_USED },
		{ SIZE, DRIVER_DESC, DRIVER_AVAIL + 1, DRIVER_USED },
		{ SIZE, DRIVER_DESC, DRIVER_AVAIL, DRIVER_USED + 2 },
		{ SIZE, DRIVER_RAM_END - 16 * SIZE + 16, DRIVER_AVAIL, DRIVER_USED },
		{ SIZE, DRIVER_DESC, DRIVER_RAM_END - 2 * SIZE, DRIVER_USED },
		{ SIZE, DRIVER_DESC, DRIVER_AVAIL, DRIVER_RAM_END - 8 * SIZE },
		{ SIZE, UINT64_MAX - 15, DRIVER_AVAIL, DRIVER_USED },
	};

	driver_open(&driver, SIZE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		queue = (struct virtqueue){
			.memory = &driver.memory, .size = bad[i].size,
			.desc_gpa = bad[i].desc, .avail_gpa = bad[i].avail, .used_gpa = bad[i].used,
		};
		CHECK_INT(virtqueue_enable(&queue, 0), -EINVAL);
		CHECK(!queue.enabled);
	}
	driver_close(&driver);
}

static void test_interrupt_flag(void)
{
	open_at(0);
	CHECK(!virtqueue_wants_interrupt(&queue));
	virtqueue_push(&queue, 0, 0);
	CHECK(virtqueue_wants_interrupt(&queue));
	CHECK(!virtqueue_wants_interrupt(&queue));	/* nothing was pushed since */
	driver_avail(&driver)[0] = 1;
	virtqueue_push(&queue, 0, 0);
	CHECK(!virtqueue_wants_interrupt(&queue));
	driver_close(&driver);
}

/* Do @count elements pushed from index @before on interrupt a driver that waits for @event? */
static bool crosses(uint16_t before, unsigned count, uint16_t event)
{
	open_at(before);
	queue.event_idx = true;
	*driver_used_event(&driver) = event;
	for (unsigned i = 0; i < count; i++)
		virtqueue_push(&queue, 0, 0);
	bool wants = virtqueue_wants_interrupt(&queue);

	driver_close(&driver);
	return wants;
}

static void test_event_index(void)
{
	CHECK(crosses(0, 1, 0));
	CHECK(!crosses(0, 1, 1));
	CHECK(crosses(0, 2, 1));
	CHECK(crosses(0, 3, 1));
	CHECK(!crosses(5, 1, 4));	/* passed long ago */
	CHECK(!crosses(0, 0, 0));
	CHECK(crosses(UINT16_MAX, 1, UINT16_MAX));
	CHECK(crosses(UINT16_MAX - 1, 4, UINT16_MAX));
	CHECK(crosses(UINT16_MAX - 1, 4, 1));
	CHECK(!crosses(UINT16_MAX - 1, 4, 2));
}

static void test_asks_for_notification_when_empty(void)
{
	open_at(UINT16_MAX);
	queue.event_idx = true;
	*driver_avail_event(&driver) = 77;
	driver_describe(&driver, 0, DRIVER_BUFFERS, 4, DESC_WRITE, 0);
	driver_submit(&driver, 0);
	CHECK_INT(virtqueue_pop(&queue, &chain), 1);
	CHECK_INT(*driver_avail_event(&driver), 77);
	CHECK_INT(virtqueue_pop(&queue, &chain), 0);
	CHECK_INT(*driver_avail_event(&driver), 0);
	driver_close(&driver);
}

static void test_vectors(void)
{
	char a[4] = "abcd", b[1] = "e", c[5] = "fghij", text[16];
	struct iovec iov[] = { { a, 4 }, { NULL, 0 }, { b, 1 }, { c, 5 } };

	CHECK_INT(iov_copy_from(text, 16, iov, 4, 0), 10);
	CHECK_MEM(text, "abcdefghij", 10);
	CHECK_INT(iov_copy_from(text, 4, iov, 4, 3), 4);
	CHECK_MEM(text, "defg", 4);
	CHECK_INT(iov_copy_from(text, 4, iov, 4, 10), 0);
	CHECK_INT(iov_copy_to(iov, 4, 3, "XYZ", 3), 3);
	CHECK_MEM(a, "abcX", 4);
	CHECK_MEM(b, "Y", 1);
	CHECK_MEM(c, "Zghij", 5);
	CHECK_INT(iov_copy_to(iov, 4, 8, "12345", 5), 2);
	CHECK_MEM(c, "Zgh12", 5);
}

static void test_trimming(void)
{
	char bytes[10];
	struct iovec iov[] = { { bytes, 4 }, { NULL, 0 }, { bytes + 4, 1 }, { bytes + 5, 5 } };

	CHECK_INT(iov_limit(iov, 4, 7), 4);
	CHECK_INT(iov[3].iov_len, 2);
	CHECK_INT(iov_trim_front(iov, 4, 0), 0);
	CHECK_INT(iov_trim_front(iov, 4, 6), 3);
	CHECK_INT(iov[3].iov_len, 1);
	CHECK(iov[3].iov_base == bytes + 6);
	CHECK_INT(iov_trim_front(iov + 3, 1, 9), 1);
	CHECK_INT(iov_limit(iov, 4, 0), 0);
}

int main(void)
{
	CHECK_RUN(test_chain);
	CHECK_RUN(test_unpop_delivers_again);
	CHECK_RUN(test_indices_wrap_around);
	CHECK_RUN(test_disable_and_go_on);
	CHECK_RUN(test_head_outside_the_table);
	CHECK_RUN(test_next_outside_the_table);
	CHECK_RUN(test_loop_of_descriptors);
	CHECK_RUN(test_readable_after_writable);
	CHECK_RUN(test_indirect_was_not_offered);
	CHECK_RUN(test_more_requests_than_fit);
	CHECK_RUN(test_buffers_outside_ram);
	CHECK_RUN(test_rings_that_cannot_be);
	CHECK_RUN(test_interrupt_flag);
	CHECK_RUN(test_event_index);
	CHECK_RUN(test_asks_for_notification_when_empty);
	CHECK_RUN(test_vectors);
	CHECK_RUN(test_trimming);
	return check_report();
}
