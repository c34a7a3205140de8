// sources: stub/log.c
/* Messages: one line each, whatever the text from elsewhere would like to be. */
#include <fcntl.h>
#include <unistd.h>

#include "check.h"
#include "log.h"

/* What a message becomes on stderr. */
static const char *said(const char *text)
{
	static char line[2048];
	int ends[2], kept = dup(STDERR_FILENO);
	ssize_t size;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return "no pipe";
	dup2(ends[1], STDERR_FILENO);
	warn("%s", text);
	dup2(kept, STDERR_FILENO);
	close(kept);
	close(ends[1]);
	size = read(ends[0], line, sizeof(line) - 1);
	close(ends[0]);
	line[size > 0 ? size : 0] = '\0';
	return line;
}

static void test_text(void)
{
	log_init("tool.vm");
	CHECK_STR(said("it is so"), "tool.vm: it is so\n");
	CHECK_STR(said(""), "tool.vm: \n");
	CHECK_STR(said("\xc3\xa4 \xe2\x82\xac \xf0\x9d\x84\x9e \xc2\xa0"),
		  "tool.vm: \xc3\xa4 \xe2\x82\xac \xf0\x9d\x84\x9e \xc2\xa0\n");
}

static void test_control_characters(void)
{
	log_init("tool.vm");
	CHECK_STR(said("a\nb\tc\x1b[2J\x7f\r"), "tool.vm: a?b?c?[2J??\n");
	CHECK_STR(said("\xc2\x9b" "2J"), "tool.vm: ?\x9b" "2J\n");	/* U+009B: CSI */
	CHECK_STR(said("cut \xc2"), "tool.vm: cut \xc2\n");
	log_init("\x1b]0;x");
	CHECK_STR(said("text"), "?]0;x: text\n");
}

static void test_long_text(void)
{
	char text[4096];
	const char *line;

	log_init("tool.vm");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	line = said(text);
	CHECK_INT(strlen(line), 1023);
	CHECK_INT(line[1022], '\n');
	log_init(text);
	CHECK_STR(said("text"), "text\n");
}

int main(void)
{
	CHECK_RUN(test_text);
	CHECK_RUN(test_control_characters);
	CHECK_RUN(test_long_text);
	return check_report();
}
