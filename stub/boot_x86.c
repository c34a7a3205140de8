/*
 * The PVH boot protocol (Xen's hvm/start_info.h) and Intel's MultiProcessor
 * Specification 1.4: all that the guest learns of its machine.
 */
#include "boot_x86.h"

#include <string.h>

/* Below 1 MiB, as PCs have it: RAM to 639 KiB, a hole, then the "BIOS" with the MP table. */
#define LOW_RAM_END		0x9fc00ull
#define BIOS_START		0xf0000ull
#define EXTENDED_RAM		0x100000ull
#define START_INFO		0x6000ull
#define COMMAND_LINE		0x7000ull
#define COMMAND_LINE_MAX	0x1000ull
#define LOCAL_APIC		0xfee00000u
#define IO_APIC			0xfec00000u
#define IO_APIC_PINS		24

#define HVM_START_MAGIC		0x336ec578u
#define MEMMAP_RAM		1
#define MEMMAP_RESERVED		2
#define MAX_MEMMAP		8

struct hvm_start_info {
	uint32_t	magic, version, flags, module_count;
	uint64_t	modules, command_line, rsdp, memmap;
	uint32_t	memmap_count, reserved;
};

struct hvm_module {
	uint64_t	address, size, command_line, reserved;
};

struct hvm_memmap {
	uint64_t	address, size;
	uint32_t	type, reserved;
};

struct start_page {
	struct hvm_start_info	info;
	struct hvm_module	initramfs;
	struct hvm_memmap	memmap[MAX_MEMMAP];
};

/* MP specification, chapter 4. */
#define MP_PROCESSOR		0
#define MP_BUS			1
#define MP_IO_APIC		2
#define MP_IO_INTERRUPT		3
#define MP_LOCAL_INTERRUPT	4
#define MP_INT			0	/* interrupt types */
#define MP_NMI			1
#define MP_EXT_INT		3
#define APIC_VERSION		0x14
#define ISA_BUS			0

struct mp_pointer {
	char		signature[4];	/* "_MP_" */
	uint32_t	table;
	uint8_t		length, revision, checksum, features[5];
};

struct mp_table {
	char		signature[4];	/* "PCMP" */
	uint16_t	length;
	uint8_t		revision, checksum;
	char		oem[8], product[12];
	uint32_t	oem_table;
	uint16_t	oem_size, entry_count;
	uint32_t	local_apic;
	uint32_t	reserved;
};

struct mp_processor {
	uint8_t		type, apic_id, apic_version, flags;	/* 1: enabled, 2: the boot processor */
	uint32_t	signature, features, reserved[2];
};

struct mp_bus {
	uint8_t		type, id;
	char		name[6];
};

struct mp_io_apic {
	uint8_t		type, id, version, enabled;
	uint32_t	address;
};

struct mp_interrupt {
	uint8_t		type, kind;
	uint16_t	flags;
	uint8_t		source_bus, source_irq, to_apic, to_pin;
};

static void add_range(struct start_page *page, uint64_t start, uint64_t end, uint32_t type)
{
	if (start < end && page->info.memmap_count < MAX_MEMMAP)
		page->memmap[page->info.memmap_count++] = (struct hvm_memmap){
			.address = start, .size = end - start, .type = type,
		};
}

/* RAM as the guest may use it: each region less what stands in it. */
static void describe_memory(struct start_page *page, const struct guest_memory *memory,
			    const struct boot_x86 *boot)
{
	uint64_t hole = boot->reserved_gpa, after = hole + boot->reserved_size;

	add_range(page, 0, LOW_RAM_END, MEMMAP_RAM);
	add_range(page, BIOS_START, EXTENDED_RAM, MEMMAP_RESERVED);
	for (unsigned i = 0; i < memory->count; i++) {
		uint64_t start = memory->regions[i].gpa;
		uint64_t end = start + memory->regions[i].size;

		if (start < EXTENDED_RAM)
			start = EXTENDED_RAM;
		if (hole >= start && after <= end) {
			add_range(page, start, hole, MEMMAP_RAM);
			add_range(page, hole, after, MEMMAP_RESERVED);
			start = after;
		}
		add_range(page, start, end, MEMMAP_RAM);
	}
}

static uint8_t checksum(const void *bytes, size_t size)
{
	const uint8_t *at = bytes;
	uint8_t sum = 0;

	while (size--)
		sum = (uint8_t)(sum + *at++);
	return (uint8_t)-sum;
}

/* Appends one entry of any kind. */
static uint8_t *append(struct mp_table *table, uint8_t *at, const void *entry, size_t size)
{
	memcpy(at, entry, size);
	table->entry_count++;
	return at + size;
}

static int write_mp_table(const struct guest_memory *memory, unsigned cpus)
{
	uint8_t *bios = mem_at(memory, BIOS_START, EXTENDED_RAM - BIOS_START);

	if (!bios)
		return -1;
	struct mp_pointer *pointer = (void *)bios;
	struct mp_table *table = (void *)(bios + sizeof(*pointer));
	uint8_t *at = (uint8_t *)(table + 1);
	uint8_t io_apic_id = (uint8_t)cpus;

	*table = (struct mp_table){
		.signature = { 'P', 'C', 'M', 'P' },
		.revision = 4,
		.oem = { 'S', 'M', 'O', 'L', 'P', 'A', 'C', 'K' },
		.product = { 'M', 'I', 'C', 'R', 'O', 'V', 'M', ' ', ' ', ' ', ' ', ' ' },
		.local_apic = LOCAL_APIC,
	};
	for (unsigned i = 0; i < cpus; i++)
		at = append(table, at, &(struct mp_processor){
			.type = MP_PROCESSOR, .apic_id = (uint8_t)i, .apic_version = APIC_VERSION,
			.flags = i == 0 ? 3 : 1,
		}, sizeof(struct mp_processor));
	at = append(table, at, &(struct mp_bus){
		.type = MP_BUS, .id = ISA_BUS, .name = { 'I', 'S', 'A', ' ', ' ', ' ' },
	}, sizeof(struct mp_bus));
	at = append(table, at, &(struct mp_io_apic){
		.type = MP_IO_APIC, .id = io_apic_id, .version = APIC_VERSION, .enabled = 1,
		.address = IO_APIC,
	}, sizeof(struct mp_io_apic));
	for (unsigned pin = 0; pin < IO_APIC_PINS; pin++)
		at = append(table, at, &(struct mp_interrupt){
			.type = MP_IO_INTERRUPT, .kind = MP_INT, .source_bus = ISA_BUS,
			.source_irq = (uint8_t)pin, .to_apic = io_apic_id, .to_pin = (uint8_t)pin,
		}, sizeof(struct mp_interrupt));
	at = append(table, at, &(struct mp_interrupt){
		.type = MP_LOCAL_INTERRUPT, .kind = MP_EXT_INT, .to_pin = 0,
	}, sizeof(struct mp_interrupt));
	at = append(table, at, &(struct mp_interrupt){
		.type = MP_LOCAL_INTERRUPT, .kind = MP_NMI, .to_apic = 0xff, .to_pin = 1,
	}, sizeof(struct mp_interrupt));
	table->length = (uint16_t)(at - (uint8_t *)table);
	table->checksum = checksum(table, table->length);

	*pointer = (struct mp_pointer){
		.signature = { '_', 'M', 'P', '_' },
		.table = (uint32_t)(BIOS_START + sizeof(*pointer)),
		.length = sizeof(*pointer) / 16,
		.revision = 4,
	};
	pointer->checksum = checksum(pointer, sizeof(*pointer));
	return 0;
}

uint64_t boot_x86_write(const struct guest_memory *memory, const struct boot_x86 *boot)
{
	size_t command_line_size = strlen(boot->command_line) + 1;
	struct start_page *page = mem_at(memory, START_INFO, sizeof(*page));
	char *command_line = mem_at(memory, COMMAND_LINE, COMMAND_LINE_MAX);

	if (!page || !command_line || command_line_size > COMMAND_LINE_MAX ||
	    write_mp_table(memory, boot->cpus) < 0)
		return 0;
	memcpy(command_line, boot->command_line, command_line_size);
	*page = (struct start_page){
		.info = {
			.magic = HVM_START_MAGIC,
			.version = 1,
			.module_count = 1,
			.modules = START_INFO + offsetof(struct start_page, initramfs),
			.command_line = COMMAND_LINE,
			.memmap = START_INFO + offsetof(struct start_page, memmap),
		},
		.initramfs = { .address = boot->initramfs_gpa, .size = boot->initramfs_size },
	};
	describe_memory(page, memory, boot);
	return START_INFO;
}
