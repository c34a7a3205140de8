/*
 * The `kvm` accelerator: our own virtual machine monitor, put together and taken
 * apart.
 *
 * Start: RAM, kernel and boot data, devices, vCPUs, then one thread for each
 * vCPU. What is found wrong after that comes back through ->stopped.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "boot_x86.h"
#include "bus.h"
#include "host/host.h"
#include "hv/hv.h"
#include "log.h"
#include "machine.h"
#include "run.h"
#include "serial.h"
#include "virtio/mmio.h"

/* Devices stand in the hole below 4 GiB, a page and a line each. */
#define DEVICE_BASE	0xd0000000ull
#define FIRST_IRQ	5
#define VCPU_STACK	(64u << 10)
#define KICK_SIGNAL	(SIGRTMIN + 1)

struct vcpu {
	struct hv_vcpu	hv;
	struct vm	*vm;
	pthread_t	thread;
};

struct vm {
	struct machine		*machine;
	struct hv		hv;
	struct bus		ports;
	struct bus		memory_bus;
	struct serial		serial;
	struct virtio_mmio	devices[MACHINE_MAX_DEVICES];
	struct vcpu		vcpus[MACHINE_MAX_CPUS];
	unsigned		running;	/* vCPU threads */
	uint64_t		entry;
	uint64_t		start_info;
	struct inflation	inflation;	/* of the kernel, while KVM is set up */
	atomic_bool		stopping;
	_Atomic(const char *)	reason;		/* why a vCPU stopped by itself */
	struct loop_source	ended;		/* signalled when ->reason is set */
};

static struct vm the_vm;	/* a process is one machine */

static int add_ram(struct vm *vm, uint64_t gpa, uint64_t size)
{
	void *host = host_reserve_ram(size);

	return host ? mem_add(&vm->machine->memory, gpa, size, host) : -ENOMEM;
}

static int create_ram(struct vm *vm)
{
	uint64_t size = vm->machine->memory_size;
	uint64_t low = size < MACHINE_LOW_MEMORY_END ? size : MACHINE_LOW_MEMORY_END;
	int error = add_ram(vm, 0, low);

	if (!error && size > low)
		error = add_ram(vm, MACHINE_HIGH_MEMORY, size - low);
	return error;
}

static int map_ram(struct vm *vm)
{
	const struct guest_memory *memory = &vm->machine->memory;
	int error = 0;

	for (unsigned i = 0; i < memory->count && !error; i++)
		error = hv_map(&vm->hv, i, memory->regions[i].gpa, memory->regions[i].size,
			       memory->regions[i].host);
	return error;
}

static int write_command_line(const struct machine *machine, char *line, size_t size)
{
	int used = machine_command_line(machine, line, size);

	for (unsigned i = 0; i < machine->device_count && used >= 0; i++) {
		int more = snprintf(line + used, size - (size_t)used,
				    " virtio_mmio.device=4K@0x%llx:%u",
				    DEVICE_BASE + i * VIRTIO_MMIO_SIZE, FIRST_IRQ + i);

		used = more < 0 || (size_t)more >= size - (size_t)used ? -ENAMETOOLONG
								       : used + more;
	}
	return used;
}

/*
 * Kernel where it wants to be, initramfs at the end of low RAM, boot data below
 * 1 MiB. The kernel is still being inflated when this returns.
 */
static int load(struct vm *vm)
{
	const struct machine *machine = vm->machine;
	const struct format_kernel *header = &machine->kernel->header;
	const struct guest_memory *memory = &machine->memory;
	uint64_t low_end = memory->regions[0].size;
	uint64_t initramfs_gpa = (low_end - machine->initramfs_size) & ~0xfffull;
	char command_line[MACHINE_MAX_COMMAND_LINE];
	int error = write_command_line(machine, command_line, sizeof(command_line));

	if (error < 0)
		return error;
	uint8_t *image = mem_at(memory, header->load_address, header->memory_size);
	void *initramfs = mem_at(memory, initramfs_gpa, machine->initramfs_size);

	if (!image || !initramfs || machine->initramfs_size > low_end ||
	    header->load_address < MACHINE_OOPS_GPA + MACHINE_OOPS_SIZE ||
	    header->load_address + header->memory_size > initramfs_gpa)
		return -EFBIG;
	memcpy(initramfs, machine->initramfs, machine->initramfs_size);
	vm->entry = header->entry;
	vm->start_info = boot_x86_write(memory, &(struct boot_x86){
		.command_line = command_line,
		.initramfs_gpa = initramfs_gpa,
		.initramfs_size = machine->initramfs_size,
		.cpus = machine->cpus,
		.reserved_gpa = MACHINE_OOPS_GPA,
		.reserved_size = MACHINE_OOPS_SIZE,
	});
	if (!vm->start_info)
		return -EFBIG;
	kernel_inflate_start(&vm->inflation, machine->kernel, image, host_cpu_count());
	return 0;
}

static int attach_devices(struct vm *vm)
{
	struct machine *machine = vm->machine;
	int error = 0;

	if (machine->console)
		error = serial_attach(&vm->serial, &vm->ports, STDERR_FILENO);
	for (unsigned i = 0; i < machine->device_count && !error; i++)
		error = virtio_mmio_attach(&vm->devices[i], machine->devices[i], &vm->hv,
					   &vm->memory_bus, machine->loop,
					   DEVICE_BASE + i * VIRTIO_MMIO_SIZE, FIRST_IRQ + i);
	return error;
}

static void ended(struct loop_source *source, unsigned events)
{
	struct vm *vm = source->context;

	(void)events;
	loop_remove(vm->machine->loop, source);
	vm->machine->stopped(vm->machine, atomic_load(&vm->reason));
}

static void *vcpu_thread(void *argument)
{
	struct vcpu *vcpu = argument;
	struct vm *vm = vcpu->vm;
	const char *reason = NULL, *none = NULL;
	uint64_t one = 1;
	int error = vcpu->hv.index == 0 ? hv_vcpu_boot(&vcpu->hv, vm->entry, vm->start_info) : 0;

	if (vcpu->hv.index == 0)
		debug("first entry into the guest %.3f ms after start", host_uptime_ms());
	reason = error ? strerror(-error)
		       : run_vcpu(&vcpu->hv, &vm->ports, &vm->memory_bus, &vm->stopping);
	/* Only the first one that stops has something to say. */
	if (reason && atomic_compare_exchange_strong(&vm->reason, &none, reason)) {
		ssize_t ignored = write(vm->ended.fd, &one, sizeof(one));

		(void)ignored;
	}
	return NULL;
}

static void on_kick(int signal)
{
	(void)signal;	/* it only has to interrupt */
}

static int create_vcpus(struct vm *vm)
{
	int error = 0;

	for (unsigned i = 0; i < vm->machine->cpus && !error; i++) {
		vm->vcpus[i].vm = vm;
		error = hv_vcpu_create(&vm->hv, &vm->vcpus[i].hv, i, vm->machine->cpus);
	}
	return error;
}

static int start_vcpus(struct vm *vm)
{
	struct sigaction kick = { .sa_handler = on_kick };
	pthread_attr_t attributes;
	sigset_t all, before;
	int error = 0;

	/* Signals are the loop's business; vCPU threads take only the kick. */
	sigfillset(&all);
	sigdelset(&all, KICK_SIGNAL);
	sigaction(KICK_SIGNAL, &kick, NULL);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, VCPU_STACK);
	for (; vm->running < vm->machine->cpus && !error; vm->running++) {
		struct vcpu *vcpu = &vm->vcpus[vm->running];

		error = -pthread_create(&vcpu->thread, &attributes, vcpu_thread, vcpu);
		if (error)
			break;
	}
	pthread_attr_destroy(&attributes);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

static void stop(struct machine *machine)
{
	struct vm *vm = machine->state;

	if (!vm)
		return;
	atomic_store(&vm->stopping, true);
	for (unsigned i = 0; i < vm->running; i++) {
		/* Kicked before it enters the guest or while it is there: either way it returns. */
		hv_vcpu_kick(&vm->vcpus[i].hv);
		pthread_kill(vm->vcpus[i].thread, KICK_SIGNAL);
	}
	while (vm->running)
		pthread_join(vm->vcpus[--vm->running].thread, NULL);
}

static int assemble(struct vm *vm, const char **stage)
{
	struct machine *machine = vm->machine;
	int error;

	*stage = "reserve the guest's memory (try a smaller --vm-mem)";
	error = create_ram(vm);
	if (error)
		return error;
	*stage = "load the guest's kernel";
	error = load(vm);
	if (error)
		return error;
	/* KVM mostly waits for its own locks: the kernel is inflated meanwhile. */
	*stage = "create a machine with KVM";
	error = hv_open(&vm->hv);
	if (!error)
		error = map_ram(vm);
	if (error)
		return error;
	*stage = "set up the guest's devices";
	error = attach_devices(vm);
	if (error)
		return error;
	vm->ended = (struct loop_source){
		.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .ready = ended, .context = vm,
	};
	if (vm->ended.fd < 0)
		return -errno;
	error = loop_add(machine->loop, &vm->ended, LOOP_READ);
	if (error)
		return error;
	*stage = "create the guest's processors (try a smaller --vm-cpus)";
	error = create_vcpus(vm);
	if (error)
		return error;
	*stage = "load the guest's kernel";
	error = kernel_inflate_finish(&vm->inflation);
	if (error)
		return error;
	*stage = "start the guest's processors (try a smaller --vm-cpus)";
	return start_vcpus(vm);
}

static int start(struct machine *machine, char *why, size_t why_size)
{
	struct vm *vm = &the_vm;
	const char *stage;

	vm->machine = machine;
	machine->state = vm;

	int error = assemble(vm, &stage);

	if (error)
		snprintf(why, why_size, "cannot %s: %s", stage,
			 error == -EFBIG ? "it does not fit; give the machine more memory (--vm-mem)"
			 : error == -EILSEQ ? "the file is damaged; get it again"
					    : strerror(-error));
	return error;
}

const struct accelerator accelerator_kvm = {
	.name = "kvm",
	.boot_attempts = 1,
	.probe = hv_probe,
	.start = start,
	.stop = stop,
};
