/* hosts, hostname and resolv.conf of the machine, over whatever an image has there. */
#include "check.h"
#include "etc.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/guest_etc_test.XXXXXX";
static struct error error;
static char text[1024];

/* Two directories, the image's and the layer's, without an /etc. */
static void begin(void)
{
	if (system("rm -rf image layer && mkdir image layer"))
		abort();
}

static const char *contents(const char *name)
{
	char path[64];
	int fd;
	ssize_t size;

	snprintf(path, sizeof(path), "layer/etc/%s", name);
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	close(fd);
	if (size < 0)
		return NULL;
	text[size] = '\0';
	return text;
}

static void test_not_covered(void)
{
	CHECK_INT(etc_fill("layer/etc", "box", &error), 0);
	CHECK_STR(contents("hosts"), NULL);

	begin();
	CHECK_INT(symlink("usr/etc", "image/etc"), 0);
	CHECK_INT(etc_cover("image/etc", "layer/etc", &error), 0);
	CHECK_INT(etc_fill("layer/etc", "box", &error), 0);
	CHECK_STR(contents("hosts"), NULL);

	begin();
	close(open("image/etc", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	CHECK_INT(etc_cover("image/etc", "layer/etc", &error), 0);
	CHECK_INT(access("layer/etc", F_OK), -1);
}

static void test_files(void)
{
	struct stat status = { 0 };

	umask(022);
	begin();
	CHECK_INT(mkdir("image/etc", 0711), 0);
	CHECK_INT(etc_cover("image/etc", "layer/etc", &error), 0);
	stat("layer/etc", &status);
	CHECK_INT(status.st_mode & 07777, 0711);
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = { "hosts", "hostname", "resolv.conf" };
		char path[64];

		CHECK_STR(contents(names[i]), "");
		snprintf(path, sizeof(path), "layer/etc/%s", names[i]);
		stat(path, &status);
		CHECK_INT(status.st_mode, S_IFREG | 0644);
	}
	CHECK_INT(etc_fill("layer/etc", "box", &error), 0);
	CHECK_STR(contents("hostname"), "box\n");
	CHECK_STR(contents("hosts"), "127.0.0.1\tlocalhost\n"
		  "::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\tbox\n");
	CHECK(strstr(contents("resolv.conf"), "\noptions timeout:0 attempts:1\n"));
	CHECK(!strstr(contents("resolv.conf"), "nameserver"));
}

static void test_domain(void)
{
	char name[65];

	begin();
	CHECK_INT(etc_cover("image/etc", "layer/etc", &error), 0);
	CHECK_INT(etc_fill("layer/etc", "box.example.org", &error), 0);
	CHECK_STR(contents("hostname"), "box.example.org\n");
	CHECK(strstr(contents("hosts"), "\n127.0.1.1\tbox.example.org box\n"));

	memset(name, 'x', 64);
	name[32] = '.';
	name[64] = '\0';
	begin();
	CHECK_INT(etc_cover("image/etc", "layer/etc", &error), 0);
	CHECK_INT(etc_fill("layer/etc", name, &error), 0);
	CHECK(contents("hostname") && strlen(text) == 65);
	CHECK(strstr(contents("hosts"), name));
	CHECK_INT(text[strlen(text) - 1], '\n');
}

static void test_no_name(void)
{
	begin();
	CHECK_INT(etc_cover("image/etc", "layer/etc", &error), 0);
	CHECK_INT(etc_fill("layer/etc", NULL, &error), 0);
	CHECK_STR(contents("hostname"), "");
	CHECK(strstr(contents("hosts"), "localhost"));
	CHECK(strstr(contents("resolv.conf"), "options"));
}

static void test_failures(void)
{
	begin();
	CHECK_INT(mkdir("layer/etc", 0755), 0);
	CHECK_INT(etc_cover("image/etc", "layer/etc", &error), -1);
	CHECK(strstr(error.text, "cannot make /etc: File exists"));

	begin();
	CHECK_INT(etc_cover("image/etc", "layer/etc", &error), 0);
	CHECK_INT(etc_fill("nowhere", "box", &error), -1);
	CHECK(strstr(error.text, "cannot write nowhere/hostname: No such file"));
}

int main(void)
{
	if (!mkdtemp(root) || chdir(root) < 0)
		return 1;
	CHECK_RUN(test_not_covered);
	CHECK_RUN(test_files);
	CHECK_RUN(test_domain);
	CHECK_RUN(test_no_name);
	CHECK_RUN(test_failures);
	if (chdir("/") < 0 || system("rm -rf /tmp/guest_etc_test.*"))
		fprintf(stderr, "cannot remove %s\n", root);
	return check_report();
}
