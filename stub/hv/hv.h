/*
 * What our own machine asks of the host's hypervisor: plain functions, the
 * implementation chosen when the launcher is linked (kvm.c; hvf.c on macOS).
 *
 * Call order: hv_open, hv_map for all RAM, hv_irq_fd and hv_notify_fd for the
 * devices, hv_vcpu_create for all vCPUs, then on each vCPU's own thread
 * hv_vcpu_boot (first one only) and hv_vcpu_run again and again.
 * All functions return 0 or a negative errno.
 */
#ifndef SMOLPACK_HV_H
#define SMOLPACK_HV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hv {
	int	system_fd;
	int	vm_fd;
	size_t	run_size;	/* bytes of a vCPU's shared page */
};

struct hv_vcpu {
	int		fd;
	unsigned	index;
	void		*run;	/* the page shared with the hypervisor */
};

enum hv_exit_kind {
	HV_EXIT_PORT,		/* answer the access, then run on */
	HV_EXIT_MEMORY,		/* likewise */
	HV_EXIT_INTERRUPTED,	/* hv_vcpu_kick() or nothing of interest: run on */
	HV_EXIT_RESET,		/* the guest asked for a reset, or triple-faulted */
	HV_EXIT_FAILED,		/* the hypervisor cannot go on; ->reason says why */
};

struct hv_exit {
	enum hv_exit_kind kind;
	uint64_t	address;
	unsigned	size;		/* bytes an access */
	unsigned	count;		/* accesses in a row at the same address (string instructions) */
	bool		is_write;
	uint8_t		*data;		/* size * count bytes, to read or to fill */
	const char	*reason;
};

/** hv_probe - whether this host can run our machines; if not, @why says what to do. */
int hv_probe(char *why, size_t why_size);

int hv_open(struct hv *hv);

/** hv_map - let the guest see @size bytes at @host as RAM from @gpa on. */
int hv_map(struct hv *hv, unsigned slot, uint64_t gpa, uint64_t size, void *host);

/** hv_irq_fd - writing to @event_fd raises interrupt line @irq, edge-triggered. */
int hv_irq_fd(struct hv *hv, int event_fd, unsigned irq);

/** hv_notify_fd - the guest's 32-bit write of @value to @gpa signals @event_fd and does not exit. */
int hv_notify_fd(struct hv *hv, int event_fd, uint64_t gpa, uint32_t value);

/** hv_vcpu_create - @count is the machine's number of vCPUs, for its topology. */
int hv_vcpu_create(struct hv *hv, struct hv_vcpu *vcpu, unsigned index, unsigned count);

/** hv_vcpu_boot - start at the PVH entry point @entry with the start info at @start_info. */
int hv_vcpu_boot(struct hv_vcpu *vcpu, uint64_t entry, uint64_t start_info);

int hv_vcpu_run(struct hv_vcpu *vcpu, struct hv_exit *exit);

/** hv_vcpu_kick - from any thread: make the current or next hv_vcpu_run() return. */
void hv_vcpu_kick(struct hv_vcpu *vcpu);

#endif
