/* The file systems that the program sees. */
#include "mounts.h"

#include "directory.h"
#include "etc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdbool.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOT_DEVICE	"/dev/vda"
#define ROOT_WAIT_MS	10000

struct mount {
	const char	*source, *target, *type;
	unsigned long	flags;
	const char	*options;
};

#define NO_PROGRAMS	(MS_NOSUID | MS_NODEV | MS_NOEXEC)

static const struct mount devices = { "devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755" };
static const struct mount image = {
	ROOT_DEVICE, "/image", "squashfs", MS_RDONLY | MS_SILENT, NULL,
};
static const struct mount layer = { "layer", "/layer", "tmpfs", 0, "mode=0755" };
/* Directories can be renamed and metadata changed without a copy of the data in memory. */
static const struct mount root = {
	"overlay", "/root", "overlay", 0,
	"lowerdir=/image,upperdir=/layer/upper,workdir=/layer/work,redirect_dir=on,metacopy=on",
};

static const struct mount system_mounts[] = {
	/* group 5 is tty in every distribution; write(1) wants mode 0620 */
	{ "devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=0620,ptmxmode=0666" },
	{ "shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777" },
	{ "mqueue", "/dev/mqueue", "mqueue", NO_PROGRAMS, NULL },
	{ "proc", "/proc", "proc", NO_PROGRAMS, NULL },
	{ "sysfs", "/sys", "sysfs", NO_PROGRAMS, NULL },
	{ "cgroup2", "/sys/fs/cgroup", "cgroup2", NO_PROGRAMS, "nsdelegate" },
};

static const struct {
	const char *target, *path;
} links[] = {
	{ "/proc/self/fd", "/dev/fd" },
	{ "/proc/self/fd/0", "/dev/stdin" },
	{ "/proc/self/fd/1", "/dev/stdout" },
	{ "/proc/self/fd/2", "/dev/stderr" },
};

static int try_mount(const struct mount *mount_)
{
	return mount(mount_->source, mount_->target, mount_->type, mount_->flags,
		     mount_->options);
}

static int report(const struct mount *mount_, struct error *error)
{
	return error_set(error, ERROR_MACHINE, "cannot mount %s (%s) in the machine: %s",
			 mount_->target, mount_->type, strerror(errno));
}

/* Mounts; when there is no such directory, makes it, in place of whatever else is there. */
static int mount_on(const struct mount *mount_, struct error *error)
{
	if (!try_mount(mount_))
		return 0;
	if (errno == ENOENT || errno == ENOTDIR) {
		unlink(mount_->target);
		if (!mkdir(mount_->target, 0755) && !try_mount(mount_))
			return 0;
	}
	return report(mount_, error);
}

/* Waits for a device that its driver has not found yet; false when none appears in time. */
static bool wait_for_device(int inotify)
{
	struct pollfd created = { .fd = inotify, .events = POLLIN };
	char events[4096];

	return poll(&created, 1, ROOT_WAIT_MS) == 1 && read(inotify, events, sizeof(events)) > 0;
}

static int mount_image(struct error *error)
{
	int failed, inotify;

	mkdir(image.target, 0755);
	if (!try_mount(&image))
		return 0;

	/* normally not needed: drivers look for their devices before init starts */
	inotify = inotify_init1(IN_CLOEXEC);
	inotify_add_watch(inotify, "/dev", IN_CREATE);
	do {
		failed = try_mount(&image) < 0 ? errno : 0;
	} while (failed == ENOENT && wait_for_device(inotify));
	close(inotify);

	if (failed == ENOENT)
		return error_set(error, ERROR_MACHINE, "the machine has no disk " ROOT_DEVICE
				 " with the root file system");
	if (failed)
		return error_set(error, ERROR_MACHINE, "cannot mount the root file system: %s: "
				 "the file may be damaged, pack it again", strerror(failed));
	return 0;
}

/* A directory's owner and mode are the upper layer's: make them the image's. */
static int make_layer(struct error *error)
{
	if (mount_on(&layer, error))
		return -1;
	if (mkdir("/layer/work", 0755) < 0 || directory_copy(image.target, "/layer/upper") < 0)
		return report(&layer, error);
	return etc_cover("/image/etc", "/layer/upper/etc", error);
}

int mounts_root(struct error *error)
{
	if (mount_on(&devices, error) || mount_image(error) || make_layer(error) ||
	    mount_on(&root, error))
		return -1;
	/* the initial root file system cannot be left by pivot_root(2) */
	if (chdir(root.target) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 ||
	    chroot(".") < 0 || chdir("/") < 0)
		return error_set(error, ERROR_MACHINE, "cannot move to the root file system: %s",
				 strerror(errno));
	return 0;
}

int mounts_system(struct error *error)
{
	/* once more: there is but one devtmpfs, and its first mount stayed behind */
	if (mount_on(&devices, error))
		return -1;
	for (size_t i = 0; i < sizeof(system_mounts) / sizeof(*system_mounts); i++)
		if (mount_on(&system_mounts[i], error))
			return -1;
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++)
		if (symlink(links[i].target, links[i].path) < 0 && errno != EEXIST)
			return error_set(error, ERROR_MACHINE, "cannot make %s: %s", links[i].path,
					 strerror(errno));

	/* what the image has there stays visible */
	if (!mkdir("/tmp", 01777))
		chmod("/tmp", 01777);
	mkdir("/run", 0755);
	return 0;
}
