/*
 * A virtual machine as the launcher sees it, whatever executes its instructions.
 *
 * The launcher fills in what the machine consists of and hands it to an
 * accelerator: `kvm` (our own virtual machine monitor, vm.c) or `qemu` (QEMU
 * executes, our devices are served to it, qemu.c).
 */
#ifndef SMOLPACK_MACHINE_H
#define SMOLPACK_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel.h"
#include "loop.h"
#include "mem.h"
#include "virtio/device.h"

#define MACHINE_MAX_DEVICES	8
#define MACHINE_MAX_CPUS	32
#define MACHINE_MIN_MEMORY	(32ull << 20)
#define MACHINE_MAX_COMMAND_LINE 2048

/*
 * Guest RAM in which the kernel keeps the last text of its console (pstore's
 * ramoops), so that the launcher can show it after a panic without a device.
 */
#define MACHINE_OOPS_GPA	0xf00000ull
#define MACHINE_OOPS_SIZE	0x10000ull

/* RAM stops here and goes on at 4 GiB: devices and interrupt controllers lie between. */
#define MACHINE_LOW_MEMORY_END	0xc0000000ull
#define MACHINE_HIGH_MEMORY	0x100000000ull

struct machine {
	/* What it consists of; set before it starts. */
	uint64_t		memory_size;	/* bytes, a multiple of the page size */
	unsigned		cpus;
	bool			console;	/* serial console of the guest's kernel to stderr */
	const struct kernel	*kernel;
	const uint8_t		*initramfs;
	uint64_t		initramfs_size;
	struct virtio_device	*devices[MACHINE_MAX_DEVICES];
	unsigned		device_count;
	struct loop		*loop;

	/*
	 * Called on the loop's thread when the machine stopped without having
	 * been asked to; @reason is one line in plain words.
	 */
	void			(*stopped)(struct machine *machine, const char *reason);
	void			*context;	/* the owner of ->stopped */

	/* Guest RAM; filled in by the accelerator, complete before a device is notified. */
	struct guest_memory	memory;
	void			*state;		/* the accelerator's own */
};

struct accelerator {
	const char	*name;
	/*
	 * How often to try when a machine stops before its init has reported. An
	 * emulated processor now and then trips over a kernel that patches its own
	 * code as it starts.
	 */
	unsigned	boot_attempts;
	/* Return: 0 when this host can use it; else a negative errno, and @why: what is missing and what to do. */
	int		(*probe)(char *why, size_t why_size);
	/* Return: 0 once the guest runs; else a negative errno, and @why. */
	int		(*start)(struct machine *machine, char *why, size_t why_size);
	/* End the guest at once; nothing of it is left when this returns. It can then start again. */
	void		(*stop)(struct machine *machine);
};

extern const struct accelerator accelerator_kvm;
extern const struct accelerator accelerator_qemu;

/**
 * machine_add_device - give the machine a device; before it starts.
 *
 * @device must stay in place. Return: 0, or -ENOSPC.
 */
int machine_add_device(struct machine *machine, struct virtio_device *device);

/**
 * machine_command_line - the kernel command line that is the same for every accelerator.
 *
 * The accelerator appends what it alone knows.
 * Return: its length, or -ENAMETOOLONG.
 */
int machine_command_line(const struct machine *machine, char *buffer, size_t size);

/**
 * machine_last_words - the last lines of the guest kernel's console.
 *
 * Return: how many bytes of @buffer were filled (no NUL); 0 when the guest left none.
 */
size_t machine_last_words(const struct machine *machine, char *buffer, size_t size);

#endif
