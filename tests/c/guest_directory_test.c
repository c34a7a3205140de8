/* Directories that are made when missing, whatever links and files lie on the way. */
#include "check.h"
#include "directory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/guest_directory_test.XXXXXX";
static struct identity owner;	/* us: others take root's rights */
static struct error error;

/* A path below the test's directory; valid until the fourth call after this one. */
static const char *below(const char *format, ...)
{
	static char paths[4][2 * PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 4];
	int length = sprintf(path, "%s", root);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(path + length, sizeof(paths[0]) - (size_t)length, format, arguments);
	va_end(arguments);
	return path;
}

static bool is_directory(const char *path)
{
	struct stat status;

	return !lstat(path, &status) && S_ISDIR(status.st_mode);
}

static unsigned mode_of(const char *path)
{
	struct stat status = { 0 };

	stat(path, &status);
	return status.st_mode & 07777;
}

static void provide(const char *path)
{
	if (!CHECK(!directory_provide(path, "volume", &owner, &error)))
		fprintf(stderr, "\t%s: %s\n", path, error.text);
}

/* The message names `place` as what is in the way. */
static void refuse(const char *path, const char *place, const char *reason)
{
	char wanted[2 * PATH_MAX];

	CHECK_INT(directory_provide(path, "volume", &owner, &error), -1);
	CHECK_INT(error.status, ERROR_MACHINE);
	CHECK(strstr(error.text, "cannot make the volume"));
	snprintf(wanted, sizeof(wanted), "%s\": %s", place, reason);
	if (!CHECK(strstr(error.text, wanted)))
		fprintf(stderr, "\twanted \"%s\" in \"%s\"\n", wanted, error.text);
}

static void test_missing(void)
{
	umask(022);
	provide(below("/a"));
	CHECK(is_directory(below("/a")));
	CHECK_INT(mode_of(below("/a")), 0755);
	provide(below("//a/b///c//"));
	CHECK(is_directory(below("/a/b/c")));
	CHECK_INT(mode_of(below("/a/b")), 0755);
	provide(below("/a/./d/../e"));
	CHECK(is_directory(below("/a/e")));
}

static void test_present(void)
{
	CHECK_INT(mkdir(below("/present"), 0700), 0);
	provide(below("/present"));
	CHECK_INT(mode_of(below("/present")), 0700);
	provide("/");
	provide("");	/* relative paths start there, too */
	provide("tmp");
}

static void test_owner(void)
{
	const struct identity bob = { .uid = 1000, .gid = 1001 };
	struct stat status = { 0 };

	if (geteuid())
		CHECK_SKIP("only root can give directories away");
	CHECK_INT(mkdir(below("/owned"), 0755), 0);
	CHECK_INT(directory_provide(below("/owned"), "volume", &bob, &error), 0);
	stat(below("/owned"), &status);
	CHECK_INT(status.st_uid, 0);
	CHECK_INT(directory_provide(below("/owned/x/y"), "volume", &bob, &error), 0);
	stat(below("/owned/x"), &status);
	CHECK_INT(status.st_uid, 0);
	stat(below("/owned/x/y"), &status);
	CHECK_INT(status.st_uid, 1000);
	CHECK_INT(status.st_gid, 1001);
}

static void test_links(void)
{
	CHECK_INT(mkdir(below("/real"), 0755), 0);
	CHECK_INT(symlink("real", below("/link")), 0);
	provide(below("/link"));
	provide(below("/link/x"));
	CHECK(is_directory(below("/real/x")));

	CHECK_INT(symlink("real/deep/er", below("/dangling")), 0);
	provide(below("/dangling/y"));
	CHECK(is_directory(below("/real/deep/er/y")));
	CHECK_INT(symlink(below("/far/away"), below("/absolute")), 0);
	provide(below("/absolute"));
	CHECK(is_directory(below("/far/away")));
	CHECK_INT(symlink("../second", below("/real/first")), 0);
	CHECK_INT(symlink("third", below("/second")), 0);
	provide(below("/real/first/z"));
	CHECK(is_directory(below("/third/z")));
}

static void test_in_the_way(void)
{
	close(open(below("/file"), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	refuse(below("/file"), "/file", "Not a directory");
	refuse(below("/file/x/y"), "/file", "Not a directory");
	CHECK_INT(symlink("file", below("/to-file")), 0);
	refuse(below("/to-file/x"), "/to-file", "Not a directory");
	CHECK_INT(symlink("file/x", below("/into-file")), 0);
	refuse(below("/into-file"), "/into-file", "Not a directory");
	CHECK_INT(symlink("loop", below("/loop")), 0);
	refuse(below("/loop/x"), "/loop", strerror(ELOOP));
	CHECK_INT(symlink("round/round", below("/round")), 0);
	refuse(below("/round/x"), "/round", strerror(ELOOP));
	refuse("/proc/no/such", "/proc/no", strerror(ENOENT));
	CHECK_INT(mkfifo(below("/fifo"), 0644), 0);
	refuse(below("/fifo"), "/fifo", "Not a directory");
}

/* Each of them is replaced by a longer path: it has to end. */
static void test_growing_links(void)
{
	char target[PATH_MAX];

	memset(target, 0, sizeof(target));
	for (size_t i = 0; i < 2000; i++)
		memcpy(target + 2 * i, "./", 2);
	strcpy(target + 4000, "grown");
	CHECK_INT(symlink(target, below("/growing")), 0);
	provide(below("/growing"));
	CHECK(is_directory(below("/grown")));
	CHECK_INT(rmdir(below("/grown")), 0);
	refuse(below("/growing/%0200d", 0), "/growing", strerror(ENAMETOOLONG));
}

static void test_long_paths(void)
{
	char *name = malloc(2 * PATH_MAX);

	memset(name, 'x', 2 * PATH_MAX - 1);
	name[2 * PATH_MAX - 1] = '\0';
	CHECK_INT(directory_provide(name, "volume", &owner, &error), -1);
	name[300] = '\0';
	refuse(below("/%s", name), name, strerror(ENAMETOOLONG));
	for (size_t i = 1; i < 2000; i += 2)
		name[i] = '/';
	name[2000] = '\0';
	memset(name + 300, 'y', 1);
	provide(below("/%.1000s", name));
	CHECK(is_directory(below("/%.1000s", name)));
	free(name);
}

static void test_copy(void)
{
	struct stat status = { 0 };

	umask(022);
	CHECK_INT(mkdir(below("/model"), 0700), 0);
	CHECK_INT(chmod(below("/model"), 01777), 0);
	CHECK_INT(directory_copy(below("/model"), below("/copy")), 0);
	CHECK_INT(mode_of(below("/copy")), 01777);
	CHECK_INT(directory_copy(below("/missing"), below("/fresh")), 0);
	CHECK_INT(mode_of(below("/fresh")), 0755);
	CHECK_INT(directory_copy(below("/model"), below("/copy")), -1);
	CHECK_INT(errno, EEXIST);
	if (geteuid())
		CHECK_SKIP("only root can give directories away");
	CHECK_INT(chown(below("/model"), 70000, 80000), 0);
	CHECK_INT(directory_copy(below("/model"), below("/owned-copy")), 0);
	stat(below("/owned-copy"), &status);
	CHECK_INT(status.st_uid, 70000);
	CHECK_INT(status.st_gid, 80000);
}

int main(void)
{
	char command[64];

	if (!mkdtemp(root))
		return 1;
	CHECK_RUN(test_missing);
	CHECK_RUN(test_present);
	CHECK_RUN(test_owner);
	CHECK_RUN(test_links);
	CHECK_RUN(test_in_the_way);
	CHECK_RUN(test_growing_links);
	CHECK_RUN(test_long_paths);
	CHECK_RUN(test_copy);
	snprintf(command, sizeof(command), "rm -rf %s", root);
	if (system(command))
		fprintf(stderr, "cannot remove %s\n", root);
	return check_report();
}
