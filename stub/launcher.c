/*
 * The program at the front of a packed file: finds itself, puts the machine
 * together, runs it, and exits as the program inside did.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "artifact.h"
#include "crypto.h"
#include "disk.h"
#include "host/host.h"
#include "host/stdstream.h"
#include "info.h"
#include "log.h"
#include "loop.h"
#include "machine.h"
#include "options.h"
#include "policy.h"
#include "program.h"
#include "session.h"
#include "signal_name.h"
#include "signature.h"
#include "verify.h"
#include "virtio/blk.h"
#include "virtio/rng.h"
#include "virtio/vsock.h"

#define DEFAULT_MEMORY	(512ull << 20)
#define DEFAULT_CPUS	1
#define LAST_WORDS	2048	/* bytes of the guest kernel's console worth showing */

/* All that lives as long as the process: one machine, one session. */
static struct {
	struct artifact		artifact;
	struct signatures	signatures;
	struct policy		policy;
	struct kernel		kernel;
	struct loop		loop;
	struct machine		machine;
	struct session		session;
	struct disk		disk;
	struct virtio_blk	root;
	struct virtio_rng	entropy;
	struct vsock		vsock;
	const struct accelerator *accelerator;
	unsigned		boots;		/* that were tried */
	struct loop_source	boot_again;	/* a timer */
} launcher;

static const struct accelerator *const accelerators[] = { &accelerator_kvm, &accelerator_qemu };

#define ACCELERATORS (sizeof(accelerators) / sizeof(accelerators[0]))

/* The one asked for, or the first that this host can use. */
static const struct accelerator *choose_accelerator(const char *name)
{
	char why[ACCELERATORS][512];

	for (size_t i = 0; i < ACCELERATORS; i++) {
		const struct accelerator *accelerator = accelerators[i];

		if (name && strcmp(name, accelerator->name))
			continue;
		if (accelerator->probe(why[i], sizeof(why[i])) == 0) {
			debug("accelerator: %s", accelerator->name);
			return accelerator;
		}
		if (name)
			die("cannot use %s: %s", name, why[i]);
		debug("cannot use %s: %s", accelerator->name, why[i]);
	}
	die("no way to run a machine here: %s; or %s", why[0], why[1]);
}

/* The table, and whether those who signed it signed this one. */
static void open_artifact(void)
{
	struct artifact *artifact = &launcher.artifact;
	char why[512];
	int fd = host_open_self();

	if (fd < 0)
		die("cannot open the program's own file: %s; is /proc mounted?", strerror(-fd));
	crypto_prepare();
	if (artifact_open(artifact, fd, why, sizeof(why)) < 0 ||
	    signatures_verify(&launcher.signatures, artifact->signatures, artifact->signatures_size,
			      artifact->table, artifact->table_size, why, sizeof(why)) < 0)
		die("this file is not a machine that can run: %s", why);
}

static void apply_policy(void)
{
	struct policy *policy = &launcher.policy;
	char why[512];

	if (policy_read_file(policy, POLICY_PATH, why, sizeof(why)) < 0 ||
	    policy_read_environment(policy, getenv("SMOLPACK_REQUIRE_SIGNATURE"),
				    getenv("SMOLPACK_SIGNERS"), why, sizeof(why)) < 0)
		die("nothing can run: the policy is not understood: %s", why);
	if (policy_check(policy, &launcher.signatures, why, sizeof(why)) < 0)
		die("this file may not run here: %s", why);
}

/* All that the guest begins with; the rest of the kernel is checked while it is inflated. */
static void open_kernel(void)
{
	struct artifact *artifact = &launcher.artifact;
	char why[256];

	if (kernel_open(&launcher.kernel, artifact->kernel,
			&artifact->sections[FORMAT_SECTION_KERNEL].tree, why, sizeof(why)) < 0 ||
	    artifact_check(artifact, FORMAT_SECTION_INITRAMFS, artifact->initramfs, why,
			   sizeof(why)) < 0)
		die("this file is not a machine that can run: %s", why);
}

static void size_machine(struct machine *machine, const struct options *options)
{
	const char *packed_memory = artifact_config(&launcher.artifact, "mem");
	const char *packed_cpus = artifact_config(&launcher.artifact, "cpus");
	uint64_t host_memory = host_memory_size();

	machine->memory_size = DEFAULT_MEMORY;
	machine->cpus = DEFAULT_CPUS;
	if (packed_memory && options_parse_size(packed_memory, &machine->memory_size) < 0)
		die("the packed memory size '%s' makes no sense; give --vm-mem", packed_memory);
	if (packed_cpus && options_parse_count(packed_cpus, MACHINE_MAX_CPUS, &machine->cpus) < 0)
		die("the packed number of processors '%s' makes no sense; give --vm-cpus", packed_cpus);
	if (options->memory_size)
		machine->memory_size = options->memory_size;
	if (options->cpus)
		machine->cpus = options->cpus;
	machine->memory_size &= ~(uint64_t)(FORMAT_PAGE_SIZE - 1);
	if (machine->memory_size < MACHINE_MIN_MEMORY)
		die("the machine needs at least %llu MiB of memory; give --vm-mem",
		    MACHINE_MIN_MEMORY >> 20);
	if (machine->memory_size > host_memory)
		die("the machine asks for %llu MiB of memory but the host has %llu; give a smaller --vm-mem",
		    (unsigned long long)machine->memory_size >> 20,
		    (unsigned long long)host_memory >> 20);
}

/* What the program takes as a request to end. */
static unsigned choose_stop_signal(const struct options *options)
{
	const char *packed = artifact_config(&launcher.artifact, "stop-signal");
	unsigned number = SIGTERM;

	if (options->stop_signal)
		return options->stop_signal;
	if (packed && options_parse_count(packed, SIGNAL_MAX, &number) < 0)
		die("the packed stop signal '%s' makes no sense; give --vm-stop-signal", packed);
	return number;
}

/* Not from within the machine's own event: what it still has in the loop is gone by now. */
static void on_boot_again(struct loop_source *source, unsigned events)
{
	char why[512];

	(void)events;
	loop_timer_arm(source, 0);
	launcher.accelerator->stop(&launcher.machine);
	if (launcher.accelerator->start(&launcher.machine, why, sizeof(why)) < 0)
		session_lost(&launcher.session, why);
}

static void on_machine_stopped(struct machine *machine, const char *reason)
{
	(void)machine;
	if (!session_has_begun(&launcher.session) &&
	    ++launcher.boots < launcher.accelerator->boot_attempts) {
		debug("%s; trying again", reason);
		loop_timer_arm(&launcher.boot_again, 1);
		return;
	}
	session_lost(&launcher.session, reason);
}

/* The tail of the guest kernel's console, whole lines, printable. */
static void say_last_words(struct session *session)
{
	char text[LAST_WORDS];
	size_t size = machine_last_words(&launcher.machine, text, sizeof(text));
	size_t start = 0;

	(void)session;
	if (size == sizeof(text))	/* cut: the first line is not whole */
		while (start < size && text[start++] != '\n')
			;
	while (start < size) {
		char line[256];
		size_t length = 0;

		for (; start < size && text[start] != '\n'; start++)
			if (length < sizeof(line) - 1)
				line[length++] = text[start] < ' ' ? ' ' : text[start];
		start++;
		line[length] = '\0';
		warn("guest: %s", line);
	}
}

static void describe_program(struct records *records, const struct options *options)
{
	const char *terminal_type = launcher.session.terminals ? getenv("TERM") : NULL;
	int error = program_describe(records, &launcher.artifact, options, terminal_type);

	if (error == -ENOENT)
		die("this machine has no default program: name one after the options");
	if (error)
		die("cannot put together what to run: %s", strerror(-error));
}

static void on_damaged(struct disk *disk, uint64_t file_offset, int error)
{
	(void)disk;
	warn("the rootfs section cannot be used at offset %llu of this file (%s): what the program "
	     "wants from there fails; get the file again", (unsigned long long)file_offset,
	     error == -EILSEQ ? "it is not what was packed" : strerror(-error));
}

static void open_root(void)
{
	const struct section *section = &launcher.artifact.sections[FORMAT_SECTION_ROOTFS];
	struct disk *disk = &launcher.disk;

	disk->fd = launcher.artifact.fd;
	disk->offset = section->offset;
	disk->tree = section->tree;
	disk->damaged = on_damaged;
	if (disk_open(disk) < 0)
		die("there is no memory to keep track of a root file system of this size");
	virtio_blk_init(&launcher.root, disk, "root");
}

static void assemble(const struct options *options)
{
	struct machine *machine = &launcher.machine;
	struct records records;
	int error;

	*machine = (struct machine){
		.console = options->console,
		.kernel = &launcher.kernel,
		.initramfs = launcher.artifact.initramfs,
		.initramfs_size = launcher.artifact.sections[FORMAT_SECTION_INITRAMFS].size,
		.loop = &launcher.loop,
		.stopped = on_machine_stopped,
	};
	size_machine(machine, options);
	error = loop_init(&launcher.loop);
	if (!error)
		error = loop_timer_init(&launcher.loop, &launcher.boot_again, on_boot_again, NULL);
	if (!error)
		error = session_prepare(&launcher.session, &launcher.loop);
	if (error)
		die("cannot set up events: %s", strerror(-error));
	launcher.session.timeout_ms = options->timeout_ms;
	launcher.session.stop_signal = choose_stop_signal(options);
	launcher.session.memory_size = machine->memory_size;
	launcher.session.say_last_words = options->console ? NULL : say_last_words;
	describe_program(&records, options);

	open_root();
	virtio_rng_init(&launcher.entropy);
	vsock_init(&launcher.vsock);
	error = machine_add_device(machine, &launcher.root.device);
	if (!error)
		error = machine_add_device(machine, &launcher.vsock.device);
	if (!error)
		error = machine_add_device(machine, &launcher.entropy.device);
	if (!error)
		error = session_open(&launcher.session, &launcher.vsock, records.bytes, records.size);
	if (error == -E2BIG)
		die("the arguments and the environment are too long");
	if (error)
		die("cannot set up the machine's devices: %s", strerror(-error));
	free(records.bytes);
}

static int verify(void)
{
	int error = verify_print(&launcher.artifact, &launcher.signatures);

	if (error == -EILSEQ)
		die("this file is damaged; get it again");
	return error ? LAUNCHER_FAILURE : 0;
}

int main(int argc, char **argv)
{
	struct options options;
	char why[512];

	host_stdio_prepare();
	if (argc > 0) {
		const char *slash = strrchr(argv[0], '/');

		log_init(slash ? slash + 1 : argv[0]);
	}
	if (options_parse(&options, argv + (argc > 0), why, sizeof(why)) < 0)
		die("%s", why);
	if (options.debug)
		log_enable_debug();
	if (options.help) {
		printf(options_help, argc > 0 ? argv[0] : "tool.vm");
		return 0;
	}
	open_artifact();
	if (options.info)
		return info_print(&launcher.artifact, &launcher.signatures) < 0 ? LAUNCHER_FAILURE : 0;
	if (options.verify)
		return verify();
	apply_policy();
	open_kernel();
	assemble(&options);

	launcher.accelerator = choose_accelerator(options.accelerator);
	if (launcher.accelerator->start(&launcher.machine, why, sizeof(why)) < 0)
		die("%s", why);
	artifact_trim(&launcher.artifact);

	int status = session_run(&launcher.session);

	launcher.accelerator->stop(&launcher.machine);
	return status;
}
