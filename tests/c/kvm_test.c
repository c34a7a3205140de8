// sources: stub/run.c stub/bus.c stub/hv/kvm.c stub/hv/kvm_x86.c
/* The KVM back end and the vCPU loop with tiny guests: a few instructions each. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "hv/hv.h"
#include "run.h"

#define RAM_SIZE	0x10000
#define ENTRY		0x1000
#define START_INFO	0x6000
#define PORT		0x500
#define DEVICE		0xd0000000
#define IRQ		5
#define KICK_SIGNAL	SIGUSR1

/*
 * The guests, in 32-bit protected mode without paging, as hv_vcpu_boot() starts
 * them. Each runs at ENTRY and ends in a triple fault or in an endless loop.
 */
#define GUEST(name, code)							\
	extern const uint8_t guest_##name[], guest_##name##_end[];		\
	__asm__(".pushsection .rodata\n.code32\nguest_" #name ":\n" code	\
		"\nguest_" #name "_end:\n.code64\n.popsection\n")
#define TRIPLE_FAULT	"lidt 0x5000\nud2\n"	/* no gate for the fault */

GUEST(ports,
	"mov %ebx, %eax\n mov $0x500, %dx\n out %eax, %dx\n"
	"in %dx, %ax\n inc %eax\n out %ax, %dx\n"
	"mov $0x2000, %esi\n mov $3, %ecx\n cld\n rep outsb\n"
	TRIPLE_FAULT);
GUEST(memory,
	"mov $0x11223344, %eax\n mov %eax, 0xd0000010\n"
	"movzbl 0xd0000021, %eax\n mov %ax, 0xd0000030\n"
	"mov 0xe0000000, %eax\n mov %eax, 0xd0000040\n"
	TRIPLE_FAULT);
GUEST(notify,
	"movl $1, 0xd0000050\n movl $0, 0xd0000050\n movl $1, 0xd0000050\n"
	TRIPLE_FAULT);
GUEST(endless,
	"mov $0x500, %dx\n out %al, %dx\n 1: jmp 1b\n");
/* Interrupt controller, GDT and IDT set up by hand; the handler says so on the port. */
GUEST(interrupt,
	"lgdt 0x3000\n lidt 0x3008\n mov $0x4000, %esp\n"
	"mov $0x11, %al\n out %al, $0x20\n mov $0x20, %al\n out %al, $0x21\n"
	"mov $4, %al\n out %al, $0x21\n mov $1, %al\n out %al, $0x21\n"
	"mov $0xdf, %al\n out %al, $0x21\n"
	"mov $0x500, %dx\n mov $1, %al\n sti\n out %al, %dx\n 1: jmp 1b\n"
	".org guest_interrupt + 0x100\n"
	"mov $0x500, %dx\n mov $2, %al\n out %al, %dx\n"
	TRIPLE_FAULT);

struct seen_access {
	uint64_t	offset;
	unsigned	size;
	bool		is_write;
	uint64_t	value;
};

static struct hv hv;
static struct hv_vcpu vcpu;
static uint8_t *ram;
static struct bus ports, memory;
static atomic_bool stopping;
static struct seen_access seen[16];
static unsigned seen_count;
static int irq_fd;	/* -1: none */
static sem_t said_something;

/* Takes notes of all accesses; reads get 0x4142, whose low byte is 0x42. */
static void answer(void *context, uint64_t offset, void *data, unsigned size, bool is_write)
{
	struct seen_access access = { .offset = offset, .size = size, .is_write = is_write };
	uint64_t value = 0x4142, one = 1;

	(void)context;
	if (is_write)
		memcpy(&access.value, data, size);
	else
		memcpy(data, &value, size);
	if (seen_count < sizeof(seen) / sizeof(seen[0]))
		seen[seen_count++] = access;
	if (irq_fd >= 0)
		CHECK_INT(write(irq_fd, &one, sizeof(one)), sizeof(one));
	sem_post(&said_something);
}

static void expect_access(unsigned index, uint64_t offset, unsigned size, bool is_write,
			  uint64_t value)
{
	REQUIRE(index < seen_count);
	CHECK_INT(seen[index].offset, offset);
	CHECK_INT(seen[index].size, size);
	CHECK_INT(seen[index].is_write, is_write);
	CHECK_INT(seen[index].value, value);
}

static void open_machine(void)
{
	CHECK_INT(hv_open(&hv), 0);
	ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK_INT(hv_map(&hv, 0, 0, RAM_SIZE, ram), 0);
	CHECK_INT(hv_vcpu_create(&hv, &vcpu, 0, 1), 0);
	ports = memory = (struct bus){ 0 };
	bus_add(&ports, &(struct bus_range){ .start = PORT, .size = 4, .access = answer });
	bus_add(&memory, &(struct bus_range){ .start = DEVICE, .size = 4096, .access = answer });
	atomic_store(&stopping, false);
	seen_count = 0;
	irq_fd = -1;
	sem_init(&said_something, 0, 0);
}

static void close_machine(void)
{
	munmap(vcpu.run, hv.run_size);
	close(vcpu.fd);
	close(hv.vm_fd);
	close(hv.system_fd);
	munmap(ram, RAM_SIZE);
}

static void load(const uint8_t *code, const uint8_t *end)
{
	memcpy(ram + ENTRY, code, (size_t)(end - code));
	CHECK_INT(hv_vcpu_boot(&vcpu, ENTRY, START_INFO), 0);
}

#define LOAD(name) load(guest_##name, guest_##name##_end)

static const char *run(void)
{
	return run_vcpu(&vcpu, &ports, &memory, &stopping);
}

static void test_ports(void)
{
	open_machine();
	memcpy(ram + 0x2000, "abc", 3);
	LOAD(ports);
	CHECK_STR(run(), "the guest's kernel stopped");
	CHECK_INT(seen_count, 6);
	expect_access(0, 0, 4, true, START_INFO);
	expect_access(1, 0, 2, false, 0);
	expect_access(2, 0, 2, true, 0x4143);
	for (unsigned i = 0; i < 3; i++)
		expect_access(3 + i, 0, 1, true, 'a' + i);
	close_machine();
}

static void test_memory(void)
{
	open_machine();
	LOAD(memory);
	CHECK_STR(run(), "the guest's kernel stopped");
	CHECK_INT(seen_count, 4);
	expect_access(0, 0x10, 4, true, 0x11223344);
	expect_access(1, 0x21, 1, false, 0);
	expect_access(2, 0x30, 2, true, 0x42);
	expect_access(3, 0x40, 4, true, 0xffffffff);	/* nobody answered at 0xe0000000 */
	close_machine();
}

/* The value that was asked for is taken by the descriptor, others come out. */
static void test_notify_fd(void)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	uint64_t count = 0;

	open_machine();
	CHECK_INT(hv_notify_fd(&hv, fd, DEVICE + 0x50, 1), 0);
	CHECK(hv_notify_fd(&hv, -1, DEVICE + 0x50, 2) < 0);
	LOAD(notify);
	CHECK_STR(run(), "the guest's kernel stopped");
	CHECK_INT(seen_count, 1);
	expect_access(0, 0x50, 4, true, 0);
	CHECK_INT(read(fd, &count, sizeof(count)), sizeof(count));
	CHECK_INT(count, 2);
	close_machine();
	close(fd);
}

static void test_irq_fd(void)
{
	static const uint64_t gdt[] = { 0, 0x00cf9b000000ffff, 0x00cf93000000ffff };
	struct { uint16_t limit; uint32_t base; } __attribute__((packed)) table;
	const uint16_t gate[] = { ENTRY + 0x100, 0x8, 0x8e00, 0 };

	open_machine();
	irq_fd = eventfd(0, 0);
	CHECK_INT(hv_irq_fd(&hv, irq_fd, IRQ), 0);
	CHECK(hv_irq_fd(&hv, -1, IRQ + 1) < 0);
	table.limit = sizeof(gdt) - 1;
	table.base = 0x3010;
	memcpy(ram + 0x3000, &table, sizeof(table));
	memcpy(ram + table.base, gdt, sizeof(gdt));
	table.limit = 0x7ff;
	table.base = 0x3800;
	memcpy(ram + 0x3008, &table, sizeof(table));
	memcpy(ram + table.base + (0x20 + IRQ) * sizeof(gate), gate, sizeof(gate));
	LOAD(interrupt);
	CHECK_STR(run(), "the guest's kernel stopped");
	expect_access(0, 0, 1, true, 1);
	expect_access(1, 0, 1, true, 2);
	close_machine();
	close(irq_fd);
}

static void test_kick_before_running(void)
{
	struct hv_exit exit;

	open_machine();
	LOAD(endless);
	hv_vcpu_kick(&vcpu);
	CHECK_INT(hv_vcpu_run(&vcpu, &exit), 0);
	CHECK_INT(exit.kind, HV_EXIT_INTERRUPTED);
	CHECK_INT(hv_vcpu_run(&vcpu, &exit), 0);	/* it counts once */
	CHECK_INT(exit.kind, HV_EXIT_PORT);
	CHECK_INT(exit.address, PORT);
	CHECK_INT(exit.size * exit.count, 1);
	atomic_store(&stopping, true);
	CHECK_STR(run(), NULL);
	close_machine();
}

static void on_kick(int signal)
{
	(void)signal;
}

static void *run_thread(void *reason)
{
	*(const char **)reason = run();
	return NULL;
}

static void test_kick_while_running(void)
{
	const char *reason = "never set";
	pthread_t thread;

	open_machine();
	LOAD(endless);
	sigaction(KICK_SIGNAL, &(struct sigaction){ .sa_handler = on_kick }, NULL);
	REQUIRE(pthread_create(&thread, NULL, run_thread, &reason) == 0);
	sem_wait(&said_something);
	atomic_store(&stopping, true);
	hv_vcpu_kick(&vcpu);
	pthread_kill(thread, KICK_SIGNAL);
	pthread_join(thread, NULL);
	CHECK_STR(reason, NULL);
	close_machine();
}

static const struct kvm_cpuid_entry2 *find_leaf(const struct kvm_cpuid2 *cpuid, uint32_t function,
						uint32_t index)
{
	for (uint32_t i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == function && cpuid->entries[i].index == index)
			return &cpuid->entries[i];
	return NULL;
}

/* vCPU 5 of 6: one socket, six cores in a space of eight. */
static void check_topology(const struct kvm_cpuid2 *cpuid)
{
	const struct kvm_cpuid_entry2 *one = find_leaf(cpuid, 1, 0);
	const struct kvm_cpuid_entry2 *threads = find_leaf(cpuid, 0xb, 0);
	const struct kvm_cpuid_entry2 *cores = find_leaf(cpuid, 0xb, 1);

	REQUIRE(one && threads && cores);
	CHECK_INT(one->ebx >> 24, 5);
	CHECK_INT(one->ebx >> 16 & 0xff, 8);
	CHECK(one->edx & 1u << 28);	/* several processors a package */
	CHECK_INT(threads->eax, 0);
	CHECK_INT(threads->ebx, 1);
	CHECK_INT(threads->ecx >> 8, 1);
	CHECK_INT(cores->eax, 3);
	CHECK_INT(cores->ebx, 6);
	CHECK_INT(cores->ecx >> 8, 2);
	CHECK_INT(threads->edx, 5);
	CHECK_INT(cores->edx, 5);
	CHECK(!find_leaf(cpuid, 0x1f, 0));
}

static void check_features(const struct kvm_cpuid2 *cpuid)
{
	const struct kvm_cpuid_entry2 *one = find_leaf(cpuid, 1, 0);
	const struct kvm_cpuid_entry2 *extended = find_leaf(cpuid, 0x80000001, 0);
	const struct kvm_cpuid_entry2 *hypervisor = find_leaf(cpuid, 0x40000000, 0);
	const struct kvm_cpuid_entry2 *timing = find_leaf(cpuid, 0x40000010, 0);

	REQUIRE(one && extended && hypervisor);
	CHECK(one->ecx & 1u << 31);	/* a hypervisor is there */
	CHECK(!(one->ecx & 1u << 5));	/* but none can run inside: vmx, svm */
	CHECK(!(extended->ecx & 1u << 2));
	CHECK_MEM(&hypervisor->ebx, "KVMKVMKVM\0\0\0", 12);
	if (timing) {
		CHECK_INT(hypervisor->eax, 0x40000010);
		CHECK(timing->eax > 0);
		CHECK_INT(timing->ebx, 1000000);
	}
}

static void test_cpuid(void)
{
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + 256 * sizeof(cpuid->entries[0]));

	CHECK_INT(hv_open(&hv), 0);
	CHECK_INT(hv_vcpu_create(&hv, &vcpu, 5, 6), 0);
	cpuid->nent = 256;
	CHECK_INT(ioctl(vcpu.fd, KVM_GET_CPUID2, cpuid), 0);
	check_topology(cpuid);
	check_features(cpuid);
	free(cpuid);
	munmap(vcpu.run, hv.run_size);
	close(vcpu.fd);
	close(hv.vm_fd);
	close(hv.system_fd);
}

/* Either usable, or a reason that a person can act on. */
static void test_probe(void)
{
	char why[512] = "";
	int error = hv_probe(why, sizeof(why));

	CHECK(error <= 0);
	CHECK((error == 0) == (why[0] == '\0'));
	if (error)
		CHECK(strstr(why, "/dev/kvm"));
}

static bool kvm_is_there(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void skip_without_kvm(void)
{
	CHECK_SKIP("/dev/kvm cannot be opened: no guest can run");
}

int main(void)
{
	CHECK_RUN(test_probe);
	if (!kvm_is_there()) {
		CHECK_RUN(skip_without_kvm);
		return check_report();
	}
	CHECK_RUN(test_ports);
	CHECK_RUN(test_memory);
	CHECK_RUN(test_notify_fd);
	CHECK_RUN(test_irq_fd);
	CHECK_RUN(test_kick_before_running);
	CHECK_RUN(test_kick_while_running);
	CHECK_RUN(test_cpuid);
	return check_report();
}
