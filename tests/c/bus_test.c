// sources: stub/bus.c
/* The bus: who answers, and what an access that nobody answers reads. */
#include <errno.h>

#include "bus.h"
#include "check.h"

static struct {
	unsigned	calls;
	uint64_t	offset, written;
	unsigned	size;
	bool		is_write;
} seen;

static void answer(void *context, uint64_t offset, void *data, unsigned size, bool is_write)
{
	seen.calls++;
	seen.offset = offset;
	seen.size = size;
	seen.is_write = is_write;
	if (is_write)
		memcpy(&seen.written, data, size);
	else
		memset(data, *(int *)context, size);
}

static uint64_t read_bus(const struct bus *bus, uint64_t address, unsigned size)
{
	uint64_t value = 0;

	memset(&seen, 0, sizeof(seen));
	bus_access(bus, address, &value, size, false);
	return value;
}

static void test_who_answers(void)
{
	int first = 1, second = 2;
	struct bus bus = { 0 };
	uint32_t value = 0x12345678;

	CHECK_INT(bus_add(&bus, &(struct bus_range){ 0x1000, 0x1000, answer, &first }), 0);
	CHECK_INT(bus_add(&bus, &(struct bus_range){ 0x2000, 8, answer, &second }), 0);
	CHECK_INT(read_bus(&bus, 0x1000, 1), 1);
	CHECK_INT(seen.offset, 0);
	CHECK_INT(read_bus(&bus, 0x1ffc, 4), 0x01010101);
	CHECK_INT(seen.offset, 0xffc);
	CHECK_INT(seen.size, 4);
	CHECK_INT(read_bus(&bus, 0x2000, 8), 0x0202020202020202);
	bus_access(&bus, 0x2004, &value, 4, true);
	CHECK(seen.is_write);
	CHECK_INT(seen.offset, 4);
	CHECK_INT(seen.written, 0x12345678);
}

static void test_nobody_answers(void)
{
	static const struct { uint64_t address; unsigned size; } outside[] = {
		{ 0, 4 }, { 0xfff, 1 }, { 0xffe, 4 }, { 0x1fff, 2 }, { 0x2000, 1 },
		{ UINT64_MAX, 8 }, { UINT64_MAX - 3, 4 },
	};
	int context = 1;
	struct bus bus = { 0 };

	CHECK_INT(bus_add(&bus, &(struct bus_range){ 0x1000, 0x1000, answer, &context }), 0);
	for (unsigned i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
		uint64_t ones = outside[i].size == 8 ? UINT64_MAX : (1ull << 8 * outside[i].size) - 1;
		uint64_t value = 0;

		CHECK(read_bus(&bus, outside[i].address, outside[i].size) == ones);
		bus_access(&bus, outside[i].address, &value, outside[i].size, true);
		CHECK_INT(seen.calls, 0);
		CHECK_INT(value, 0);
	}
}

static void test_full(void)
{
	struct bus bus = { 0 };

	for (uint64_t i = 0; i < BUS_MAX_RANGES; i++)
		CHECK_INT(bus_add(&bus, &(struct bus_range){ .start = i, .size = 1 }), 0);
	CHECK_INT(bus_add(&bus, &(struct bus_range){ .start = 100, .size = 1 }), -ENOSPC);
}

int main(void)
{
	CHECK_RUN(test_who_answers);
	CHECK_RUN(test_nobody_answers);
	CHECK_RUN(test_full);
	return check_report();
}
