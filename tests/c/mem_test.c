// sources: stub/mem.c
/* Guest addresses to pointers: only whole pieces of RAM, whatever the numbers. */
#include <errno.h>
#include <stdint.h>

#include "check.h"
#include "mem.h"

static uint8_t low[0x1000], high[0x2000];

static struct guest_memory two_regions(void)
{
	struct guest_memory memory = { 0 };

	CHECK_INT(mem_add(&memory, 0x10000, sizeof(low), low), 0);
	CHECK_INT(mem_add(&memory, 0x100000000, sizeof(high), high), 0);
	return memory;
}

static void test_inside(void)
{
	struct guest_memory memory = two_regions();

	CHECK(mem_at(&memory, 0x10000, 1) == low);
	CHECK(mem_at(&memory, 0x10fff, 1) == low + 0xfff);
	CHECK(mem_at(&memory, 0x10000, 0x1000) == low);
	CHECK(mem_at(&memory, 0x100001000, 0x1000) == high + 0x1000);
}

static void test_outside(void)
{
	struct guest_memory memory = two_regions();

	CHECK(!mem_at(&memory, 0xffff, 1));
	CHECK(!mem_at(&memory, 0xffff, 2));
	CHECK(!mem_at(&memory, 0x11000, 1));
	CHECK(!mem_at(&memory, 0x10fff, 2));
	CHECK(!mem_at(&memory, 0x10000, 0x1001));
	CHECK(!mem_at(&memory, 0x100002000, 1));
}

static void test_sizes_that_wrap_around(void)
{
	struct guest_memory memory = two_regions();

	CHECK(!mem_at(&memory, 0x10001, UINT64_MAX));
	CHECK(!mem_at(&memory, 0x10000, UINT64_MAX - 0xfff));
	CHECK(!mem_at(&memory, UINT64_MAX, 1));
	CHECK(!mem_at(&memory, UINT64_MAX, UINT64_MAX));
}

static void test_neighbours_are_not_one_piece(void)
{
	struct guest_memory memory = { 0 };

	CHECK_INT(mem_add(&memory, 0x1000, 0x1000, low), 0);
	CHECK_INT(mem_add(&memory, 0x2000, 0x1000, high), 0);
	CHECK(!mem_at(&memory, 0x1fff, 2));
}

static void test_bad_regions(void)
{
	struct guest_memory memory = two_regions();

	CHECK_INT(mem_add(&memory, 0x20000, 0, low), -EINVAL);
	CHECK_INT(mem_add(&memory, UINT64_MAX - 0xff, 0x1000, low), -EINVAL);
	CHECK_INT(mem_add(&memory, 0x10800, 0x1000, low), -EINVAL);
	CHECK_INT(mem_add(&memory, 0xf800, 0x1000, low), -EINVAL);
	CHECK_INT(mem_add(&memory, 0x10100, 0x10, low), -EINVAL);
	CHECK_INT(memory.count, 2);
}

static void test_too_many(void)
{
	struct guest_memory memory = { 0 };

	for (uint64_t i = 0; i < MEM_MAX_REGIONS; i++)
		CHECK_INT(mem_add(&memory, i << 12, 0x1000, low), 0);
	CHECK_INT(mem_add(&memory, 1ull << 40, 0x1000, low), -ENOSPC);
}

int main(void)
{
	CHECK_RUN(test_inside);
	CHECK_RUN(test_outside);
	CHECK_RUN(test_sizes_that_wrap_around);
	CHECK_RUN(test_neighbours_are_not_one_piece);
	CHECK_RUN(test_bad_regions);
	CHECK_RUN(test_too_many);
	return check_report();
}
