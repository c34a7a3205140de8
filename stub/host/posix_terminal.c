/* The user's terminal, by termios. */
#include "terminal.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static struct termios original;
static volatile sig_atomic_t raw_fd = -1;

/* Called from signal handlers too. */
void terminal_restore(void)
{
	if (raw_fd >= 0)
		tcsetattr(raw_fd, TCSANOW, &original);
	raw_fd = -1;
}

static void on_fault(int signal)
{
	terminal_restore();
	raise(signal);	/* SA_RESETHAND: this one kills */
}

static void restore_at_any_end(void)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE };
	static bool done;
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_RESETHAND | SA_NODEFER };

	if (done)
		return;
	done = true;
	atexit(terminal_restore);
	for (unsigned i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		sigaction(faults[i], &action, NULL);
}

void terminal_set_raw(int fd, bool keep_output)
{
	struct termios raw;

	if (raw_fd >= 0 || tcgetattr(fd, &original) < 0)
		return;
	restore_at_any_end();
	raw = original;
	cfmakeraw(&raw);
	if (keep_output)
		raw.c_oflag = original.c_oflag;
	raw_fd = fd;
	tcsetattr(fd, TCSANOW, &raw);
}

bool terminal_is_ours(int fd)
{
	return tcgetpgrp(fd) == getpgrp();
}

bool terminal_size(int fd, uint16_t *rows, uint16_t *columns, uint16_t *x_pixels,
		   uint16_t *y_pixels)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) < 0)
		return false;
	*rows = size.ws_row;
	*columns = size.ws_col;
	*x_pixels = size.ws_xpixel;
	*y_pixels = size.ws_ypixel;
	return true;
}
