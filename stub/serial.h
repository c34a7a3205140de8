/* A 16550 serial port, output only: the guest kernel's console for --vm-console. */
#ifndef SMOLPACK_SERIAL_H
#define SMOLPACK_SERIAL_H

#include "bus.h"

#define SERIAL_PORT 0x3f8	/* the PC's first serial port */

struct serial {
	int	fd;		/* where its output goes */
	uint8_t	registers[8];	/* as last written; what matters of them reads back */
	uint8_t	divisor[2];
};

/** serial_attach - put @serial, which prints to @fd, on the bus of ports. Return: 0 or -ENOSPC. */
int serial_attach(struct serial *serial, struct bus *ports, int fd);

#endif
