/*
 * The `qemu` accelerator: where KVM is missing, QEMU executes the guest's
 * instructions, and nothing else.
 *
 * Guest RAM is a memfd that both map, kernel and initramfs are memfds as well, and
 * every device is ours, served over vhost-user. QEMU sees no file and no network.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "elf_kernel.h"
#include "host/child.h"
#include "host/host.h"
#include "hv/tsc_x86.h"
#include "log.h"
#include "machine.h"
#include "virtio/vhost_user.h"

#define PROGRAM		"qemu-system-x86_64"
#define MAX_PATH	4096

/* Our devices in QEMU's terms. */
static const struct {
	uint32_t	id;
	const char	*option;
} qemu_devices[] = {
	{ VIRTIO_ID_BLOCK, "vhost-user-blk" },
	{ VIRTIO_ID_RNG, "vhost-user-rng" },
	{ VIRTIO_ID_VSOCK, "vhost-user-vsock-device" },
};

#define MAX_ARGUMENTS		(48 + 4 * MACHINE_MAX_DEVICES)
#define MAX_ARGUMENT_BYTES	(MACHINE_MAX_COMMAND_LINE + 2048 + 256 * MACHINE_MAX_DEVICES)
#define MAX_HANDED_OVER		(6 + MACHINE_MAX_DEVICES)	/* memory: 3, standard streams: 3 */

/* QEMU's command line, and the descriptors that it names; ours until QEMU has them. */
struct invocation {
	char		*arguments[MAX_ARGUMENTS + 1];
	unsigned	argument_count;
	char		text[MAX_ARGUMENT_BYTES];
	size_t		used;
	bool		overflow;
	int		handed_over[MAX_HANDED_OVER];
	unsigned	handed_over_count;
};

struct qemu {
	struct machine		*machine;
	struct child		child;
	struct loop_source	exited;
	struct loop_source	console;	/* the guest's serial port */
	struct loop_source	complaints;	/* QEMU's stderr */
	char			complaint[256];	/* its last line */
	size_t			complaint_size;
	bool			complaint_ended;
	char			reason[512];
	uint8_t			*ram;
	struct vhost_user	transports[MACHINE_MAX_DEVICES];
	unsigned		transport_count;
	struct invocation	invocation;
};

static struct qemu the_qemu;	/* a process is one machine */

/* Return: whether QEMU is on PATH, and where. */
static bool find_program(char *path, size_t size)
{
	const char *directory = getenv("PATH");

	while (directory && *directory) {
		size_t length = strcspn(directory, ":");
		int written = snprintf(path, size, "%.*s/" PROGRAM, (int)length, directory);

		if (length && written > 0 && (size_t)written < size && access(path, X_OK) == 0)
			return true;
		directory += length + (directory[length] == ':');
	}
	return false;
}

static int probe(char *why, size_t why_size)
{
	char path[MAX_PATH];

	if (find_program(path, sizeof(path)))
		return 0;
	snprintf(why, why_size, PROGRAM " is not on PATH; install it "
		 "(Debian, Ubuntu: apt install qemu-system-x86; Fedora: dnf install qemu-system-x86-core)");
	return -ENOENT;
}

__attribute__((format(printf, 2, 3)))
static void add(struct invocation *invocation, const char *format, ...)
{
	size_t room = sizeof(invocation->text) - invocation->used;
	char *text = invocation->text + invocation->used;
	va_list values;

	va_start(values, format);
	int length = vsnprintf(text, room, format, values);

	va_end(values);
	if (length < 0 || (size_t)length >= room || invocation->argument_count == MAX_ARGUMENTS) {
		invocation->overflow = true;
		return;
	}
	invocation->arguments[invocation->argument_count++] = text;
	invocation->used += (size_t)length + 1;
}

/* Return: @fd, which is closed with the others once QEMU has it. */
static int hand_over(struct invocation *invocation, int fd)
{
	invocation->handed_over[invocation->handed_over_count++] = fd;
	return fd;
}

/* Return: a new memfd of @size bytes with @data mapped at it, to be unmapped by the caller. */
static int create_memory(const char *name, uint64_t size, uint8_t **data)
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	void *mapped = MAP_FAILED;

	if (ftruncate(fd, (off_t)size) == 0)
		mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (mapped == MAP_FAILED) {
		int error = -errno;

		close(fd);
		return error;
	}
	*data = mapped;
	return fd;
}

/* QEMU's microvm has the same hole below 4 GiB, and the file holds RAM without it. */
static int create_ram(struct qemu *qemu)
{
	struct machine *machine = qemu->machine;
	uint64_t size = machine->memory_size;
	uint64_t low = size < MACHINE_LOW_MEMORY_END ? size : MACHINE_LOW_MEMORY_END;
	int fd = create_memory("guest-ram", size, &qemu->ram);

	if (fd < 0)
		return fd;
	hand_over(&qemu->invocation, fd);
	int error = mem_add(&machine->memory, 0, low, qemu->ram);

	if (!error && size > low)
		error = mem_add(&machine->memory, MACHINE_HIGH_MEMORY, size - low,
				qemu->ram + low);
	if (!error) {
		add(&qemu->invocation, "-object");
		add(&qemu->invocation,
		    "memory-backend-file,id=ram,share=on,mem-path=/proc/self/fd/%d,size=%llu", fd,
		    (unsigned long long)size);
	}
	return error;
}

static int create_kernel(struct qemu *qemu)
{
	const struct kernel *kernel = qemu->machine->kernel;
	uint64_t size = elf_kernel_size(kernel);
	uint8_t *data;
	int fd = create_memory("kernel", size, &data);

	if (fd < 0)
		return fd;
	hand_over(&qemu->invocation, fd);
	int error = elf_kernel_write(kernel, data, host_cpu_count());

	munmap(data, size);
	add(&qemu->invocation, "-kernel");
	add(&qemu->invocation, "/proc/self/fd/%d", fd);
	return error;
}

static int create_initramfs(struct qemu *qemu)
{
	const struct machine *machine = qemu->machine;
	uint8_t *data;
	int fd = create_memory("initramfs", machine->initramfs_size, &data);

	if (fd < 0)
		return fd;
	hand_over(&qemu->invocation, fd);
	memcpy(data, machine->initramfs, machine->initramfs_size);
	munmap(data, machine->initramfs_size);
	add(&qemu->invocation, "-initrd");
	add(&qemu->invocation, "/proc/self/fd/%d", fd);
	return 0;
}

/* There is nobody else to be told: QEMU without one of its devices is of no use. */
static void device_closed(struct vhost_user *transport, int error)
{
	struct qemu *qemu = transport->context;

	/* Without an error QEMU is about to exit, and says more itself. */
	if (error) {
		snprintf(qemu->reason, sizeof(qemu->reason),
			 "QEMU and the launcher disagree over the guest's %s device: %s",
			 transport->device->class->name, strerror(-error));
		loop_remove(qemu->machine->loop, &qemu->exited);
		child_kill(&qemu->child);
		qemu->machine->stopped(qemu->machine, qemu->reason);
	}
}

static int serve_device(struct qemu *qemu, struct virtio_device *device)
{
	struct invocation *invocation = &qemu->invocation;
	struct vhost_user *transport = &qemu->transports[qemu->transport_count];
	unsigned index = qemu->transport_count;
	const char *option = NULL;
	int sockets[2];

	for (size_t i = 0; i < sizeof(qemu_devices) / sizeof(qemu_devices[0]); i++) {
		if (qemu_devices[i].id == device->class->id)
			option = qemu_devices[i].option;
	}
	if (!option)
		return -ENODEV;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
		return -errno;
	hand_over(invocation, sockets[1]);
	transport->closed = device_closed;
	transport->context = qemu;
	int error = vhost_user_open(transport, device, &qemu->machine->memory, qemu->machine->loop,
				    sockets[0]);

	if (error)
		return error;
	qemu->transport_count++;
	add(invocation, "-chardev");
	add(invocation, "socket,id=device%u,fd=%d", index, sockets[1]);
	add(invocation, "-device");
	/* We see no indirect descriptors; QEMU would offer them for some devices unasked. */
	add(invocation, "%s,chardev=device%u,bus=virtio-mmio-bus.%u,indirect_desc=off", option,
	    index, index);
	return 0;
}

static int add_command_line(struct qemu *qemu, const struct tsc_reading *start)
{
	char line[MACHINE_MAX_COMMAND_LINE];
	int length = machine_command_line(qemu->machine, line, sizeof(line));

	if (length < 0)
		return length;
	/* The emulated counter is the host's; without a kernel's clock to compare with it must be told. */
	char clock[64] = "";
	uint64_t khz = tsc_khz(start);

	if (khz)
		snprintf(clock, sizeof(clock), " tsc_early_khz=%llu tsc=reliable",
			 (unsigned long long)khz);
	add(&qemu->invocation, "-append");
	add(&qemu->invocation, "%s memmap=%lluK$0x%llx%s", line, MACHINE_OOPS_SIZE >> 10,
	    MACHINE_OOPS_GPA, clock);
	return 0;
}

static void add_fixed_arguments(struct qemu *qemu)
{
	static const char *const fixed[] = {
		PROGRAM, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-accel", "tcg,thread=multi", "-cpu", "max",
		"-sandbox",
		"on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		"-global", "virtio-mmio.force-legacy=false",
	};
	bool console = qemu->machine->console;

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		add(&qemu->invocation, "%s", fixed[i]);
	/* Without KVM the guest's timers are calibrated against the PIT, which needs the PIC to start. */
	add(&qemu->invocation, "-M");
	add(&qemu->invocation,
	    "microvm,acpi=off,pic=on,pit=on,rtc=on,isa-serial=%s,memory-backend=ram",
	    console ? "on" : "off");
	add(&qemu->invocation, "-smp");
	add(&qemu->invocation, "%u", qemu->machine->cpus);
	add(&qemu->invocation, "-serial");
	add(&qemu->invocation, console ? "stdio" : "none");
}

/* Keeps the last line of what QEMU says. */
static void keep_last_line(struct qemu *qemu, const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (text[i] == '\n') {
			qemu->complaint_ended = true;
			continue;
		}
		if (qemu->complaint_ended)
			qemu->complaint_size = 0;
		qemu->complaint_ended = false;
		if (qemu->complaint_size < sizeof(qemu->complaint) - 1)
			qemu->complaint[qemu->complaint_size++] = text[i];
	}
	qemu->complaint[qemu->complaint_size] = '\0';
}

/* QEMU wrote to its stdout (the guest's console) or stderr. Return: whether there may be more. */
static bool read_output(struct qemu *qemu, struct loop_source *source)
{
	char text[4096];
	ssize_t got = read(source->fd, text, sizeof(text));

	if (got <= 0)
		return got < 0 && errno == EINTR;
	if (source == &qemu->complaints) {
		keep_last_line(qemu, text, (size_t)got);
	} else {
		ssize_t ignored = write(STDERR_FILENO, text, (size_t)got);

		(void)ignored;	/* nobody is looking */
	}
	return true;
}

static void output_ready(struct loop_source *source, unsigned events)
{
	struct qemu *qemu = source->context;

	/* At the end of it QEMU's exit is what counts. */
	if (!read_output(qemu, source) && events & LOOP_HANGUP)
		loop_remove(qemu->machine->loop, source);
}

/* @fd becomes QEMU's end of a pipe whose other end is read on the loop. */
static int watch_output(struct qemu *qemu, struct loop_source *source, int *fd)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	*fd = hand_over(&qemu->invocation, ends[1]);
	*source = (struct loop_source){ .fd = ends[0], .ready = output_ready, .context = qemu };
	if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	return loop_add(qemu->machine->loop, source, LOOP_READ);
}

static void close_source(struct qemu *qemu, struct loop_source *source)
{
	if (source->fd < 0)
		return;
	loop_remove(qemu->machine->loop, source);
	close(source->fd);
	source->fd = -1;
}

static void exited(struct loop_source *source, unsigned events)
{
	struct qemu *qemu = source->context;
	struct machine *machine = qemu->machine;

	(void)events;
	loop_remove(machine->loop, source);
	int status = child_reap(&qemu->child);

	while (read_output(qemu, &qemu->console) || read_output(qemu, &qemu->complaints))
		;
	if (WIFSIGNALED(status))
		snprintf(qemu->reason, sizeof(qemu->reason), "QEMU was killed by signal %d",
			 WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		snprintf(qemu->reason, sizeof(qemu->reason), "QEMU failed: %s", qemu->complaint);
	else	/* a reset, which is how the kernel ends a panic */
		snprintf(qemu->reason, sizeof(qemu->reason), "the guest's kernel stopped");
	machine->stopped(machine, qemu->reason);
}

static int spawn(struct qemu *qemu)
{
	struct invocation *invocation = &qemu->invocation;
	char path[MAX_PATH];
	int output, errors;

	if (invocation->overflow)
		return -E2BIG;
	if (!find_program(path, sizeof(path)))
		return -ENOENT;
	unsigned keep_count = invocation->handed_over_count;
	int error = watch_output(qemu, &qemu->console, &output);

	if (!error)
		error = watch_output(qemu, &qemu->complaints, &errors);
	if (error)
		return error;
	int input = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (input < 0)
		return -errno;
	hand_over(invocation, input);
	error = child_start(&qemu->child, &(struct child_start){
		.path = path,
		.arguments = invocation->arguments,
		.stdio = { input, output, errors },
		.keep = invocation->handed_over,
		.keep_count = keep_count,
	});
	if (error)
		return error;
	debug("QEMU started %.3f ms after start", host_uptime_ms());
	qemu->exited = (struct loop_source){
		.fd = qemu->child.exit_fd, .ready = exited, .context = qemu,
	};
	return loop_add(qemu->machine->loop, &qemu->exited, LOOP_READ);
}

static int assemble(struct qemu *qemu, const char **stage)
{
	struct machine *machine = qemu->machine;
	struct tsc_reading start = tsc_read();

	*stage = "reserve the guest's memory (try a smaller --vm-mem)";
	add_fixed_arguments(qemu);
	int error = create_ram(qemu);

	if (error)
		return error;
	*stage = "load the guest's kernel";
	error = create_kernel(qemu);
	if (!error)
		error = create_initramfs(qemu);
	if (error)
		return error;
	*stage = "set up the guest's devices";
	for (unsigned i = 0; i < machine->device_count && !error; i++)
		error = serve_device(qemu, machine->devices[i]);
	if (error)
		return error;
	*stage = "start " PROGRAM;
	error = add_command_line(qemu, &start);
	return error ? error : spawn(qemu);
}

static void stop(struct machine *machine)
{
	struct qemu *qemu = machine->state;

	if (!qemu)
		return;
	loop_remove(machine->loop, &qemu->exited);
	child_kill(&qemu->child);
	while (qemu->transport_count)
		vhost_user_close(&qemu->transports[--qemu->transport_count]);
	close_source(qemu, &qemu->console);
	close_source(qemu, &qemu->complaints);
	machine->memory.count = 0;
	if (qemu->ram)
		munmap(qemu->ram, machine->memory_size);
	machine->state = NULL;
}

static int start(struct machine *machine, char *why, size_t why_size)
{
	struct qemu *qemu = &the_qemu;
	const char *stage;

	*qemu = (struct qemu){
		.machine = machine, .console.fd = -1, .complaints.fd = -1, .child.exit_fd = -1,
	};
	machine->state = qemu;
	int error = assemble(qemu, &stage);

	/* QEMU has its own copies now. */
	for (unsigned i = 0; i < qemu->invocation.handed_over_count; i++)
		close(qemu->invocation.handed_over[i]);
	if (error) {
		snprintf(why, why_size, "cannot %s: %s", stage,
			 error == -EILSEQ ? "the file is damaged; get it again" : strerror(-error));
		stop(machine);
	}
	return error;
}

const struct accelerator accelerator_qemu = {
	.name = "qemu",
	.boot_attempts = 3,
	.probe = probe,
	.start = start,
	.stop = stop,
};
