"""A test host with real KVM: QEMU's software emulation of an AMD CPU with SVM, running Debian."""
