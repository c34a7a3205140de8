/* The program's terminal: a pty. */
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER	_IO('T', 0x41)
#endif

void terminal_resize(const struct terminal *terminal, const struct proto_winsize *winsize)
{
	const struct winsize size = {
		.ws_row = winsize->rows,
		.ws_col = winsize->columns,
		.ws_xpixel = winsize->x_pixels,
		.ws_ypixel = winsize->y_pixels,
	};

	ioctl(terminal->master, TIOCSWINSZ, &size);
}

pid_t terminal_foreground(const struct terminal *terminal)
{
	pid_t group;

	if (terminal->master < 0 || ioctl(terminal->master, TIOCGPGRP, &group) < 0 || group < 0)
		return 0;
	return group;
}

static int set_modes(int slave, bool raw_output)
{
	struct termios modes;

	if (tcgetattr(slave, &modes) < 0)
		return -1;
	modes.c_iflag |= IUTF8;		/* erase deletes a character, not a byte */
	if (raw_output)
		modes.c_oflag &= ~(tcflag_t)OPOST;
	return tcsetattr(slave, TCSANOW, &modes);
}

int terminal_open(struct terminal *terminal, const struct proto_winsize *winsize,
		  bool raw_output, struct error *error)
{
	const int flags = O_RDWR | O_NOCTTY | O_CLOEXEC;
	int locked = 0;

	terminal->slave = -1;
	terminal->master = open("/dev/ptmx", flags | O_NONBLOCK);
	if (terminal->master < 0)
		goto failed;
	if (ioctl(terminal->master, TIOCSPTLCK, &locked) < 0)
		goto failed;
	/* asked of the master: no path that the image could have put something else at */
	terminal->slave = ioctl(terminal->master, TIOCGPTPEER, flags);
	if (terminal->slave < 0 || set_modes(terminal->slave, raw_output) < 0)
		goto failed;
	terminal_resize(terminal, winsize);
	if (ioctl(terminal->slave, TIOCSCTTY, 0) < 0)
		goto failed;
	return 0;

failed:
	error_set(error, ERROR_MACHINE, "cannot open a terminal in the machine: %s",
		  strerror(errno));
	if (terminal->slave >= 0)
		close(terminal->slave);
	if (terminal->master >= 0)
		close(terminal->master);
	terminal->master = terminal->slave = -1;
	return -1;
}
