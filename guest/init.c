/* Process 1: the order of things from the kernel's hand-over to serving the launcher. */
#include "agent.h"
#include "error.h"
#include "machine.h"
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * The kernel log, and with it a panic, is the way to the launcher when there is no connection.
 * It takes the place of 0, 1 and 2, which are closed for want of a console: later descriptors
 * must not get the numbers that the program's standard streams replace.
 */
static void open_log(void)
{
	int log = open("/dev/kmsg", O_WRONLY);

	for (int fd = 0; fd < 3; fd++)
		dup2(log, fd);
	if (log > 2)
		close(log);
}

/*
 * Process 1 only waits: for the kernel, its children's groups count as orphaned, and stop
 * signals (Ctrl-Z) would not stop the program. So the agent is a process of its own, which
 * orphans come to as well.
 */
static _Noreturn void wait_for(pid_t agent)
{
	pid_t ended;

	do
		ended = waitpid(-1, NULL, 0);
	while (ended != agent && (ended > 0 || errno == EINTR));
	dprintf(STDERR_FILENO, "<0>smolpack: the agent died\n");
	_exit(1);	/* the kernel panics */
}

int main(void)
{
	struct error error;
	int control;
	pid_t agent;

	open_log();
	agent = fork();
	if (agent > 0)
		wait_for(agent);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	setsid();
	/* first, so that a failure of anything else can be told; it is answered while we mount */
	control = agent_connect(&error);
	if (control >= 0) {
		/* the launcher answers HELLO during the short rest, without the disk: that keeps
		 * the round trip short and so the wall clock exact */
		if (!mounts_root(&error) && !agent_greet(control, &error) &&
		    !mounts_system(&error) && !machine_prepare(&error))
			agent_serve(control);
		agent_fail(control, &error);
	}
	dprintf(STDERR_FILENO, "<0>smolpack: %s\n", error.text);
	return (int)error.status;
}
