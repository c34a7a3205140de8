/*
 * Linked into a launcher by the linker's --wrap: at the first KVM_RUN it prints
 * when that was (nanoseconds of CLOCK_MONOTONIC) and how long it had to wait for
 * the kernel, then ends. So set-up can be measured where KVM can create machines
 * but not run them. With INFLATE_ONLY in the environment it prints how long the
 * kernel takes to inflate, with nothing beside it, and ends there. With UNCHECKED
 * no hash and no signature is compared with anything: what remains is the rest.
 */
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "kernel.h"
#include "signature.h"

int __real_ioctl(int fd, int request, ...);
void __real_kernel_inflate_start(struct inflation *inflation, const struct kernel *kernel,
				 uint8_t *image, unsigned threads);
int __real_kernel_inflate_finish(struct inflation *inflation);
int __wrap_ioctl(int fd, int request, ...);
void __wrap_kernel_inflate_start(struct inflation *inflation, const struct kernel *kernel,
				 uint8_t *image, unsigned threads);
int __wrap_kernel_inflate_finish(struct inflation *inflation);
bool __wrap_kvm_arch_has_virtualization(void);
int __real_hashtree_check_chunk(const struct hashtree *tree, uint64_t index, const uint8_t *data);
int __wrap_hashtree_check_chunk(const struct hashtree *tree, uint64_t index, const uint8_t *data);
int __real_hashtree_check_range(const struct hashtree *tree, const uint8_t *data, uint64_t offset,
				uint64_t size, uint64_t *bad);
int __wrap_hashtree_check_range(const struct hashtree *tree, const uint8_t *data, uint64_t offset,
				uint64_t size, uint64_t *bad);
int __real_signatures_verify(struct signatures *signatures, const uint8_t *area, size_t size,
			     const uint8_t *table, size_t table_size, char *why, size_t why_size);
int __wrap_signatures_verify(struct signatures *signatures, const uint8_t *area, size_t size,
			     const uint8_t *table, size_t table_size, char *why, size_t why_size);

static uint64_t waited_ns;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

bool __wrap_kvm_arch_has_virtualization(void)
{
	return true;
}

static bool unchecked(void)
{
	return getenv("UNCHECKED") != NULL;
}

int __wrap_hashtree_check_chunk(const struct hashtree *tree, uint64_t index, const uint8_t *data)
{
	return unchecked() ? 0 : __real_hashtree_check_chunk(tree, index, data);
}

int __wrap_hashtree_check_range(const struct hashtree *tree, const uint8_t *data, uint64_t offset,
				uint64_t size, uint64_t *bad)
{
	return unchecked() ? 0 : __real_hashtree_check_range(tree, data, offset, size, bad);
}

int __wrap_signatures_verify(struct signatures *signatures, const uint8_t *area, size_t size,
			     const uint8_t *table, size_t table_size, char *why, size_t why_size)
{
	return unchecked() ? 0 : __real_signatures_verify(signatures, area, size, table, table_size,
							  why, why_size);
}

int __wrap_kernel_inflate_finish(struct inflation *inflation)
{
	uint64_t start = now_ns();
	int error = __real_kernel_inflate_finish(inflation);

	waited_ns = now_ns() - start;
	return error;
}

void __wrap_kernel_inflate_start(struct inflation *inflation, const struct kernel *kernel,
				 uint8_t *image, unsigned threads)
{
	uint64_t start = now_ns();

	__real_kernel_inflate_start(inflation, kernel, image, threads);
	if (!getenv("INFLATE_ONLY"))
		return;
	if (__real_kernel_inflate_finish(inflation) == 0)
		dprintf(STDOUT_FILENO, "%" PRIu64 "\n", now_ns() - start);
	_exit(0);
}

int __wrap_ioctl(int fd, int request, ...)
{
	va_list arguments;

	if ((unsigned)request == KVM_RUN) {
		dprintf(STDOUT_FILENO, "%" PRIu64 " %" PRIu64 "\n", now_ns(), waited_ns);
		_exit(0);
	}
	va_start(arguments, request);
	unsigned long argument = va_arg(arguments, unsigned long);

	va_end(arguments);
	return __real_ioctl(fd, request, argument);
}
