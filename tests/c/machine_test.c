// sources: stub/machine.c stub/mem.c
/* What accelerators share: command line, devices, the guest kernel's last words. */
#include <errno.h>
#include <stdlib.h>

#include "check.h"
#include "machine.h"

#define SIGNATURE	0x43474244u
#define CAPACITY	(MACHINE_OOPS_SIZE - sizeof(struct ring))

struct ring {
	uint32_t	signature, start, size;
};

static struct machine machine;
static uint8_t *oops;
static char text[MACHINE_OOPS_SIZE + 1];

/* RAM that is the reserved piece and nothing else: a byte beyond is an error. */
static void open_machine(void)
{
	machine = (struct machine){ 0 };
	oops = calloc(1, MACHINE_OOPS_SIZE);
	CHECK_INT(mem_add(&machine.memory, MACHINE_OOPS_GPA, MACHINE_OOPS_SIZE, oops), 0);
}

static void write_ring(uint32_t start, uint32_t size, const char *content)
{
	struct ring ring = { .signature = SIGNATURE, .start = start, .size = size };

	memcpy(oops, &ring, sizeof(ring));
	memcpy(oops + sizeof(ring), content, strlen(content));
}

static const char *last_words(size_t size)
{
	text[machine_last_words(&machine, text, size)] = '\0';
	return text;
}

static void test_last_words(void)
{
	open_machine();
	CHECK_STR(last_words(100), "");
	write_ring(0, 0, "");
	CHECK_STR(last_words(100), "");
	write_ring(11, 11, "Hello world");
	CHECK_STR(last_words(100), "Hello world");
	CHECK_STR(last_words(5), "world");
	CHECK_STR(last_words(0), "");
	free(oops);
}

static void test_wrapped_around(void)
{
	open_machine();
	write_ring(5, 11, "worldHello ");
	CHECK_STR(last_words(100), "Hello world");
	CHECK_STR(last_words(7), "o world");
	write_ring(0, 5, "fresh");	/* the next byte goes to the beginning */
	CHECK_STR(last_words(100), "fresh");

	memset(oops + sizeof(struct ring), 'x', CAPACITY);
	write_ring(3, CAPACITY, "end");
	CHECK_INT(machine_last_words(&machine, text, sizeof(text)), CAPACITY);
	CHECK_MEM(text + CAPACITY - 4, "xend", 4);
	free(oops);
}

static void test_hostile_rings(void)
{
	static const struct ring hostile[] = {
		{ 0, 5, 5 }, { SIGNATURE + 1, 5, 5 }, { SIGNATURE, 6, 5 },
		{ SIGNATURE, UINT32_MAX, 5 }, { SIGNATURE, 0, CAPACITY + 1 },
		{ SIGNATURE, 0, UINT32_MAX }, { SIGNATURE, UINT32_MAX, UINT32_MAX },
	};

	open_machine();
	for (unsigned i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		memcpy(oops, &hostile[i], sizeof(hostile[i]));
		CHECK_INT(machine_last_words(&machine, text, sizeof(text)), 0);
	}
	write_ring(CAPACITY, CAPACITY, "");
	CHECK_INT(machine_last_words(&machine, text, sizeof(text)), CAPACITY);
	free(oops);
	machine.memory.count = 0;
	CHECK_INT(machine_last_words(&machine, text, sizeof(text)), 0);
}

static void test_command_line(void)
{
	char line[MACHINE_MAX_COMMAND_LINE];
	int length;

	machine = (struct machine){ 0 };
	length = machine_command_line(&machine, line, sizeof(line));
	CHECK_INT(length, strlen(line));
	CHECK(strstr(line, "rdinit=/init"));
	CHECK(strstr(line, "panic=-1"));
	CHECK(strstr(line, "ramoops.mem_address=0xf00000 ramoops.mem_size=0x10000"));
	CHECK(strstr(line, "quiet"));
	CHECK(!strstr(line, "console=ttyS0"));
	CHECK_INT(machine_command_line(&machine, line, (size_t)length + 1), length);
	CHECK_INT(machine_command_line(&machine, line, (size_t)length), -ENAMETOOLONG);
	CHECK_INT(machine_command_line(&machine, line, 0), -ENAMETOOLONG);
	machine.console = true;
	CHECK(machine_command_line(&machine, line, sizeof(line)) > 0);
	CHECK(strstr(line, "console=ttyS0"));
	CHECK(!strstr(line, "quiet"));
}

static void test_devices(void)
{
	struct virtio_device device = { 0 };

	machine = (struct machine){ 0 };
	for (unsigned i = 0; i < MACHINE_MAX_DEVICES; i++)
		CHECK_INT(machine_add_device(&machine, &device), 0);
	CHECK_INT(machine_add_device(&machine, &device), -ENOSPC);
	for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++)
		CHECK(device.queues[i].memory == &machine.memory);
}

int main(void)
{
	CHECK_RUN(test_last_words);
	CHECK_RUN(test_wrapped_around);
	CHECK_RUN(test_hostile_rings);
	CHECK_RUN(test_command_line);
	CHECK_RUN(test_devices);
	return check_report();
}
