/* The least that an init can do: devices, a root where there is one, one child, the end. */
#include "peer_init.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define MAX_WORDS 8

/* In the initramfs the program is this one, in the root file system it has its name. */
static void run(const char *program, char *words)
{
	char *argv[MAX_WORDS + 2] = { "workload" };
	int count = 1;

	for (char *word = strtok(words, ","); word && count <= MAX_WORDS; word = strtok(NULL, ","))
		argv[count++] = word;
	execv(program, argv);
}

static _Noreturn void carry(int from, int to)
{
	static char buffer[64 << 10];
	ssize_t size;

	while ((size = read(from, buffer, sizeof(buffer))) > 0)
		for (ssize_t sent, done = 0; done < size; done += sent)
			if ((sent = write(to, buffer + done, (size_t)(size - done))) < 0)
				_exit(1);
	_exit(0);
}

/*
 * The standard stream becomes a pipe; a process carries what passes between it and its file.
 * A pipe's ends are numbered as the streams are: 0 is read from, 1 is written to.
 */
static void put_pipe_before(int standard)
{
	int ends[2];

	if (pipe(ends) < 0)
		return;
	if (fork() == 0) {
		if (standard == STDIN_FILENO)
			carry(standard, ends[1]);
		else
			carry(ends[0], standard);
	}
	dup2(ends[standard], standard);
	close(ends[0]);
	close(ends[1]);
}

_Noreturn void peer_init(void)
{
	const char *port = getenv("PEER_PORT"), *root = getenv("PEER_ROOT");
	const char *program = "/init";

	mount("dev", "/dev", "devtmpfs", 0, NULL);
	int fd = open(port ? port : "/dev/null", O_RDWR | O_NOCTTY);

	for (int standard = 0; standard < 3; standard++)
		dup2(fd, standard);
	if (root) {
		mkdir("/root", 0755);
		mount(root, "/root", "squashfs", MS_RDONLY, NULL);
		if (chdir("/root") == 0 && chroot(".") == 0)
			program = "/workload";
	}
	if (getenv("PEER_PIPES")) {
		put_pipe_before(STDIN_FILENO);
		put_pipe_before(STDOUT_FILENO);
	}
	pid_t child = fork();

	if (child == 0) {
		run(program, getenv("PEER_RUN"));
		_exit(127);
	}
	waitpid(child, NULL, 0);
	tcdrain(STDOUT_FILENO);
	reboot(RB_AUTOBOOT);
	_exit(1);
}
