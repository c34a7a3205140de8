/* Records of a RUN frame: what is understood and what is refused. */
#include "check.h"
#include "records.h"

#include <stdlib.h>

/* A string literal's bytes without its last NUL, in memory that ends where they end. */
static int decode(const char *bytes, size_t size, char **records, struct program *program,
		  struct error *error)
{
	*records = malloc(size ? size : 1);
	memcpy(*records, bytes, size);
	return records_decode(*records, size, program, error);
}

#define DECODE(literal) decode(literal, sizeof(literal) - 1, &records, &program, &error)

static void test_everything(void)
{
	struct program program;
	struct error error;
	char *records;

	REQUIRE(!DECODE("arg=sh\0env=A=1\0arg=-c\0workdir=/srv\0user=bob:staff\0env=B=\0"
			"hostname=box\0arg=\0volume=/b\0volume=/a\0"));
	CHECK_STR(program.arguments[0], "sh");
	CHECK_STR(program.arguments[1], "-c");
	CHECK_STR(program.arguments[2], "");
	CHECK_STR(program.arguments[3], NULL);
	CHECK_STR(program.environment[0], "A=1");
	CHECK_STR(program.environment[1], "B=");
	CHECK_STR(program.environment[2], NULL);
	CHECK_STR(program.workdir, "/srv");
	CHECK_STR(program.user, "bob:staff");
	CHECK_STR(program.hostname, "box");
	CHECK_STR(program.volumes[0], "/b");
	CHECK_STR(program.volumes[1], "/a");
	CHECK_STR(program.volumes[2], NULL);
	program_free(&program);
	free(records);
}

static void test_later_variables_win(void)
{
	char path[] = "PATH=/bin", home[] = "HOME=/", full[] = "FULL=1";
	struct program program;
	struct error error;
	char *records;

	REQUIRE(!DECODE("env=AB=1\0env=A=2\0env=AB=3=4\0arg=x\0"));
	CHECK_STR(program_environment(&program, "AB"), "3=4");
	CHECK_STR(program_environment(&program, "A"), "2");
	CHECK_STR(program_environment(&program, "B"), NULL);
	CHECK_INT(program.environment_size, 2);
	program_set_environment(&program, path);
	program_set_environment(&program, home);
	CHECK_STR(program_environment(&program, "HOME"), "/");
	/* three records, two entries kept for defaults: five is the end */
	program_set_environment(&program, full);
	program_set_environment(&program, full);
	CHECK_INT(program.environment_size, 5);
	CHECK_STR(program.environment[5], NULL);
	program_free(&program);
	free(records);
}

static void refuse(const char *bytes, size_t size, const char *why)
{
	struct program program;
	struct error error = { 0 };
	char *records;

	CHECK_INT(decode(bytes, size, &records, &program, &error), -1);
	CHECK_INT(error.status, ERROR_MACHINE);
	if (!CHECK(strstr(error.text, why)))
		fprintf(stderr, "\tgot \"%s\", want \"%s\"\n", error.text, why);
	program_free(&program);
	free(records);
}

static void test_hostile(void)
{
#define REFUSE(literal, why) refuse(literal, sizeof(literal) - 1, why)
	REFUSE("", "no NUL");
	REFUSE("arg=sh", "no NUL");
	REFUSE("\0", "no program");
	REFUSE("env=A=1\0", "no program");
	REFUSE("arg=x\0\0", "no '='");
	REFUSE("arg=x\0arg\0", "no '='");
	REFUSE("arg=x\0argument=y\0", "unknown");
	REFUSE("arg=x\0=y\0", "unknown");
	REFUSE("arg=x\0volumes=/a\0", "unknown");
	REFUSE("arg=x\0env=NAME\0", "NAME=value");
	REFUSE("arg=x\0env==value\0", "NAME=value");
#undef REFUSE
}

static void test_errors_are_one_line(void)
{
	struct error error;

	CHECK_INT(error_set(&error, 127, "no \"%s\"", "a\nb\033[2J\x7f"), -1);
	CHECK_STR(error.text, "no \"a?b?[2J?\"");
}

int main(void)
{
	CHECK_RUN(test_everything);
	CHECK_RUN(test_later_variables_win);
	CHECK_RUN(test_hostile);
	CHECK_RUN(test_errors_are_one_line);
	return check_report();
}
