/* What an x86 guest finds in memory when it starts: PVH start info, MP table, command line. */
#ifndef SMOLPACK_BOOT_X86_H
#define SMOLPACK_BOOT_X86_H

#include <stddef.h>
#include <stdint.h>

#include "mem.h"

struct boot_x86 {
	const char	*command_line;
	uint64_t	initramfs_gpa;
	uint64_t	initramfs_size;
	unsigned	cpus;
	uint64_t	reserved_gpa;	/* RAM that the guest must leave alone */
	uint64_t	reserved_size;
};

/**
 * boot_x86_write - put everything into guest RAM.
 *
 * Return: the address of the start info, or 0 when it does not fit.
 */
uint64_t boot_x86_write(const struct guest_memory *memory, const struct boot_x86 *boot);

#endif
