/* The files of /etc that are this machine's and not the image's. */
#include "etc.h"

#include "directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const names[] = { "hostname", "hosts", "resolv.conf" };

#define LOCALHOST	"127.0.0.1\tlocalhost\n" \
			"::1\tlocalhost ip6-localhost ip6-loopback\n"

/* Else some resolvers wait for seconds until they believe that nobody is there. */
#define NO_RESOLVER	"# This machine has no network: names are in /etc/hosts or nowhere.\n" \
			"options timeout:0 attempts:1\n"

static bool covered;

/* Returns a descriptor, or -1 with @error set. */
static int open_file(const char *directory, const char *name, int flags, struct error *error)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0644);
	if (fd < 0)
		error_set(error, ERROR_MACHINE, "cannot write %s: %s", path, strerror(errno));
	return fd;
}

int etc_cover(const char *image, const char *layer, struct error *error)
{
	struct stat status;

	if (!lstat(image, &status) && !S_ISDIR(status.st_mode))
		return 0;
	if (directory_copy(image, layer) < 0)
		return error_set(error, ERROR_MACHINE, "cannot make /etc: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		int fd = open_file(layer, names[i], O_CREAT | O_EXCL, error);

		if (fd < 0)
			return -1;
		close(fd);
	}
	covered = true;
	return 0;
}

static int fill(const char *etc, const char *name, const char *text, struct error *error)
{
	size_t size = strlen(text);
	int fd = open_file(etc, name, 0, error);
	ssize_t written;

	if (fd < 0)
		return -1;
	written = write(fd, text, size);
	close(fd);
	if (written != (ssize_t)size)
		return error_set(error, ERROR_MACHINE, "cannot write %s/%s: no room", etc, name);
	return 0;
}

int etc_fill(const char *etc, const char *hostname, struct error *error)
{
	char hosts[512] = LOCALHOST, name[128] = "";

	if (!covered)
		return 0;
	if (hostname) {
		/* under its domain first, then alone: hosts(5) */
		const int length = (int)strcspn(hostname, ".");
		const bool has_domain = hostname[length];

		snprintf(name, sizeof(name), "%s\n", hostname);
		snprintf(hosts, sizeof(hosts), LOCALHOST "127.0.1.1\t%s%s%.*s\n", hostname,
			 has_domain ? " " : "", has_domain ? length : 0, hostname);
	}
	if (fill(etc, "hostname", name, error) || fill(etc, "hosts", hosts, error) ||
	    fill(etc, "resolv.conf", NO_RESOLVER, error))
		return -1;
	return 0;
}
