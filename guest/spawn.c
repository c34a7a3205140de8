/* Starts the program. */
#include "spawn.h"

#include "machine.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Which step failed in the child, and why. */
struct failure {
	enum { NOTHING, DESCRIPTORS, GROUP, USER, WORKDIR, EXECUTE } step;
	int	error;
	bool	exists;		/* the file to execute does: something it needs is missing */
};

/* Tries each directory of PATH, as execvp(3) does; returns only when all fail. */
static void execute(const struct program *program, volatile struct failure *failure)
{
	const char *name = program->arguments[0], *directory, *end;
	bool denied = false;
	char path[PATH_MAX];

	if (strchr(name, '/') || !*name) {
		execve(name, program->arguments, program->environment);
		failure->error = errno;
		failure->exists = !access(name, F_OK);
		return;
	}
	for (directory = program_environment(program, "PATH"); directory;
	     directory = *end ? end + 1 : NULL) {
		int length;

		end = strchrnul(directory, ':');
		length = snprintf(path, sizeof(path), "%.*s%s%s", (int)(end - directory),
				  directory, end > directory ? "/" : "", name);
		if (length < 0 || (size_t)length >= sizeof(path))
			continue;
		execve(path, program->arguments, program->environment);
		if (errno == EACCES) {
			denied = true;
		} else if (errno != ENOENT && errno != ENOTDIR) {
			failure->error = errno;
			return;
		} else if (!access(path, F_OK)) {
			failure->error = ENOENT;
			failure->exists = true;
			return;
		}
	}
	failure->error = denied ? EACCES : ENOENT;
}

static int become(const struct identity *identity)
{
	/* init has no supplementary groups and is root: most programs need nothing done */
	if (identity->group_count && setgroups(identity->group_count, identity->groups) < 0)
		return -1;
	if (identity->gid && setresgid(identity->gid, identity->gid, identity->gid) < 0)
		return -1;
	if (identity->uid && setresuid(identity->uid, identity->uid, identity->uid) < 0)
		return -1;
	return 0;
}

/*
 * Runs in the child of vfork(): in init's memory, while init waits, until it executes the
 * program or exits; writes nothing but *failure.
 */
static void child(const struct program *program, const struct identity *identity,
		  const int descriptors[3], int terminal, volatile struct failure *failure)
{
	sigset_t none;

	failure->step = GROUP;
	if (setpgid(0, 0) < 0)
		goto failed;
	/* SIGTTOU, for doing this from the background, is still blocked */
	if (terminal >= 0 && tcsetpgrp(terminal, getpid()) < 0)
		goto failed;

	failure->step = DESCRIPTORS;
	for (int fd = 0; fd < 3; fd++)
		if (dup2(descriptors[fd], fd) < 0)
			goto failed;

	/* before root's rights are gone: as with container engines, the program may begin in a
	 * directory that its user could not enter */
	failure->step = WORKDIR;
	if (program->workdir && chdir(program->workdir) < 0)
		goto failed;

	machine_set_oom_score("0");
	failure->step = USER;
	if (become(identity) < 0)
		goto failed;

	failure->step = EXECUTE;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execute(program, failure);
	return;

failed:
	failure->error = errno;
}

static int explain_execute(const struct program *program, const struct failure *failure,
			   struct error *error)
{
	const char *name = program->arguments[0];

	if (failure->exists && failure->error == ENOENT)
		return error_set(error, ERROR_NOT_FOUND, "cannot run \"%s\": its interpreter or "
				 "dynamic loader is missing in the image: add it", name);
	if (failure->error == ENOENT && !strchr(name, '/'))
		return error_set(error, ERROR_NOT_FOUND, "cannot run \"%s\": not found in PATH "
				 "(%s): check the name, or give the whole path", name,
				 program_environment(program, "PATH"));
	if (failure->error == ENOENT)
		return error_set(error, ERROR_NOT_FOUND, "cannot run \"%s\": no such file in the "
				 "image: check the path", name);
	if (failure->error == ENOEXEC)
		return error_set(error, ERROR_NOT_EXECUTABLE, "cannot run \"%s\": neither a "
				 "program for this machine's processor nor a script that begins "
				 "with #!", name);
	if (failure->error == EACCES)
		return error_set(error, ERROR_NOT_EXECUTABLE, "cannot run \"%s\": not executable "
				 "for this user: check its mode and that it is a file", name);
	return error_set(error, ERROR_NOT_EXECUTABLE, "cannot run \"%s\": %s", name,
			 strerror(failure->error));
}

static int explain(const struct program *program, const struct identity *identity,
		   const struct failure *failure, struct error *error)
{
	const char *reason = strerror(failure->error);

	switch (failure->step) {
	case EXECUTE:
		return explain_execute(program, failure, error);
	case WORKDIR:
		return error_set(error, ERROR_MACHINE, "cannot enter the working directory \"%s\": "
				 "%s: choose another", program->workdir, reason);
	case USER:
		return error_set(error, ERROR_MACHINE, "cannot become user %u, group %u: %s",
				 identity->uid, identity->gid, reason);
	default:
		return error_set(error, ERROR_MACHINE, "cannot set up the program's %s: %s",
				 failure->step == GROUP ? "process group" : "standard streams",
				 reason);
	}
}

pid_t spawn(const struct program *program, const struct identity *identity,
	    const int descriptors[3], int terminal, struct error *error)
{
	/* the child's memory is ours, so it needs no pipe to tell us what went wrong, and
	 * copying our page tables, in order to throw them away, is saved; volatile, because
	 * the compiler does not see that the child changes it */
	volatile struct failure shared = { .step = NOTHING };
	struct failure failure;
	pid_t pid = vfork();

	if (pid < 0)
		return error_set(error, ERROR_MACHINE, "cannot start a process: %s",
				 strerror(errno));
	if (!pid) {
		child(program, identity, descriptors, terminal, &shared);
		_exit(ERROR_MACHINE);
	}
	failure = shared;
	if (!failure.error)
		return pid;
	return explain(program, identity, &failure, error);
}
