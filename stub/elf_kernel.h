/*
 * The stored kernel as an ELF file with the PVH note, which is how another virtual
 * machine monitor wants it.
 */
#ifndef SMOLPACK_ELF_KERNEL_H
#define SMOLPACK_ELF_KERNEL_H

#include <stdint.h>

#include "kernel.h"

/** elf_kernel_size - bytes of the file. */
uint64_t elf_kernel_size(const struct kernel *kernel);

/**
 * elf_kernel_write - write the file, elf_kernel_size() zeroed bytes, to @file.
 *
 * Return: as kernel_inflate().
 */
int elf_kernel_write(const struct kernel *kernel, uint8_t *file, unsigned threads);

#endif
