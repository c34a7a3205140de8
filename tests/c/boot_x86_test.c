// sources: stub/boot_x86.c stub/mem.c
/* What a guest finds when it starts, read back as a guest's kernel reads it. */
#include <stdbool.h>
#include <sys/mman.h>

#include "boot_x86.h"
#include "check.h"
#include "machine.h"

#define RAM		1	/* memory map types of the PVH protocol */
#define RESERVED	2
#define MIB		(1ull << 20)

static struct guest_memory memory;

static uint32_t read32(uint64_t gpa)
{
	uint32_t value = 0;
	void *at = mem_at(&memory, gpa, sizeof(value));

	if (CHECK(at != NULL))
		memcpy(&value, at, sizeof(value));
	return value;
}

static uint64_t read64(uint64_t gpa)
{
	return read32(gpa) | (uint64_t)read32(gpa + 4) << 32;
}

static uint8_t read8(uint64_t gpa)
{
	const uint8_t *at = mem_at(&memory, gpa, 1);

	return at ? *at : 0;
}

/* RAM of @size bytes as a machine has it, hole below 4 GiB included; only touched pages exist. */
static void open_ram(uint64_t size)
{
	uint64_t low = size < MACHINE_LOW_MEMORY_END ? size : MACHINE_LOW_MEMORY_END;
	uint8_t *host = mmap(NULL, size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	memory = (struct guest_memory){ 0 };
	CHECK(host != MAP_FAILED);
	CHECK_INT(mem_add(&memory, 0, low, host), 0);
	if (size > low)
		CHECK_INT(mem_add(&memory, MACHINE_HIGH_MEMORY, size - low, host + low), 0);
}

static void close_ram(void)
{
	uint64_t size = 0;

	for (unsigned i = 0; i < memory.count; i++)
		size += memory.regions[i].size;
	munmap(memory.regions[0].host, size);
}

static uint64_t write_boot(unsigned cpus)
{
	return boot_x86_write(&memory, &(struct boot_x86){
		.command_line = "quiet rdinit=/init",
		.initramfs_gpa = 0x1e00000, .initramfs_size = 100000,
		.cpus = cpus,
		.reserved_gpa = MACHINE_OOPS_GPA, .reserved_size = MACHINE_OOPS_SIZE,
	});
}

static void test_start_info(void)
{
	open_ram(32 * MIB);
	uint64_t info = write_boot(1);

	REQUIRE(info != 0);
	CHECK_INT(read32(info), 0x336ec578);
	CHECK_INT(read32(info + 4), 1);		/* version: there is a memory map */
	CHECK_INT(read32(info + 8), 0);
	CHECK_INT(read32(info + 12), 1);	/* modules */
	uint64_t module = read64(info + 16);

	CHECK_INT(read64(module), 0x1e00000);
	CHECK_INT(read64(module + 8), 100000);
	CHECK_STR(mem_at(&memory, read64(info + 24), 32), "quiet rdinit=/init");
	CHECK_INT(read64(info + 32), 0);	/* no ACPI */
	close_ram();
}

/* Walks the map: ascending, nothing twice, and @ram bytes of it usable. */
static void check_memory_map(uint64_t info, uint64_t ram)
{
	uint64_t map = read64(info + 40), free_from = 0, usable = 0;
	uint32_t count = read32(info + 48);
	bool hole = false;

	CHECK(count > 0);
	for (uint32_t i = 0; i < count; i++, map += 24) {
		uint64_t start = read64(map), size = read64(map + 8);
		uint32_t type = read32(map + 16);

		CHECK(start >= free_from && size > 0);
		free_from = start + size;
		if (type == RAM) {
			CHECK(mem_at(&memory, start, size) != NULL);
			usable += size;
		} else {
			CHECK_INT(type, RESERVED);
			hole = hole || (start == MACHINE_OOPS_GPA && size == MACHINE_OOPS_SIZE);
		}
	}
	CHECK(hole);
	/* All but 640 KiB … 1 MiB, the last KiB before it and the reserved piece. */
	CHECK_INT(usable, ram - MACHINE_OOPS_SIZE - (MIB - 0x9fc00));
}

static void test_memory_map(void)
{
	static const uint64_t sizes[] = {
		32 * MIB, 3072 * MIB, 3072 * MIB + 4096, 5120 * MIB,
	};

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		open_ram(sizes[i]);
		uint64_t info = write_boot(1);

		REQUIRE(info != 0);
		check_memory_map(info, sizes[i]);
		close_ram();
	}
}

static uint8_t sum(uint64_t gpa, unsigned size)
{
	uint8_t total = 0;

	while (size--)
		total = (uint8_t)(total + read8(gpa++));
	return total;
}

/* As a kernel does: on 16-byte boundaries in the BIOS area. Return: the pointer's address, or 0. */
static uint64_t find_mp_pointer(void)
{
	for (uint64_t gpa = 0xf0000; gpa < MIB; gpa += 16)
		if (read32(gpa) == 0x5f504d5f)	/* "_MP_" */
			return gpa;
	return 0;
}

/* Entries by type: processors, buses, I/O APICs, interrupts, local interrupts. */
static void check_mp_entries(uint64_t at, uint64_t end, unsigned count, unsigned cpus)
{
	unsigned seen[5] = { 0 }, boot_processors = 0, io_apic_id = 256, entries = 0;

	for (; at < end; entries++) {
		uint8_t type = read8(at);

		REQUIRE(type < 5);
		if (type == 0) {
			CHECK_INT(read8(at + 1), seen[0]);	/* APIC ID */
			CHECK(read8(at + 3) & 1);		/* enabled */
			boot_processors += read8(at + 3) >> 1 & 1;
		} else if (type == 2) {
			io_apic_id = read8(at + 1);
			CHECK_INT(read32(at + 4), 0xfec00000);
		} else if (type == 3) {
			CHECK_INT(read8(at + 5), seen[3]);	/* pins are lines */
			CHECK_INT(read8(at + 6), io_apic_id);
			CHECK_INT(read8(at + 7), seen[3]);
		}
		seen[type]++;
		at += type == 0 ? 20 : 8;
	}
	CHECK_INT(at, end);
	CHECK_INT(entries, count);
	CHECK_INT(seen[0], cpus);
	CHECK_INT(boot_processors, 1);
	CHECK_INT(seen[1], 1);
	CHECK_INT(seen[2], 1);
	CHECK(io_apic_id >= cpus);	/* no processor's */
	CHECK_INT(seen[3], 24);
	CHECK_INT(seen[4], 2);
}

static void test_mp_table(void)
{
	static const unsigned cpus[] = { 1, 2, 32 };

	for (unsigned i = 0; i < sizeof(cpus) / sizeof(cpus[0]); i++) {
		open_ram(32 * MIB);
		REQUIRE(write_boot(cpus[i]) != 0);
		uint64_t pointer = find_mp_pointer();

		REQUIRE(pointer != 0);
		CHECK_INT(sum(pointer, 16u * read8(pointer + 8)), 0);
		CHECK_INT(read8(pointer + 9), 4);
		uint64_t table = read32(pointer + 4);
		unsigned length = read32(table + 4) & 0xffff;

		CHECK_INT(read32(table), 0x504d4350);	/* "PCMP" */
		CHECK_INT(sum(table, length), 0);
		CHECK_INT(read32(table + 36), 0xfee00000);
		CHECK(table + length <= MIB);
		check_mp_entries(table + 44, table + length, read32(table + 34) & 0xffff, cpus[i]);
		close_ram();
	}
}

static void test_what_does_not_fit(void)
{
	static char long_line[8192];
	struct boot_x86 boot = { .command_line = long_line, .cpus = 1 };

	open_ram(32 * MIB);
	memset(long_line, 'x', 4095);
	CHECK(boot_x86_write(&memory, &boot) != 0);
	memset(long_line, 'x', 4096);
	CHECK_INT(boot_x86_write(&memory, &boot), 0);
	boot.command_line = "";
	memory.regions[0].size = 0xf0000;	/* no place for the MP table */
	CHECK_INT(boot_x86_write(&memory, &boot), 0);
	memory.regions[0].size = 0x1000;
	CHECK_INT(boot_x86_write(&memory, &boot), 0);
	memory.regions[0].size = 32 * MIB;
	close_ram();
}

int main(void)
{
	CHECK_RUN(test_start_info);
	CHECK_RUN(test_memory_map);
	CHECK_RUN(test_mp_table);
	CHECK_RUN(test_what_does_not_fit);
	return check_report();
}
