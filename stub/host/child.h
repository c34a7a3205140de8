/* One child process, which never outlives us. */
#ifndef SMOLPACK_HOST_CHILD_H
#define SMOLPACK_HOST_CHILD_H

#include <stddef.h>
#include <sys/types.h>

struct child {
	pid_t	pid;		/* 0: none */
	int	exit_fd;	/* readable once it has exited */
};

struct child_start {
	const char	*path;
	char *const	*arguments;	/* the name first, then NULL-terminated */
	int		stdio[3];	/* what it gets as descriptors 0, 1 and 2 */
	const int	*keep;		/* descriptors it inherits under their own numbers … */
	unsigned	keep_count;	/* … besides which it gets none */
};

/**
 * child_start - run a program.
 *
 * It has default signal dispositions, no blocked signals and a process group of its
 * own, so that the terminal's signals do not reach it, and is killed when the calling
 * thread ends. When it cannot be executed, it says so on its descriptor 2 and exits 127.
 * Return: 0 or a negative errno.
 */
int child_start(struct child *child, const struct child_start *how);

/**
 * child_reap - wait for the child to exit and forget it.
 *
 * Return: its status as waitpid(2) gives it.
 */
int child_reap(struct child *child);

/** child_kill - end the child at once and reap it; harmless when there is none. */
void child_kill(struct child *child);

#endif
