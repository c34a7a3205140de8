/* What all accelerators share: devices, the kernel's command line, its last words. */
#include "machine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int machine_add_device(struct machine *machine, struct virtio_device *device)
{
	if (machine->device_count == MACHINE_MAX_DEVICES)
		return -ENOSPC;
	for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++)
		device->queues[i].memory = &machine->memory;
	machine->devices[machine->device_count++] = device;
	return 0;
}

int machine_command_line(const struct machine *machine, char *buffer, size_t size)
{
	/* A panic ends the machine at once, by a triple fault: there is no firmware to ask. */
	int length = snprintf(buffer, size,
			      "rdinit=/init panic=-1 reboot=t random.trust_cpu=on"
			      " ramoops.mem_address=0x%llx ramoops.mem_size=0x%llx"
			      " ramoops.console_size=0x%llx ramoops.record_size=0"
			      " ramoops.pmsg_size=0 ramoops.ftrace_size=0 %s",
			      MACHINE_OOPS_GPA, MACHINE_OOPS_SIZE, MACHINE_OOPS_SIZE,
			      machine->console ? "console=ttyS0 earlyprintk=serial,ttyS0"
					       : "quiet 8250.nr_uarts=0");

	return length < 0 || (size_t)length >= size ? -ENAMETOOLONG : length;
}

/* The kernel's fs/pstore/ram_core.c keeps a ring of text behind this header. */
struct persistent_ram {
	uint32_t	signature;
	uint32_t	start;	/* where the next byte goes */
	uint32_t	size;	/* bytes of text there are */
	uint8_t		text[];
};

#define PERSISTENT_RAM_SIGNATURE 0x43474244u	/* "DBGC" */

size_t machine_last_words(const struct machine *machine, char *buffer, size_t size)
{
	const struct persistent_ram *ram =
		mem_at(&machine->memory, MACHINE_OOPS_GPA, MACHINE_OOPS_SIZE);
	struct persistent_ram header;

	if (!ram)
		return 0;
	memcpy(&header, ram, sizeof(header));	/* the guest may still write */
	uint32_t capacity = MACHINE_OOPS_SIZE - sizeof(header);

	if (header.signature != PERSISTENT_RAM_SIGNATURE || header.size > capacity ||
	    header.start > header.size)
		return 0;
	size_t wanted = header.size < size ? header.size : size;

	/* Oldest first: the last `wanted` bytes before the write position, around the ring. */
	for (size_t i = 0; i < wanted; i++)
		buffer[i] = (char)ram->text[(header.start + header.size - wanted + i) % header.size];
	return wanted;
}
