/* KVM on x86: interrupt controllers, CPUID and the processor's first state. */
#include "kvm_x86.h"

#include <cpuid.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/ioctl.h>

/* Pages that KVM needs on Intel processors; far from RAM and devices. */
#define IDENTITY_MAP_ADDRESS	0xfffbc000ull
#define TSS_ADDRESS		0xfffbd000ull

#define MAX_CPUID_ENTRIES	256
#define OUR_CPUID_ENTRIES	3	/* that may have to be added */

/* CPUID leaves and bits as the processor manuals name them. */
#define LEAF1_ECX_MONITOR	(1u << 3)
#define LEAF1_ECX_VMX		(1u << 5)
#define LEAF1_ECX_TSC_DEADLINE	(1u << 24)
#define LEAF1_ECX_HYPERVISOR	(1u << 31)
#define LEAF1_EDX_HTT		(1u << 28)
#define EXT1_ECX_SVM		(1u << 2)
#define KVM_CPUID_BASE		0x40000000u
#define KVM_CPUID_TIMING	0x40000010u
#define APIC_TIMER_KHZ		1000000u

bool kvm_arch_has_virtualization(void)
{
	unsigned a, b, c, d;

	if (__get_cpuid(1, &a, &b, &c, &d) && (c & LEAF1_ECX_VMX))
		return true;
	return __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & EXT1_ECX_SVM);
}

int kvm_arch_create_vm(struct hv *hv)
{
	uint64_t identity_map = IDENTITY_MAP_ADDRESS;

	if (ioctl(hv->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) < 0 ||
	    ioctl(hv->vm_fd, KVM_SET_TSS_ADDR, TSS_ADDRESS) < 0 ||
	    ioctl(hv->vm_fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return -errno;
	return 0;
}

static unsigned log2_ceil(unsigned n)
{
	unsigned bits = 0;

	while ((1u << bits) < n)
		bits++;
	return bits;
}

/* One socket of `count` cores with one thread each: no vCPU seems to share a core. */
static void set_topology(struct kvm_cpuid_entry2 *entry, unsigned index, unsigned count)
{
	unsigned bits = log2_ceil(count);

	switch (entry->function) {
	case 0x1:
		entry->ebx = (entry->ebx & 0xffff) | index << 24 | (1u << bits) << 16;
		entry->edx &= ~LEAF1_EDX_HTT;
		if (count > 1)
			entry->edx |= LEAF1_EDX_HTT;
		break;
	case 0x4:
	case 0x8000001d:	/* AMD's leaf 4: bits 31:26 are reserved there and stay zero */
		entry->eax &= ~0x03ffc000u;	/* each cache serves one thread … */
		if (((entry->eax >> 5) & 7) == 3)
			entry->eax |= ((1u << bits) - 1) << 14;	/* … but the last level serves all */
		if (entry->function == 0x4) {
			entry->eax &= ~0xfc000000u;
			entry->eax |= ((1u << bits) - 1) << 26;
		}
		break;
	case 0x80000008:
		entry->ecx = (entry->ecx & ~0xf0ffu) | bits << 12 | (count - 1);
		break;
	case 0x8000001e:
		entry->eax = index;
		entry->ebx = index;	/* core index, one thread a core */
		entry->ecx = 0;
		break;
	}
}

/*
 * Leaf 0xb, the topology once more, level by level. Kernels differ in how much
 * of it they report, so it is written anew. Return: the new number of entries.
 */
static uint32_t replace_topology_levels(struct kvm_cpuid_entry2 *entries, uint32_t used,
					unsigned index, unsigned count)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < used; i++)
		if (entries[i].function != 0xb && entries[i].function != 0x1f)
			entries[kept++] = entries[i];
	entries[kept++] = (struct kvm_cpuid_entry2){
		.function = 0xb, .index = 0, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.eax = 0, .ebx = 1, .ecx = 0 | 1 << 8 /* thread */, .edx = index,
	};
	entries[kept++] = (struct kvm_cpuid_entry2){
		.function = 0xb, .index = 1, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
		.eax = log2_ceil(count), .ebx = count, .ecx = 1 | 2 << 8 /* core */, .edx = index,
	};
	return kept;
}

/* Least privilege, and nothing that costs start-up time for no use. */
static void hide_features(struct kvm_cpuid_entry2 *entry)
{
	switch (entry->function) {
	case 0x1:
		entry->ecx &= ~(LEAF1_ECX_VMX | LEAF1_ECX_MONITOR);
		entry->ecx |= LEAF1_ECX_HYPERVISOR;
		break;
	case 0xa:	/* performance counters */
		entry->eax = entry->ebx = entry->ecx = entry->edx = 0;
		break;
	case 0x80000001:
		entry->ecx &= ~EXT1_ECX_SVM;
		break;
	}
}

static int fill_cpuid(const struct hv *hv, int vcpu_fd, unsigned index, unsigned count,
		      struct kvm_cpuid2 *cpuid)
{
	int tsc_khz = ioctl(vcpu_fd, KVM_GET_TSC_KHZ, 0);
	bool deadline = ioctl(hv->system_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0;

	if (ioctl(hv->system_fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0)
		return -errno;
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *entry = &cpuid->entries[i];

		set_topology(entry, index, count);
		hide_features(entry);
		if (entry->function == 0x1 && deadline)
			entry->ecx |= LEAF1_ECX_TSC_DEADLINE;
		if (entry->function == KVM_CPUID_BASE && tsc_khz > 0)
			entry->eax = KVM_CPUID_TIMING;
	}
	cpuid->nent = replace_topology_levels(cpuid->entries, cpuid->nent, index, count);
	/* The timing leaf: frequencies told, so that no guest has to calibrate. */
	if (tsc_khz > 0)
		cpuid->entries[cpuid->nent++] = (struct kvm_cpuid_entry2){
			.function = KVM_CPUID_TIMING,
			.eax = (uint32_t)tsc_khz,
			.ebx = APIC_TIMER_KHZ,
		};
	return ioctl(vcpu_fd, KVM_SET_CPUID2, cpuid) < 0 ? -errno : 0;
}

int kvm_arch_set_cpuid(const struct hv *hv, int vcpu_fd, unsigned index, unsigned count)
{
	struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + MAX_CPUID_ENTRIES * sizeof(cpuid->entries[0]));

	if (!cpuid)
		return -ENOMEM;
	cpuid->nent = MAX_CPUID_ENTRIES - OUR_CPUID_ENTRIES;

	int error = fill_cpuid(hv, vcpu_fd, index, count, cpuid);

	free(cpuid);
	return error;
}

int hv_vcpu_boot(struct hv_vcpu *vcpu, uint64_t entry, uint64_t start_info)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs = {
		.rip = entry,
		.rbx = start_info,
		.rflags = 0x2,	/* the bit that is always set */
	};

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	/* The state that PVH asks for: 32-bit protected mode, flat segments, no paging. */
	struct kvm_segment code = {
		.limit = 0xffffffff, .selector = 0x8, .type = 0xb,
		.present = 1, .db = 1, .s = 1, .g = 1,
	};
	struct kvm_segment data = code;

	data.selector = 0x10;
	data.type = 0x3;
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.tr = (struct kvm_segment){
		.limit = 0x67, .type = 0xb, .present = 1,
	};
	sregs.cr0 = 0x1;	/* protected mode */
	sregs.cr4 = 0;
	sregs.efer = 0;
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu->fd, KVM_SET_REGS, &regs) < 0)
		return -errno;
	return 0;
}
