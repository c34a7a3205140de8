/* A 16550 serial port, output only and polled: it never interrupts. */
#include "serial.h"

#include <string.h>
#include <unistd.h>

enum { DATA, INTERRUPT_ENABLE, INTERRUPT_ID, LINE_CONTROL, MODEM_CONTROL, LINE_STATUS,
       MODEM_STATUS, SCRATCH };

#define LINE_CONTROL_DIVISOR	0x80
#define NO_INTERRUPT		0x01
#define TRANSMITTER_EMPTY	0x60
#define CARRIER_READY		0xb0

static void access_registers(void *context, uint64_t offset, void *data, unsigned size,
			     bool is_write)
{
	struct serial *serial = context;
	bool divisor = serial->registers[LINE_CONTROL] & LINE_CONTROL_DIVISOR && offset < 2;
	uint8_t value;

	if (size != 1)
		return;
	if (is_write) {
		memcpy(&value, data, 1);
		if (divisor) {
			serial->divisor[offset] = value;
		} else if (offset == DATA) {
			ssize_t ignored = write(serial->fd, &value, 1);

			(void)ignored;	/* a console nobody reads is no reason to stop */
		} else {
			serial->registers[offset] = value;
		}
		return;
	}
	switch (offset) {
	case DATA:
		value = divisor ? serial->divisor[0] : 0;
		break;
	case INTERRUPT_ENABLE:
		value = divisor ? serial->divisor[1] : serial->registers[offset];
		break;
	case INTERRUPT_ID:
		value = NO_INTERRUPT;
		break;
	case LINE_STATUS:
		value = TRANSMITTER_EMPTY;
		break;
	case MODEM_STATUS:
		value = CARRIER_READY;
		break;
	default:
		value = serial->registers[offset];
	}
	memcpy(data, &value, 1);
}

int serial_attach(struct serial *serial, struct bus *ports, int fd)
{
	*serial = (struct serial){ .fd = fd };
	return bus_add(ports, &(struct bus_range){
		.start = SERIAL_PORT,
		.size = sizeof(serial->registers),
		.access = access_registers,
		.context = serial,
	});
}
