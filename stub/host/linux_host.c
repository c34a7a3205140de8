/* The host's contract on Linux. */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

int host_open_self(void)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* A huge page of the processor: where guest and host addresses agree below it, KVM can map it whole. */
#define HUGE_PAGE	(2ull << 20)

void *host_reserve_ram(uint64_t size)
{
	uint8_t *reserved = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (reserved == MAP_FAILED)
		return NULL;
	uint8_t *ram = (uint8_t *)(((uintptr_t)reserved + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));
	uint64_t before = (uint64_t)(ram - reserved);

	if (before)
		munmap(reserved, before);
	munmap(ram + size, HUGE_PAGE - before);
	/* A fault for 2 MiB instead of 512 faults, in the guest as in here. */
	madvise(ram, size, MADV_HUGEPAGE);
	/* The guest's secrets stay out of our core dumps. */
	madvise(ram, size, MADV_DONTDUMP);
	return ram;
}

uint64_t host_memory_size(void)
{
	return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

unsigned host_cpu_count(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) < 0 ? 1 : (unsigned)CPU_COUNT(&set);
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t host_realtime_ns(void)
{
	return now_ns(CLOCK_REALTIME);
}

static uint64_t started_ns;

__attribute__((constructor)) static void note_start(void)
{
	started_ns = now_ns(CLOCK_MONOTONIC);
}

double host_uptime_ms(void)
{
	return (double)(now_ns(CLOCK_MONOTONIC) - started_ns) / 1e6;
}

int host_random(void *buffer, size_t size)
{
	return getrandom(buffer, size, 0) == (ssize_t)size ? 0 : -EIO;
}
