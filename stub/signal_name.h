/* What people call the signals of the guest. */
#ifndef SMOLPACK_SIGNAL_NAME_H
#define SMOLPACK_SIGNAL_NAME_H

#define SIGNAL_MAX	64	/* Linux: SIGRTMAX */

/**
 * signal_by_name - the Linux number of `SIGTERM`, `term`, `RTMIN+3`, …; x86 and arm agree on it
 *
 * Return: 0 or -EINVAL.
 */
int signal_by_name(const char *name, unsigned *number);

#endif
