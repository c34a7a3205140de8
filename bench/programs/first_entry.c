/*
 * Linked into a launcher by the linker's --wrap: at the first KVM_RUN it prints
 * when that was (nanoseconds of CLOCK_MONOTONIC) and how long the kernel took to
 * inflate, then ends. So set-up can be measured where KVM can create machines but
 * not run them.
 */
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "kernel.h"

int __real_ioctl(int fd, int request, ...);
int __real_kernel_inflate(const struct kernel *kernel, uint8_t *image, unsigned threads);
int __wrap_ioctl(int fd, int request, ...);
int __wrap_kernel_inflate(const struct kernel *kernel, uint8_t *image, unsigned threads);
bool __wrap_kvm_arch_has_virtualization(void);

static uint64_t inflation_ns;

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

int __wrap_kernel_inflate(const struct kernel *kernel, uint8_t *image, unsigned threads)
{
	uint64_t start = now_ns();
	int error = __real_kernel_inflate(kernel, image, threads);

	inflation_ns = now_ns() - start;
	return error;
}

int __wrap_ioctl(int fd, int request, ...)
{
	va_list arguments;

	if ((unsigned)request == KVM_RUN) {
		dprintf(STDOUT_FILENO, "%" PRIu64 " %" PRIu64 "\n", now_ns(), inflation_ns);
		_exit(0);
	}
	va_start(arguments, request);
	unsigned long argument = va_arg(arguments, unsigned long);

	va_end(arguments);
	return __real_ioctl(fd, request, argument);
}
