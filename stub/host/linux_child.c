/* A child process on Linux: parent-death signal and pidfd. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void default_signals(void)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		sigaction(number, &action, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int set_descriptors(const struct child_start *how)
{
	for (int i = 0; i < 3; i++) {
		if (dup2(how->stdio[i], i) < 0)
			return -errno;
	}
	/* Ours are close-on-exec anyway (Linux < 5.11 relies on it): this finds what we inherited. */
	syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC);
	for (unsigned i = 0; i < how->keep_count; i++) {
		if (fcntl(how->keep[i], F_SETFD, 0) < 0)
			return -errno;
	}
	return 0;
}

static _Noreturn void run(const struct child_start *how, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);	/* it died before the line above */
	setpgid(0, 0);
	default_signals();
	int error = set_descriptors(how);

	if (!error) {
		execv(how->path, how->arguments);
		error = -errno;
	}
	dprintf(STDERR_FILENO, "cannot execute %s: %s\n", how->path, strerror(-error));
	_exit(127);
}

int child_start(struct child *child, const struct child_start *how)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		run(how, parent);
	*child = (struct child){ .pid = pid, .exit_fd = (int)syscall(SYS_pidfd_open, pid, 0) };
	if (child->exit_fd < 0) {
		int error = -errno;

		child_kill(child);
		return error;
	}
	return 0;
}

int child_reap(struct child *child)
{
	int status = 0;

	while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (child->exit_fd >= 0)
		close(child->exit_fd);
	*child = (struct child){ .exit_fd = -1 };
	return status;
}

void child_kill(struct child *child)
{
	if (child->pid <= 0)
		return;
	/* Not yet reaped, so the number is still its own. */
	kill(child->pid, SIGKILL);
	child_reap(child);
}
