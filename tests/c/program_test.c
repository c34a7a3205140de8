// sources: stub/program.c stub/artifact.c stub/hashtree.c libsodium.c
/* What is run: the file's defaults under the command line's words. */
#include <errno.h>
#include <stdlib.h>

#include "check.h"
#include "program.h"

static struct records records;
static struct options given;	/* on the command line, besides words and variables */

/*
 * Describes with these defaults, words and variables, all ended by NULL, and
 * joins the records with spaces. Return: the text, or NULL after a failure.
 */
static const char *describe(const char *const *defaults, char **words,
			    const char *const *variables, const char *terminal_type, int *error)
{
	static char config[1024], text[1024];
	struct artifact artifact = { .config = config };
	struct options options = given;
	uint64_t *size = &artifact.sections[FORMAT_SECTION_CONFIG].size;

	options.arguments = words;
	options.environment = (const char **)variables;
	for (; *defaults; defaults++) {
		strcpy(config + *size, *defaults);
		*size += strlen(*defaults) + 1;
	}
	while (variables[options.environment_count])
		options.environment_count++;
	free(records.bytes);
	*error = program_describe(&records, &artifact, &options, terminal_type);
	if (*error)
		return NULL;
	memcpy(text, records.bytes, records.size);
	CHECK_INT(text[records.size - 1], '\0');
	for (size_t i = 0; i + 1 < records.size; i++)
		if (!text[i])
			text[i] = ' ';
	return text;
}

#define LIST(...)	((const char *const[]){ __VA_ARGS__ __VA_OPT__(,) NULL })
#define WORDS(...)	((char *[]){ __VA_ARGS__ __VA_OPT__(,) NULL })

static void expect(const char *const *defaults, char **words, const char *const *variables,
		   const char *terminal_type, const char *expected)
{
	int error;
	const char *text = describe(defaults, words, variables, terminal_type, &error);

	CHECK_INT(error, 0);
	CHECK_STR(text, expected);
}

static void test_command(void)
{
	expect(LIST("cmd=sh", "cmd=-l"), WORDS(), LIST(), NULL, "arg=sh arg=-l");
	expect(LIST("cmd=sh", "cmd=-l"), WORDS("ls", "-a"), LIST(), NULL, "arg=ls arg=-a");
}

static void test_entrypoint(void)
{
	expect(LIST("entrypoint=git"), WORDS(), LIST(), NULL, "arg=git");
	expect(LIST("cmd=--help", "entrypoint=git", "entrypoint=-c"), WORDS(), LIST(), NULL,
	       "arg=git arg=-c arg=--help");
	expect(LIST("cmd=--help", "entrypoint=git"), WORDS("log", ""), LIST(), NULL,
	       "arg=git arg=log arg=");
}

static void test_nothing_to_run(void)
{
	int error;

	CHECK(!describe(LIST("env=A=1"), WORDS(), LIST(), NULL, &error));
	CHECK_INT(error, -ENOENT);
	expect(LIST("env=A=1"), WORDS("ls"), LIST(), NULL, "arg=ls env=A=1");
}

static void test_environment(void)
{
	expect(LIST("cmd=x", "env=A=1", "env=AB=2"), WORDS(), LIST(), NULL,
	       "arg=x env=A=1 env=AB=2");
	expect(LIST("cmd=x", "env=A=1", "env=AB=2"), WORDS(), LIST("A=9", "C=3"), NULL,
	       "arg=x env=AB=2 env=A=9 env=C=3");
	expect(LIST("cmd=x", "env=AB=1"), WORDS(), LIST("AC=2"), NULL, "arg=x env=AB=1 env=AC=2");
	expect(LIST("cmd=x"), WORDS(), LIST("A=1", "B=2", "A=3"), NULL, "arg=x env=B=2 env=A=3");
	expect(LIST("cmd=x", "env=A=1"), WORDS(), LIST("A="), NULL, "arg=x env=A=");
}

static void test_terminal_type(void)
{
	expect(LIST("cmd=x", "env=A=1"), WORDS(), LIST(), "xterm", "arg=x env=A=1 env=TERM=xterm");
	expect(LIST("cmd=x", "env=TERM=dumb"), WORDS(), LIST(), "xterm", "arg=x env=TERM=dumb");
	expect(LIST("cmd=x"), WORDS(), LIST("TERM=vt100"), "xterm", "arg=x env=TERM=vt100");
	expect(LIST("cmd=x", "env=TERM=dumb"), WORDS(), LIST("TERM=vt100"), "xterm",
	       "arg=x env=TERM=vt100");
	expect(LIST("cmd=x"), WORDS(), LIST(), NULL, "arg=x");
}

static void test_long_terminal_type(void)
{
	char type[4096];
	int error;

	memset(type, 'x', sizeof(type) - 1);
	type[sizeof(type) - 1] = '\0';
	CHECK(describe(LIST("cmd=x"), WORDS(), LIST(), type, &error));
	CHECK(records.size < 200);
}

static void test_passed_on(void)
{
	expect(LIST("hostname=box", "cmd=x", "user=1:2", "workdir=/w", "mem=1G", "cpus=2"),
	       WORDS(), LIST(), NULL, "arg=x workdir=/w user=1:2 hostname=box");
	expect(LIST("volume=/b", "cmd=x", "volume=/a", "exposed-port=80/tcp", "healthcheck={}",
		    "image=i", "image-digest=d", "stop-signal=3", "shell=sh", "volumes=/c"),
	       WORDS(), LIST(), NULL, "arg=x volume=/b volume=/a");
}

static void test_overridden(void)
{
	const char *const *packed = LIST("user=1:2", "cmd=y", "workdir=/w", "entrypoint=x",
					 "hostname=box");

	given = (struct options){ .user = "bob", .workdir = "/v" };
	expect(packed, WORDS(), LIST(), NULL, "arg=x arg=y workdir=/v user=bob hostname=box");
	expect(LIST("cmd=x"), WORDS(), LIST(), NULL, "arg=x workdir=/v user=bob");
	/* CMD was meant for the packed ENTRYPOINT */
	given = (struct options){ .entrypoint = "z" };
	expect(packed, WORDS(), LIST(), NULL, "arg=z workdir=/w user=1:2 hostname=box");
	expect(packed, WORDS("a"), LIST(), NULL, "arg=z arg=a workdir=/w user=1:2 hostname=box");
	given = (struct options){ .entrypoint = "" };
	expect(packed, WORDS("a"), LIST(), NULL, "arg=a workdir=/w user=1:2 hostname=box");

	int error;

	CHECK(!describe(packed, WORDS(), LIST(), NULL, &error));
	CHECK_INT(error, -ENOENT);
	given = (struct options){ 0 };
}

int main(void)
{
	CHECK_RUN(test_command);
	CHECK_RUN(test_entrypoint);
	CHECK_RUN(test_nothing_to_run);
	CHECK_RUN(test_environment);
	CHECK_RUN(test_terminal_type);
	CHECK_RUN(test_long_terminal_type);
	CHECK_RUN(test_passed_on);
	CHECK_RUN(test_overridden);
	free(records.bytes);
	return check_report();
}
