# The launcher: a static program for each guest architecture, and its unit tests.
#
# The platform is chosen here, by file: no #if outside hv/ and host/.

include third_party/libsodium.mk

STUB_OUT := $(BUILD)/stub
STUB_SOURCES := $(addprefix stub/, \
	launcher.c artifact.c hashtree.c signature.c policy.c crypto.c verify.c disk.c kernel.c options.c signal_name.c program.c info.c session.c stream.c control.c log.c \
	machine.c vm.c run.c boot_x86.c bus.c mem.c serial.c qemu.c elf_kernel.c \
	virtio/queue.c virtio/mmio.c virtio/vhost_user.c virtio/vhost_user_wire.c \
	virtio/blk.c virtio/vsock.c virtio/rng.c \
	hv/kvm.c hv/kvm_x86.c hv/tsc_x86.c \
	host/linux_host.c host/linux_child.c host/linux_loop.c host/linux_signals.c host/linux_stdstream.c \
	host/posix_terminal.c)
STUB_OBJECTS := $(STUB_SOURCES:stub/%.c=$(STUB_OUT)/%.o)
STUB_CFLAGS := $(C_WARNINGS) -D_GNU_SOURCE -O2 -fPIE -fstack-protector-strong \
	-ffunction-sections -fdata-sections -I$(ZSTD) -I$(SODIUM_INCLUDE)
STUB_LDFLAGS := -static -pie -Wl,--gc-sections -s

# The decoder alone is used: the linker drops the rest.
ZSTD_CFLAGS := -O2 -fPIE -ffunction-sections -fdata-sections -DZSTD_LEGACY_SUPPORT=0 -w

$(STUB_OUT)/%.o: stub/%.c | $(ZSTD)/zstd.h
	@mkdir -p $(@D)
	$(TARGET_CC) $(STUB_CFLAGS) -MMD -c $< -o $@

$(STUB_OUT)/zstd.o: $(ZSTD)/zstd.h
	@mkdir -p $(@D)
	$(TARGET_CC) $(ZSTD_CFLAGS) -c $(ZSTD)/zstd.c -o $@

STUB_SODIUM := $(SODIUM_SOURCES:%.c=$(STUB_OUT)/libsodium/%.o)
$(STUB_SODIUM): $(STUB_OUT)/libsodium/%.o: $(ZSTD)/zstd.h third_party/libsodium.mk
	@mkdir -p $(@D)
	$(TARGET_CC) $(SODIUM_CFLAGS) -fPIE -c $(SODIUM)/$*.c -o $@

STUB_LIBRARIES := $(STUB_OUT)/zstd.o $(STUB_SODIUM)

$(STUB_OUT)/launcher: $(STUB_OBJECTS) $(STUB_LIBRARIES)
	$(TARGET_CC) $(STUB_LDFLAGS) $^ -o $@
	@stub/check-size $@

-include $(STUB_OBJECTS:.o=.d)
