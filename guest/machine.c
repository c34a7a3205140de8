/* What makes a booted kernel a machine to run a program in: clock, randomness, name … */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/random.h>

/* The addresses 127.0.0.1 and ::1 come with it. */
static int start_loopback(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), result;

	if (fd < 0)
		return -1;
	result = ioctl(fd, SIOCSIFFLAGS, &request);
	close(fd);
	return result;
}

int machine_prepare(struct error *error)
{
	/* the kernel's limit of 4096 is too low for servers; programs that use select() and
	 * never ask for more are safe with the usual 1024. The other defaults are right. */
	const struct rlimit files = { .rlim_cur = 1024, .rlim_max = 524288 };

	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		return error_set(error, ERROR_MACHINE, "cannot set resource limits: %s",
				 strerror(errno));
	if (start_loopback() < 0)
		return error_set(error, ERROR_MACHINE, "cannot start the loopback network: %s",
				 strerror(errno));
	machine_set_oom_score("-1000");	/* without the agent the machine is lost */
	return 0;
}

void machine_set_oom_score(const char *score)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	(void)!write(fd, score, strlen(score));
	close(fd);
}

int machine_seed_random(const uint8_t *seed, size_t size, struct error *error)
{
	_Alignas(struct rand_pool_info) uint8_t bytes[sizeof(struct rand_pool_info) + size];
	struct rand_pool_info *pool = (struct rand_pool_info *)bytes;
	int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
	bool failed;

	pool->entropy_count = (int)(8 * size);
	pool->buf_size = (int)size;
	memcpy(pool->buf, seed, size);
	failed = fd < 0 || ioctl(fd, RNDADDENTROPY, pool) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0;
	if (failed)
		error_set(error, ERROR_MACHINE, "cannot seed the random number generator: %s",
			  strerror(errno));
	if (fd >= 0)
		close(fd);
	return failed ? -1 : 0;
}

int machine_set_hostname(const char *name, struct error *error)
{
	if (sethostname(name, strlen(name)) < 0)
		return error_set(error, ERROR_MACHINE, "cannot set the host name \"%s\": %s: use "
				 "at most 64 characters", name, strerror(errno));
	return 0;
}

uint32_t machine_oom_kills(void)
{
	static const char key[] = "\noom_kill ";
	static char text[16384];
	size_t size = 0;
	ssize_t got;
	const char *line;
	int fd = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	while (size < sizeof(text) - 1 &&
	       (got = read(fd, text + size, sizeof(text) - 1 - size)) > 0)
		size += (size_t)got;
	close(fd);
	text[size] = '\0';
	line = strstr(text, key);
	return line ? (uint32_t)strtoul(line + sizeof(key) - 1, NULL, 10) : 0;
}
