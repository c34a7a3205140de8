/* Signals on Linux: signalfd. */
#include "signals.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

int signals_open(const int *numbers)
{
	struct sigaction before;
	sigset_t set;

	sigemptyset(&set);
	for (; *numbers; numbers++)
		if (sigaction(*numbers, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
			sigaddset(&set, *numbers);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

int signals_read(int fd, bool *from_terminal)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return -EAGAIN;
	*from_terminal = info.ssi_code == SI_KERNEL;
	return (int)info.ssi_signo;
}
