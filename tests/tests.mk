# All tests, from the quickest to whole machines.

.PHONY: test-python test-c test-kernel test-kvmhost test-vm-qemu test-vm-kvm test-wheel

test: test-python test-c fuzz-short test-kernel test-kvmhost test-vm-qemu test-vm-kvm test-wheel

test-python: $(READY)
	$(PYTHON) -m pytest tests/packer tests/signing

test-c: c-unit-test

test-kernel: $(KERNEL_OUT)/vmlinux
	$(PYTHON) guest/kernel/check $(KERNEL_OUT)

test-kvmhost: $(READY)
	$(PYTHON) -m pytest tests/kvmhost

test-vm-qemu: assets
	$(PYTHON) tests/vm/run --accel qemu

test-vm-kvm: assets
	$(PYTHON) tests/vm/run --accel kvm

test-wheel: assets
	$(PYTHON) -m pytest tests/wheel

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
