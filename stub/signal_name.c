/* What people call the signals of the guest. */
#include "signal_name.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#define RTMIN	34	/* as C libraries have it; they keep the first two for themselves */
#define RTMAX	SIGNAL_MAX

/* By number, and not by the host's constants: its own numbers may differ. */
static const char *const names[] = {
	NULL, "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV",
	"USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU",
	"URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
};

/* `RTMIN`, `RTMIN+n`, `RTMAX`, `RTMAX-n`. */
static int parse_realtime(const char *name, unsigned *number)
{
	bool from_top = strncasecmp(name, "RTMAX", 5) == 0;
	unsigned distance = 0;

	if (!from_top && strncasecmp(name, "RTMIN", 5))
		return -EINVAL;
	name += 5;
	if (*name && (*name++ != (from_top ? '-' : '+') || !*name))
		return -EINVAL;
	for (; *name; name++) {
		if (*name < '0' || *name > '9')
			return -EINVAL;
		distance = distance * 10 + (unsigned)(*name - '0');
		if (distance > RTMAX - RTMIN)
			return -EINVAL;
	}
	*number = from_top ? RTMAX - distance : RTMIN + distance;
	return 0;
}

int signal_by_name(const char *name, unsigned *number)
{
	if (strncasecmp(name, "SIG", 3) == 0)
		name += 3;
	for (unsigned i = 1; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcasecmp(name, names[i]) == 0) {
			*number = i;
			return 0;
		}
	}
	return parse_realtime(name, number);
}
