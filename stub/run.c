/* The vCPU exit loop, the only one. */
#include "run.h"

#include <string.h>

static void answer(const struct bus *bus, const struct hv_exit *exit)
{
	for (unsigned i = 0; i < exit->count; i++)
		bus_access(bus, exit->address, exit->data + i * exit->size, exit->size,
			   exit->is_write);
}

const char *run_vcpu(struct hv_vcpu *vcpu, const struct bus *ports, const struct bus *memory,
		     const atomic_bool *stopping)
{
	struct hv_exit exit;

	while (!atomic_load(stopping)) {
		int error = hv_vcpu_run(vcpu, &exit);

		if (error)
			return strerror(-error);
		switch (exit.kind) {
		case HV_EXIT_PORT:
			answer(ports, &exit);
			break;
		case HV_EXIT_MEMORY:
			answer(memory, &exit);
			break;
		case HV_EXIT_INTERRUPTED:
			break;
		case HV_EXIT_RESET:
			return "the guest's kernel stopped";
		case HV_EXIT_FAILED:
			return exit.reason;
		}
	}
	return NULL;
}
