# The guest's kernel, built once for each set of inputs (guest/kernel/build keeps a cache).

KERNEL_OUT := $(BUILD)/kernel

$(KERNEL_OUT)/vmlinux: $(wildcard guest/kernel/fragments/*) guest/kernel/build guest/kernel/source.env | $(READY)
	guest/kernel/build --out $(KERNEL_OUT)
	@touch $@

$(ASSETS)/kernel: $(KERNEL_OUT)/vmlinux packer/smolpack/kernel.py packer/smolpack/format.py
	@mkdir -p $(@D)
	$(PYTHON) -m smolpack.kernel $< --config $(KERNEL_OUT)/config --out $@
