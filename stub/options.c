/* The --vm-… options of a packed file. */
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "signal_name.h"

#define PREFIX "--vm-"

const char options_help[] =
	"Usage: %s [--vm-OPTION...] [--] [ARGUMENT...]\n"
	"\n"
	"This file is a virtual machine with one program in it. ARGUMENTs go to the\n"
	"program; the first word that is not a --vm- option ends the options.\n"
	"\n"
	"  --vm-help            show this text\n"
	"  --vm-info            show what is packed in this file and who signed it\n"
	"  --vm-verify          read all of this file and say whether it is intact\n"
	"  --vm-mem SIZE        memory of the machine: 512M, 2G (at least 32M)\n"
	"  --vm-cpus N          virtual processors, 1 to 32\n"
	"  --vm-env NAME=VALUE  set a variable of the program's environment (repeatable)\n"
	"  --vm-entrypoint PROG run PROG with the ARGUMENTs instead of what is packed;\n"
	"                       empty: the first ARGUMENT is the program\n"
	"  --vm-user USER[:GRP] run the program as this user, by name or number\n"
	"  --vm-workdir DIR     start the program in this directory; made when missing\n"
	"  --vm-stop-signal SIG what the program gets for a SIGTERM: QUIT, SIGRTMIN+3, 3\n"
	"  --vm-timeout TIME    end the machine after 30s, 5m, 1h; exit status 124\n"
	"  --vm-accel NAME      kvm, qemu, or auto: kvm where it works, else qemu\n"
	"  --vm-console         show the kernel's messages on stderr\n"
	"  --vm-debug           show what the launcher does on stderr\n"
	"\n"
	"Signatures, kernel and run defaults are checked before anything of this file runs,\n"
	"the root file system as it is read. Who may have signed is told by\n"
	"/etc/smolpack/policy.toml and by the environment: SMOLPACK_REQUIRE_SIGNATURE=1,\n"
	"SMOLPACK_SIGNERS=\"SHA256:...\". A file cannot vouch for itself: whether to trust it,\n"
	"ask `smolpack verify`.\n"
	"\n"
	"The exit status is the program's own; 128+N when signal N killed it; 127 when it\n"
	"was not found, 126 when it could not be executed; 125 when the machine failed.\n";

/* A number and what follows it. Digits only: strtoull alone takes signs and spaces. */
static int parse_number(const char *text, uint64_t *value, const char **rest)
{
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*value = strtoull(text, &end, 10);
	*rest = end;
	return errno ? -EINVAL : 0;
}

int options_parse_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "KMGT";
	const char *rest;
	unsigned shift = 0;

	if (parse_number(text, bytes, &rest) < 0)
		return -EINVAL;
	if (*rest) {
		const char *unit = strchr(units, *rest >= 'a' ? *rest - 'a' + 'A' : *rest);

		if (!unit)
			return -EINVAL;
		shift = 10 * (unsigned)(unit - units + 1);
		rest++;
		if (strcmp(rest, "") && strcmp(rest, "B") && strcmp(rest, "iB"))
			return -EINVAL;
	}
	if (*bytes > UINT64_MAX >> shift)
		return -EINVAL;
	*bytes <<= shift;
	return 0;
}

int options_parse_count(const char *text, unsigned max, unsigned *count)
{
	const char *rest;
	uint64_t value;

	if (parse_number(text, &value, &rest) < 0 || *rest || value == 0 || value > max)
		return -EINVAL;
	*count = (unsigned)value;
	return 0;
}

static int parse_duration(const char *text, uint64_t *ms)
{
	static const struct { const char *unit; uint64_t ms; } units[] = {
		{ "", 1000 }, { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 },
	};
	const char *rest;

	if (parse_number(text, ms, &rest) < 0 || *ms == 0 || *ms > UINT32_MAX)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(rest, units[i].unit) == 0) {
			*ms *= units[i].ms;
			return 0;
		}
	}
	return -EINVAL;
}

static int take_memory(struct options *options, const char *value)
{
	int error = options_parse_size(value, &options->memory_size);

	return error || options->memory_size < MACHINE_MIN_MEMORY ? -EINVAL : 0;
}

static int take_cpus(struct options *options, const char *value)
{
	return options_parse_count(value, MACHINE_MAX_CPUS, &options->cpus);
}

static int take_timeout(struct options *options, const char *value)
{
	return parse_duration(value, &options->timeout_ms);
}

static int take_stop_signal(struct options *options, const char *value)
{
	unsigned *number = &options->stop_signal;

	return options_parse_count(value, SIGNAL_MAX, number) < 0 ? signal_by_name(value, number) : 0;
}

static int take_entrypoint(struct options *options, const char *value)
{
	options->entrypoint = value;
	return 0;
}

static int take_user(struct options *options, const char *value)
{
	options->user = value;
	return *value ? 0 : -EINVAL;
}

static int take_workdir(struct options *options, const char *value)
{
	options->workdir = value;
	return *value == '/' ? 0 : -EINVAL;
}

static int take_accelerator(struct options *options, const char *value)
{
	options->accelerator = strcmp(value, "auto") ? value : NULL;
	return !options->accelerator || !strcmp(value, accelerator_kvm.name) ||
			       !strcmp(value, accelerator_qemu.name)
		       ? 0 : -EINVAL;
}

static int take_environment(struct options *options, const char *value)
{
	if (!strchr(value, '=') || value[0] == '=')
		return -EINVAL;
	options->environment[options->environment_count++] = value;
	return 0;
}

static const struct {
	const char	*name;
	size_t		flag;		/* offset of a bool that it sets, or */
	int		(*take)(struct options *options, const char *value);
	const char	*expects;
} known[] = {
	{ .name = "help", .flag = offsetof(struct options, help) },
	{ .name = "info", .flag = offsetof(struct options, info) },
	{ .name = "verify", .flag = offsetof(struct options, verify) },
	{ .name = "console", .flag = offsetof(struct options, console) },
	{ .name = "debug", .flag = offsetof(struct options, debug) },
	{ .name = "mem", .take = take_memory, .expects = "a size of at least 32M, like 512M or 2G" },
	{ .name = "cpus", .take = take_cpus, .expects = "a number from 1 to 32" },
	{ .name = "entrypoint", .take = take_entrypoint, .expects = "a program" },
	{ .name = "user", .take = take_user, .expects = "USER or USER:GROUP" },
	{ .name = "workdir", .take = take_workdir, .expects = "an absolute path in the machine" },
	{ .name = "stop-signal", .take = take_stop_signal,
	  .expects = "a signal like TERM, SIGQUIT, RTMIN+3 or 15" },
	{ .name = "timeout", .take = take_timeout, .expects = "a time like 30s, 5m or 1h" },
	{ .name = "accel", .take = take_accelerator, .expects = "kvm, qemu or auto" },
	{ .name = "env", .take = take_environment, .expects = "NAME=VALUE" },
};

#define COMPLAIN(...) (snprintf(why, why_size, __VA_ARGS__), -EINVAL)

/* Return: how many words it took, or -EINVAL. */
static int parse_one(struct options *options, char **argv, char *why, size_t why_size)
{
	const char *name = argv[0] + strlen(PREFIX);
	size_t length = strcspn(name, "=");
	const char *value = name[length] ? name + length + 1 : NULL;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strlen(known[i].name) != length || strncmp(known[i].name, name, length))
			continue;
		if (!known[i].take) {
			if (value)
				return COMPLAIN(PREFIX "%s takes no value", known[i].name);
			*(bool *)((char *)options + known[i].flag) = true;
			return 1;
		}
		int words = value ? 1 : 2;

		value = value ? value : argv[1];
		if (!value)
			return COMPLAIN(PREFIX "%s needs %s", known[i].name, known[i].expects);
		if (known[i].take(options, value) < 0)
			return COMPLAIN(PREFIX "%s needs %s, not '%s'", known[i].name,
					known[i].expects, value);
		return words;
	}
	return COMPLAIN("unknown option '%s'; --vm-help lists them, and -- before it hands it to the program",
			argv[0]);
}

int options_parse(struct options *options, char **argv, char *why, size_t why_size)
{
	size_t words = 0;

	while (argv[words])
		words++;
	*options = (struct options){ .environment = calloc(words + 1, sizeof(char *)) };
	if (!options->environment)
		return COMPLAIN("out of memory");
	while (*argv && strncmp(*argv, PREFIX, strlen(PREFIX)) == 0) {
		int taken = parse_one(options, argv, why, why_size);

		if (taken < 0)
			return taken;
		argv += taken;
	}
	if (*argv && strcmp(*argv, "--") == 0)
		argv++;
	options->arguments = argv;
	return 0;
}
