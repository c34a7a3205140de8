/* KVM: machines, memory, events and the way in and out of a vCPU. */
#include "hv.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kvm_x86.h"

#define DEVICE "/dev/kvm"

int hv_probe(char *why, size_t why_size)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		int error = -errno;

		if (error == -EACCES || error == -EPERM)
			snprintf(why, why_size, "no permission to open " DEVICE
				 "; join the group that owns it: sudo usermod -aG kvm $USER, then log in again");
		else if (error == -ENOENT || error == -ENXIO || error == -ENODEV)
			snprintf(why, why_size, "there is no " DEVICE
				 "; enable virtualization in the firmware (nested virtualization in a cloud machine)"
				 " and load kvm-intel or kvm-amd");
		else
			snprintf(why, why_size, "cannot open " DEVICE ": %s", strerror(-error));
		return error;
	}
	close(fd);
	if (!kvm_arch_has_virtualization()) {
		snprintf(why, why_size, DEVICE " is there but the processor shows no hardware"
			 " virtualization; in a cloud machine, choose a type with nested virtualization");
		return -ENODEV;
	}
	return 0;
}

int hv_open(struct hv *hv)
{
	*hv = (struct hv){ .system_fd = open(DEVICE, O_RDWR | O_CLOEXEC) };
	if (hv->system_fd < 0)
		return -errno;
	if (ioctl(hv->system_fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return -ENOTSUP;
	int run_size = ioctl(hv->system_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	if (run_size < (int)sizeof(struct kvm_run))
		return -ENOTSUP;
	hv->run_size = (size_t)run_size;
	do {
		/* A signal can interrupt it: creating a machine waits for other CPUs. */
		hv->vm_fd = ioctl(hv->system_fd, KVM_CREATE_VM, 0);
	} while (hv->vm_fd < 0 && errno == EINTR);
	if (hv->vm_fd < 0)
		return -errno;
	return kvm_arch_create_vm(hv);
}

int hv_map(struct hv *hv, unsigned slot, uint64_t gpa, uint64_t size, void *host)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)host,
	};

	return ioctl(hv->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : 0;
}

int hv_irq_fd(struct hv *hv, int event_fd, unsigned irq)
{
	struct kvm_irqfd irqfd = { .fd = (uint32_t)event_fd, .gsi = irq };

	return ioctl(hv->vm_fd, KVM_IRQFD, &irqfd) < 0 ? -errno : 0;
}

int hv_notify_fd(struct hv *hv, int event_fd, uint64_t gpa, uint32_t value)
{
	struct kvm_ioeventfd ioeventfd = {
		.addr = gpa,
		.len = sizeof(value),
		.datamatch = value,
		.fd = event_fd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};

	return ioctl(hv->vm_fd, KVM_IOEVENTFD, &ioeventfd) < 0 ? -errno : 0;
}

int hv_vcpu_create(struct hv *hv, struct hv_vcpu *vcpu, unsigned index, unsigned count)
{
	vcpu->index = index;
	vcpu->fd = ioctl(hv->vm_fd, KVM_CREATE_VCPU, (unsigned long)index);
	if (vcpu->fd < 0)
		return -errno;
	vcpu->run = mmap(NULL, hv->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		return -errno;
	return kvm_arch_set_cpuid(hv, vcpu->fd, index, count);
}

static void explain(struct hv_exit *exit, const char *reason)
{
	exit->kind = HV_EXIT_FAILED;
	exit->reason = reason;
}

int hv_vcpu_run(struct hv_vcpu *vcpu, struct hv_exit *exit)
{
	struct kvm_run *run = vcpu->run;

	*exit = (struct hv_exit){ .kind = HV_EXIT_INTERRUPTED };
	if (ioctl(vcpu->fd, KVM_RUN, 0) < 0) {
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
		run->immediate_exit = 0;
		return 0;
	}
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		exit->kind = HV_EXIT_PORT;
		exit->address = run->io.port;
		exit->size = run->io.size;
		exit->count = run->io.count;
		exit->is_write = run->io.direction == KVM_EXIT_IO_OUT;
		exit->data = (uint8_t *)run + run->io.data_offset;
		break;
	case KVM_EXIT_MMIO:
		exit->kind = HV_EXIT_MEMORY;
		exit->address = run->mmio.phys_addr;
		exit->size = run->mmio.len;
		exit->count = 1;
		exit->is_write = run->mmio.is_write;
		exit->data = run->mmio.data;
		break;
	case KVM_EXIT_INTR:
		break;
	case KVM_EXIT_SHUTDOWN:
	case KVM_EXIT_SYSTEM_EVENT:
	case KVM_EXIT_HLT:
		exit->kind = HV_EXIT_RESET;
		break;
	case KVM_EXIT_FAIL_ENTRY:
		explain(exit, "the processor refused to enter the guest");
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		explain(exit, "KVM could not go on with the guest (internal error)");
		break;
	default:
		explain(exit, "KVM stopped the guest for a reason that the launcher does not know");
	}
	return 0;
}

void hv_vcpu_kick(struct hv_vcpu *vcpu)
{
	((struct kvm_run *)vcpu->run)->immediate_exit = 1;
}
