/* The x86 half of the KVM back end. */
#ifndef SMOLPACK_KVM_X86_H
#define SMOLPACK_KVM_X86_H

#include "hv.h"

/** kvm_arch_create_vm - what an x86 machine needs before its vCPUs: interrupt controllers. */
int kvm_arch_create_vm(struct hv *hv);

/** kvm_arch_set_cpuid - show vCPU @index of @count its processor. */
int kvm_arch_set_cpuid(const struct hv *hv, int vcpu_fd, unsigned index, unsigned count);

/** kvm_arch_has_virtualization - whether the processor can run guests by itself. */
bool kvm_arch_has_virtualization(void);

#endif
