/*
 * PID 1 of the kernel's feature check: tries what the guest promises to programs, one line each.
 *
 * "ok NAME" or "not ok NAME: reason" on the serial console, "done" at the end, then a reset. From
 * the kernel's command line: probe_cpus=N is how many vCPUs there must be, probe_skip=NAME leaves
 * one check out, probe_panic exits at once, which makes the kernel panic.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/aio_abi.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/fanotify.h>
#include <linux/filter.h>
#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <linux/loop.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <linux/vm_sockets.h>
#include <mqueue.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIB (1UL << 20)
#define PANIC_STATUS 86 /* shows up in the panic's text as exitcode=0x00005600 */

/* Every check returns 0 or a negative errno. */

static int result(long value)
{
	return value < 0 ? -errno : 0;
}

static int opened(long fd)
{
	if (fd < 0)
		return -errno;
	close((int)fd);
	return 0;
}

/* Run a check in a child that may change its own credentials, namespaces or filters. */
static int in_child(int (*check)(void))
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(-check());
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

/* Read a small file; an unreadable one reads as empty. */
static const char *contents(const char *path)
{
	static char text[4096];
	ssize_t length = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		length = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	text[length > 0 ? length : 0] = '\0';
	return text;
}

/* The value of NAME=VALUE on the kernel's command line, with whatever follows it; else NULL. */
static const char *option(const char *name)
{
	const char *found = strstr(contents("/proc/cmdline"), name);

	return found ? found + strlen(name) : NULL;
}

static int contains(const char *path, const char *const *words, size_t count)
{
	const char *text = contents(path);

	for (size_t i = 0; i < count; i++) {
		if (!strstr(text, words[i])) {
			printf("# %s lacks %s\n", path, words[i]);
			return -ENOENT;
		}
	}
	return 0;
}
#define CONTAINS(path, ...)                                                                        \
	contains(path, (const char *const[]){__VA_ARGS__},                                         \
		 sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

/* Processes and their communication */

static int check_mqueue(void)
{
	struct mq_attr attr = {.mq_maxmsg = 4, .mq_msgsize = 64};
	mqd_t queue = mq_open("/probe", O_CREAT | O_RDWR, 0600, &attr);
	char text[64];

	if (queue == (mqd_t)-1 || mq_send(queue, "x", 1, 0))
		return -errno;
	return mq_receive(queue, text, sizeof(text), NULL) == 1 ? 0 : -EIO;
}

static int check_sysv_ipc(void)
{
	if (shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600) < 0 ||
	    semget(IPC_PRIVATE, 1, IPC_CREAT | 0600) < 0)
		return -errno;
	return result(msgget(IPC_PRIVATE, IPC_CREAT | 0600));
}

static int check_event_fds(void)
{
	sigset_t set;
	int err;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	if ((err = opened(epoll_create1(0))) || (err = opened(eventfd(0, 0))) ||
	    (err = opened(signalfd(-1, &set, 0))) ||
	    (err = opened(timerfd_create(CLOCK_MONOTONIC, 0))))
		return err;
	return opened(syscall(SYS_pidfd_open, getpid(), 0));
}

static int check_file_events(void)
{
	int err = opened(inotify_init1(0));

	return err ? err : opened(syscall(SYS_fanotify_init, FAN_CLASS_NOTIF, O_RDONLY));
}

static int check_aio(void)
{
	aio_context_t context = 0;

	return result(syscall(SYS_io_setup, 4, &context));
}

static int check_io_uring(void)
{
	struct io_uring_params params = {0};

	return opened(syscall(SYS_io_uring_setup, 8, &params));
}

static int check_membarrier(void)
{
	long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	return commands < 0 ? -errno : commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED ? 0 : -ENOTSUP;
}

static int check_rseq(void)
{
	/* A misaligned area is refused by a kernel that knows the call. */
	return syscall(SYS_rseq, 1, 32, 0, 0) < 0 && errno == EINVAL ? 0 : -errno;
}

static int check_ptrace(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(7);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return -ECHILD;
	if (ptrace(PTRACE_CONT, pid, NULL, NULL) || waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 7 ? 0 : -ECHILD;
}

static int check_cross_memory(void)
{
	int from = 42, to = 0;
	struct iovec local = {&to, sizeof(to)}, remote = {&from, sizeof(from)};

	if (process_vm_readv(getpid(), &local, 1, &remote, 1, 0) < 0)
		return -errno;
	return to == 42 ? 0 : -EIO;
}

static int deny_getppid(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EDOM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = ARRAY_SIZE(code), .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return -errno;
	return syscall(SYS_getppid) == -1 && errno == EDOM ? 0 : -ENOTSUP;
}

static int check_seccomp(void)
{
	return in_child(deny_getppid);
}

static int enter_namespaces(void)
{
	const int kinds[] = {CLONE_NEWUSER, CLONE_NEWNS,     CLONE_NEWUTS, CLONE_NEWIPC,
			     CLONE_NEWNET,  CLONE_NEWCGROUP, CLONE_NEWPID, 0x80 /* CLONE_NEWTIME */};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (unshare(kinds[i]))
			return -errno;
	}
	return 0;
}

static int check_namespaces(void)
{
	return in_child(enter_namespaces);
}

static int check_core_dump(void)
{
	struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	struct stat stat_buf;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &unlimited);
		chdir("/tmp");
		abort();
	}
	waitpid(pid, &status, 0);
	if (!WIFSIGNALED(status) || !WCOREDUMP(status))
		return -ENOTSUP;
	return result(stat("/tmp/core", &stat_buf));
}

/* Memory */

static int check_memfd(void)
{
	return opened(memfd_create("probe", MFD_CLOEXEC | MFD_ALLOW_SEALING));
}

static int check_userfaultfd(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ioctl(fd, UFFDIO_API, &api))
		return -errno;
	return close(fd);
}

static int check_huge_pages(void)
{
	size_t size = 8 * MIB;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const char *line;
	/* The kernel switches them off on machines with less than 512 MiB. */
	int enabled = open("/sys/kernel/mm/transparent_hugepage/enabled", O_WRONLY | O_CLOEXEC);

	if (enabled < 0 || write(enabled, "madvise", 7) != 7 || close(enabled))
		return -errno;
	if (memory == MAP_FAILED || madvise(memory, size, MADV_HUGEPAGE))
		return -errno;
	memset(memory, 1, size);
	line = strstr(contents("/proc/self/smaps_rollup"), "AnonHugePages:");
	return line && atol(line + strlen("AnonHugePages:")) >= 2048 ? 0 : -ENOTSUP;
}

/* Network */

static int check_interface_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request))
		return -errno;
	return close(fd);
}

/* Connect a stream socket to a listener of this process. */
static int loopback(struct sockaddr *address, socklen_t length)
{
	int listener = socket(address->sa_family, SOCK_STREAM, 0);
	int client = socket(address->sa_family, SOCK_STREAM, 0);

	if (listener < 0 || client < 0 || bind(listener, address, length) || listen(listener, 1) ||
	    connect(client, address, length))
		return -errno;
	close(client);
	return close(listener);
}

static int check_unix(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/tmp/probe.socket"};

	return loopback((struct sockaddr *)&address, sizeof(address));
}

static int check_ipv4(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(7000)};

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return loopback((struct sockaddr *)&address, sizeof(address));
}

static int check_ipv6(void)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(7001)};

	address.sin6_addr = in6addr_loopback;
	return loopback((struct sockaddr *)&address, sizeof(address));
}

static int check_vsock(void)
{
	struct sockaddr_vm address = {
		.svm_family = AF_VSOCK, .svm_port = 7002, .svm_cid = VMADDR_CID_LOCAL};

	return loopback((struct sockaddr *)&address, sizeof(address));
}

static int check_packet(void)
{
	return opened(socket(AF_PACKET, SOCK_RAW, htons(0x0003)));
}

static int check_tun(void)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, TUNSETIFF, &request))
		return -errno;
	return close(fd);
}

/* File systems and terminals */

static int check_terminal(void)
{
	int unlocked = 0, number, main_end, other_end;
	char path[32];

	mkdir("/dev/pts", 0755);
	if (mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666"))
		return -errno;
	main_end = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY);
	if (main_end < 0 || ioctl(main_end, TIOCSPTLCK, &unlocked) ||
	    ioctl(main_end, TIOCGPTN, &number))
		return -errno;
	snprintf(path, sizeof(path), "/dev/pts/%d", number);
	other_end = open(path, O_RDWR | O_NOCTTY);
	if (other_end < 0 || write(other_end, "x", 1) != 1)
		return -errno;
	return read(main_end, path, 1) == 1 && path[0] == 'x' ? 0 : -EIO;
}

static int check_mqueue_mount(void)
{
	mkdir("/dev/mqueue", 0755);
	return result(mount("mqueue", "/dev/mqueue", "mqueue", 0, NULL));
}

static int check_cgroup2(void)
{
	if (mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL))
		return -errno;
	return CONTAINS("/sys/fs/cgroup/cgroup.controllers", "cpuset", "cpu", "memory", "pids");
}

static int check_squashfs(void)
{
	mkdir("/lower", 0755);
	return result(mount("/dev/vda", "/lower", "squashfs", MS_RDONLY, NULL));
}

static int check_squashfs_xattr(void)
{
	char value[8];
	ssize_t length = getxattr("/lower/labelled", "user.label", value, sizeof(value));

	return length < 0 ? -errno : length == 3 && !memcmp(value, "abc", 3) ? 0 : -EIO;
}

static int check_overlay(void)
{
	mkdir("/tmp/upper", 0755);
	mkdir("/tmp/work", 0755);
	mkdir("/merged", 0755);
	if (mount("overlay", "/merged", "overlay", 0,
		  "lowerdir=/lower,upperdir=/tmp/upper,workdir=/tmp/work"))
		return -errno;
	/* A directory of the image can be renamed: redirects are on. */
	return result(rename("/merged/directory", "/merged/renamed"));
}

static int check_program(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (chroot("/merged") || chdir("/"))
			_exit(1);
		execl("/bin/sh", "sh", "/script", NULL);
		_exit(2);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
}

/* An ext4 image inside the root, on a loop device: writing to it copies it up. */
static int check_ext4(void)
{
	int file = open("/merged/ext4.img", O_RDWR | O_CLOEXEC);
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	char path[32];
	int device;

	if (file < 0 || number < 0)
		return -errno;
	snprintf(path, sizeof(path), "/dev/loop%d", number);
	device = open(path, O_RDWR | O_CLOEXEC);
	if (device < 0 || ioctl(device, LOOP_SET_FD, file))
		return -errno;
	mkdir("/disk", 0755);
	if (mount(path, "/disk", "ext4", 0, "acl,user_xattr"))
		return -errno;
	return opened(open("/disk/file", O_CREAT | O_WRONLY, 0600));
}

static int check_fuse(void)
{
	int err = opened(open("/dev/fuse", O_RDWR | O_CLOEXEC));

	return err ? err : CONTAINS("/proc/filesystems", "fuse", "virtiofs");
}

static int check_xattr(void)
{
	/* POSIX ACL: u::rw-, u:1000:r--, g::r--, m::r--, o::--- (linux/posix_acl_xattr.h). */
	static const uint32_t acl[] = {2,	 0x60001, UINT32_MAX, 0x40002, 1000,	  0x40004,
				       UINT32_MAX, 0x40010, UINT32_MAX, 0x20, UINT32_MAX};
	int err = opened(open("/tmp/xattr", O_CREAT | O_WRONLY, 0600));

	if (err)
		return err;
	if (setxattr("/tmp/xattr", "user.a", "1", 1, 0) ||
	    setxattr("/tmp/xattr", "trusted.a", "1", 1, 0))
		return -errno;
	return result(setxattr("/tmp/xattr", "system.posix_acl_access", acl, sizeof(acl), 0));
}

/* A program with a file capability has it although it runs as an ordinary user. */
static int exec_with_file_capability(void)
{
	if (setgid(1000) || setuid(1000))
		return -errno;
	execl("/merged/probe", "probe", "--effective-capability", NULL);
	return -errno;
}

static int check_file_capability(void)
{
	struct vfs_cap_data capability = {
		.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
		.data[0].permitted = 1U << CAP_NET_RAW,
	};

	if (setxattr("/merged/probe", "security.capability", &capability,
		     XATTR_CAPS_SZ_2, 0))
		return -errno;
	return in_child(exec_with_file_capability);
}

static int has_effective_capability(void)
{
	const char *line = strstr(contents("/proc/self/status"), "CapEff:");

	return line && strtoull(line + strlen("CapEff:"), NULL, 16) == 1U << CAP_NET_RAW ? 0 : EPERM;
}

/* Devices, clocks, CPUs */

static int check_virtio_drivers(void)
{
	const char *const drivers[] = {"virtio_blk",	 "virtio_net",	    "virtio_console",
				       "virtio_rng",	 "virtio_balloon",  "virtiofs",
				       "vmw_vsock_virtio_transport"};
	char path[80];

	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
		snprintf(path, sizeof(path), "/sys/bus/virtio/drivers/%s", drivers[i]);
		if (access(path, F_OK)) {
			printf("# no %s\n", path);
			return -ENODEV;
		}
	}
	return 0;
}

static int check_free_page_reporting(void)
{
	const char *features;
	char path[64];

	for (int i = 0; i < 8; i++) {
		snprintf(path, sizeof(path), "/sys/bus/virtio/devices/virtio%d/device", i);
		if (strtol(contents(path), NULL, 16) != 5 /* balloon */)
			continue;
		snprintf(path, sizeof(path), "/sys/bus/virtio/devices/virtio%d/features", i);
		features = contents(path);
		return strlen(features) > 5 && features[5] == '1' ? 0 : -ENOTSUP;
	}
	return -ENODEV;
}

static int check_hwrng(void)
{
	char byte;
	int fd = open("/dev/hwrng", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, &byte, 1) != 1)
		return -errno;
	return close(fd);
}

static int check_high_resolution_timers(void)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	struct timespec resolution;

	/* They start when the TSC has been measured a second time, a second after boot under TCG. */
	for (int tries = 0; tries < 1000; tries++) {
		if (clock_getres(CLOCK_MONOTONIC, &resolution))
			return -errno;
		if (resolution.tv_sec == 0 && resolution.tv_nsec == 1)
			return 0;
		nanosleep(&pause, NULL);
	}
	return -ENOTSUP;
}

static int check_cpus(void)
{
	const char *wanted = option("probe_cpus=");
	long count = wanted ? atol(wanted) : 0;

	return sysconf(_SC_NPROCESSORS_ONLN) == count ? 0 : -ENODEV;
}

static int check_no_modules(void)
{
	return access("/proc/modules", F_OK) ? 0 : -EEXIST;
}

static const struct {
	const char *name;
	int (*run)(void);
} checks[] = {
	{"vcpus", check_cpus},
	{"no-modules", check_no_modules},
	{"virtio-drivers", check_virtio_drivers},
	{"hwrng", check_hwrng},
	{"free-page-reporting", check_free_page_reporting},
	{"sysv-ipc", check_sysv_ipc},
	{"posix-mqueue", check_mqueue},
	{"event-fds", check_event_fds},
	{"file-events", check_file_events},
	{"aio", check_aio},
	{"io-uring", check_io_uring},
	{"membarrier", check_membarrier},
	{"rseq", check_rseq},
	{"ptrace", check_ptrace},
	{"cross-memory-attach", check_cross_memory},
	{"seccomp-bpf", check_seccomp},
	{"namespaces", check_namespaces},
	{"core-dump", check_core_dump},
	{"memfd", check_memfd},
	{"userfaultfd", check_userfaultfd},
	{"transparent-huge-pages", check_huge_pages},
	{"loopback-up", check_interface_up},
	{"unix-sockets", check_unix},
	{"ipv4", check_ipv4},
	{"ipv6", check_ipv6},
	{"vsock", check_vsock},
	{"packet-sockets", check_packet},
	{"tun", check_tun},
	{"terminals", check_terminal},
	{"mqueue-mount", check_mqueue_mount},
	{"cgroup2", check_cgroup2},
	{"squashfs-zstd", check_squashfs},
	{"squashfs-xattr", check_squashfs_xattr},
	{"overlay", check_overlay},
	{"program-on-overlay", check_program},
	{"ext4-on-loop", check_ext4},
	{"fuse", check_fuse},
	{"tmpfs-xattr-acl", check_xattr},
	{"file-capabilities", check_file_capability},
	{"high-resolution-timers", check_high_resolution_timers},
};

static bool skipped(const char *name)
{
	const char *wanted = option("probe_skip=");

	return wanted && !strncmp(wanted, name, strlen(name));
}

static void mount_base(void)
{
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	mkdir("/tmp", 01777);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
}

int main(int argc, char **argv)
{
	int console;

	if (argc == 2 && !strcmp(argv[1], "--effective-capability"))
		return has_effective_capability();
	mount_base();
	if (option("probe_panic"))
		return PANIC_STATUS;
	console = open("/dev/console", O_RDWR | O_CLOEXEC);
	if (console >= 0) {
		dup2(console, STDOUT_FILENO);
		dup2(console, STDERR_FILENO);
	}
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		int err;

		if (skipped(checks[i].name))
			continue;
		err = checks[i].run();
		if (err)
			printf("not ok %s: %s\n", checks[i].name, strerror(-err));
		else
			printf("ok %s\n", checks[i].name);
		fflush(stdout);
	}
	printf("done\n");
	fflush(stdout);
	sync();
	reboot(RB_AUTOBOOT);
	return 1;
}
