// sources: stub/options.c stub/signal_name.c
/* The command line: every option, every way to get it wrong, the program's words untouched. */
#include <errno.h>
#include <stdlib.h>

#include "check.h"
#include "machine.h"
#include "options.h"

/* Only their names matter here. */
const struct accelerator accelerator_kvm = { .name = "kvm" };
const struct accelerator accelerator_qemu = { .name = "qemu" };

#define MAX_WORDS 16

static struct options options;
static char why[512];

/* Parses words that spaces separate. Return: what options_parse() does. */
static int parse(const char *line)
{
	static char copy[512], *words[MAX_WORDS + 1];
	unsigned count = 0;

	free(options.environment);
	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, " "); word && count < MAX_WORDS; word = strtok(NULL, " "))
		words[count++] = word;
	words[count] = NULL;
	why[0] = '\0';
	return options_parse(&options, words, why, sizeof(why));
}

static void refused(const char *line, const char *reason)
{
	CHECK_INT(parse(line), -EINVAL);
	if (!CHECK(strstr(why, reason)))
		fprintf(stderr, "\t%s: wanted \"%s\" in \"%s\"\n", line, reason, why);
}

static void test_nothing(void)
{
	CHECK_INT(parse(""), 0);
	CHECK(!options.help && !options.info && !options.verify && !options.console && !options.debug);
	CHECK_INT(options.memory_size, 0);
	CHECK_INT(options.cpus, 0);
	CHECK_INT(options.timeout_ms, 0);
	CHECK_INT(options.stop_signal, 0);
	CHECK(!options.accelerator && !options.entrypoint && !options.workdir && !options.user);
	CHECK_INT(options.environment_count, 0);
	CHECK(!options.arguments[0]);
}

static void test_flags(void)
{
	CHECK_INT(parse("--vm-help --vm-info --vm-verify --vm-console --vm-debug"), 0);
	CHECK(options.help && options.info && options.verify && options.console && options.debug);
	CHECK_INT(parse("--vm-console"), 0);
	CHECK(!options.help && !options.info && options.console && !options.debug);
	refused("--vm-help=yes", "takes no value");
}

static void test_both_spellings(void)
{
	CHECK_INT(parse("--vm-mem 1G --vm-cpus 2 --vm-timeout 30s --vm-accel qemu --vm-env A=1"), 0);
	CHECK_INT(options.memory_size, 1ll << 30);
	CHECK_INT(options.cpus, 2);
	CHECK_INT(options.timeout_ms, 30000);
	CHECK_STR(options.accelerator, "qemu");
	CHECK_INT(options.environment_count, 1);
	CHECK_INT(parse("--vm-mem=1G --vm-cpus=2 --vm-timeout=30s --vm-accel=kvm --vm-env=A=1=2"), 0);
	CHECK_INT(options.memory_size, 1ll << 30);
	CHECK_INT(options.cpus, 2);
	CHECK_INT(options.timeout_ms, 30000);
	CHECK_STR(options.accelerator, "kvm");
	CHECK_STR(options.environment[0], "A=1=2");
	CHECK_INT(parse("--vm-entrypoint=ls --vm-user 1:2 --vm-workdir=/w --vm-stop-signal QUIT"), 0);
	CHECK_STR(options.entrypoint, "ls");
	CHECK_STR(options.user, "1:2");
	CHECK_STR(options.workdir, "/w");
	CHECK_INT(options.stop_signal, 3);
	CHECK_INT(parse("--vm-entrypoint="), 0);
	CHECK_STR(options.entrypoint, "");
}

static void test_last_one_counts(void)
{
	CHECK_INT(parse("--vm-mem 1G --vm-mem 64M --vm-accel kvm --vm-accel auto"), 0);
	CHECK_INT(options.memory_size, 64ll << 20);
	CHECK_STR(options.accelerator, NULL);
	CHECK_INT(parse("--vm-env A=1 --vm-env A=2 --vm-env=B="), 0);
	CHECK_INT(options.environment_count, 3);
	CHECK_STR(options.environment[1], "A=2");
	CHECK_STR(options.environment[2], "B=");
}

static void test_sizes(void)
{
	static const struct { const char *text; uint64_t bytes; } good[] = {
		{ "0", 0 }, { "1048576", 1 << 20 }, { "512M", 512ull << 20 }, { "2g", 2ull << 30 },
		{ "4k", 4096 }, { "1T", 1ull << 40 }, { "1MiB", 1 << 20 }, { "1MB", 1 << 20 },
		{ "18446744073709551615", UINT64_MAX }, { "16777215T", 16777215ull << 40 },
	};
	static const char *const bad[] = {
		"", "M", "-1", "+1", " 1", "1 ", "1X", "1KK", "1Mi", "1.5G", "0x10", "1MiBs",
		"16777216T", "18446744073709551616", "99999999999999999999999",
	};
	uint64_t bytes;

	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CHECK_INT(options_parse_size(good[i].text, &bytes), 0);
		CHECK_INT(bytes, good[i].bytes);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_INT(options_parse_size(bad[i], &bytes), -EINVAL);
}

static void test_counts(void)
{
	static const char *const bad[] = { "", "0", "33", "-1", "1x", "4294967297", "1e1" };
	unsigned count;

	CHECK_INT(options_parse_count("1", 32, &count), 0);
	CHECK_INT(count, 1);
	CHECK_INT(options_parse_count("32", 32, &count), 0);
	CHECK_INT(count, 32);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_INT(options_parse_count(bad[i], 32, &count), -EINVAL);
}

static void test_durations(void)
{
	static const struct { const char *line; uint64_t ms; } good[] = {
		{ "--vm-timeout 5", 5000 }, { "--vm-timeout 1ms", 1 }, { "--vm-timeout 5m", 300000 },
		{ "--vm-timeout 1h", 3600000 }, { "--vm-timeout 4294967295h", 4294967295ull * 3600000 },
	};
	static const char *const bad[] = {
		"--vm-timeout 0", "--vm-timeout=", "--vm-timeout -1s", "--vm-timeout 1d",
		"--vm-timeout 1ss", "--vm-timeout 4294967296", "--vm-timeout 1.5s",
	};

	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CHECK_INT(parse(good[i].line), 0);
		CHECK_INT(options.timeout_ms, good[i].ms);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused(bad[i], "--vm-timeout needs a time");
}

static void test_signals(void)
{
	static const struct { const char *text; unsigned number; } good[] = {
		{ "1", 1 }, { "64", 64 }, { "015", 15 }, { "HUP", 1 }, { "SIGHUP", 1 },
		{ "term", 15 }, { "SigKill", 9 }, { "SYS", 31 }, { "SIGPWR", 30 }, { "STKFLT", 16 },
		{ "RTMIN", 34 }, { "SIGRTMIN+3", 37 }, { "rtmin+30", 64 }, { "RTMAX", 64 },
		{ "SIGRTMAX-1", 63 }, { "RTMAX-30", 34 }, { "RTMIN+0", 34 },
	};
	static const char *const bad[] = {
		"0", "65", "-1", "+1", "1x", "4294967297", "SIG", "SIGSIGTERM", "TERMS", "TER", "SIG15",
		"RTMIN+31", "RTMIN-1", "RTMAX+1", "RTMAX-31", "RTMIN+", "RTMIN3", "RTMIN+1x",
		"RTMIN+4294967296", "RT", "RTMI",
	};
	char line[64];

	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(line, sizeof(line), "--vm-stop-signal %s", good[i].text);
		CHECK_INT(parse(line), 0);
		CHECK_INT(options.stop_signal, good[i].number);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(line, sizeof(line), "--vm-stop-signal %s", bad[i]);
		refused(line, "--vm-stop-signal needs a signal");
	}
	refused("--vm-stop-signal=", "needs a signal");
}

static void test_limits(void)
{
	CHECK_INT(parse("--vm-mem 32M"), 0);
	refused("--vm-mem 33554431", "at least 32M");
	refused("--vm-mem 0", "not '0'");
	refused("--vm-mem=", "not ''");
	CHECK_INT(parse("--vm-cpus 32"), 0);
	refused("--vm-cpus 0", "1 to 32");
	refused("--vm-cpus 33", "not '33'");
	refused("--vm-accel hvf", "kvm, qemu or auto");
	refused("--vm-env A", "NAME=VALUE");
	refused("--vm-env =A", "NAME=VALUE");
	refused("--vm-user=", "USER:GROUP");
	refused("--vm-workdir w", "absolute path");
	refused("--vm-workdir=", "absolute path");
}

static void test_missing_values(void)
{
	refused("--vm-mem", "--vm-mem needs");
	refused("--vm-cpus", "--vm-cpus needs");
	refused("--vm-timeout", "--vm-timeout needs");
	refused("--vm-accel", "--vm-accel needs");
	refused("--vm-env", "--vm-env needs");
}

static void test_unknown(void)
{
	refused("--vm-nonsense", "unknown option '--vm-nonsense'");
	refused("--vm-", "unknown option '--vm-'");
	refused("--vm-me 1G", "unknown option");
	refused("--vm-memory=1G", "unknown option");
	refused("--vm-debug --vm-what", "--vm-what");
}

static void test_arguments(void)
{
	CHECK_INT(parse("--vm-debug ls --vm-mem 1G -- x"), 0);
	CHECK(options.debug);
	CHECK_INT(options.memory_size, 0);
	CHECK_STR(options.arguments[0], "ls");
	CHECK_STR(options.arguments[1], "--vm-mem");
	CHECK_STR(options.arguments[3], "--");
	CHECK_STR(options.arguments[4], "x");
	CHECK_STR(options.arguments[5], NULL);
	CHECK_INT(parse("-x --vm-help"), 0);
	CHECK(!options.help);
	CHECK_STR(options.arguments[0], "-x");
}

static void test_separator(void)
{
	CHECK_INT(parse("--vm-debug -- --vm-help -- x"), 0);
	CHECK(!options.help);
	CHECK_STR(options.arguments[0], "--vm-help");
	CHECK_STR(options.arguments[1], "--");
	CHECK_STR(options.arguments[2], "x");
	CHECK_INT(parse("--"), 0);
	CHECK_STR(options.arguments[0], NULL);
}

static void test_help_names_every_option(void)
{
	static const char *const names[] = {
		"--vm-help", "--vm-info", "--vm-verify", "--vm-mem", "--vm-cpus", "--vm-env", "--vm-timeout",
		"--vm-accel", "--vm-console", "--vm-debug", "--vm-entrypoint", "--vm-user",
		"--vm-workdir", "--vm-stop-signal",
	};

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		CHECK(strstr(options_help, names[i]));
}

int main(void)
{
	CHECK_RUN(test_nothing);
	CHECK_RUN(test_flags);
	CHECK_RUN(test_both_spellings);
	CHECK_RUN(test_last_one_counts);
	CHECK_RUN(test_sizes);
	CHECK_RUN(test_counts);
	CHECK_RUN(test_durations);
	CHECK_RUN(test_signals);
	CHECK_RUN(test_limits);
	CHECK_RUN(test_missing_values);
	CHECK_RUN(test_unknown);
	CHECK_RUN(test_arguments);
	CHECK_RUN(test_separator);
	CHECK_RUN(test_help_names_every_option);
	free(options.environment);
	return check_report();
}
