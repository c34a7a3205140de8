# What `make bench` measures with; included by the top Makefile.

BENCH_OUT := $(BUILD)/bench
BENCH_PROGRAMS := $(addprefix $(BENCH_OUT)/, stopwatch workload peer.cpio first-entry-zstd first-entry-lz4 liblz4.so)
BENCH_CC := $(TARGET_CC) $(C_WARNINGS) -D_GNU_SOURCE -O2 -static -s
LZ4 := $(BUILD)/third_party/lz4

# A launcher that stops at its first KVM_RUN; see programs/first_entry.c.
WRAPPED := ioctl kvm_arch_has_virtualization kernel_inflate_start kernel_inflate_finish \
	hashtree_check_chunk hashtree_check_range signatures_verify
WRAP := $(WRAPPED:%=-Wl,--wrap=%)

bench: $(BENCH_PROGRAMS)

$(BENCH_OUT)/stopwatch: bench/programs/stopwatch.c | $(READY)
	@mkdir -p $(@D)
	$(BENCH_CC) $< -o $@

$(BENCH_OUT)/workload: bench/programs/workload.c bench/programs/peer_init.c bench/programs/peer_init.h | $(READY)
	@mkdir -p $(@D)
	$(BENCH_CC) $(filter %.c,$^) -o $@

$(BENCH_OUT)/peer.cpio: $(BENCH_OUT)/workload guest/initramfs.py
	$(PYTHON) guest/initramfs.py $< $@

$(BENCH_OUT)/first_entry.o: bench/programs/first_entry.c | $(READY)
	@mkdir -p $(@D)
	$(TARGET_CC) $(STUB_CFLAGS) -Istub -c $< -o $@

$(BENCH_OUT)/lz4_as_zstd.o: bench/programs/lz4_as_zstd.c $(LZ4)/lz4.h
	@mkdir -p $(@D)
	$(TARGET_CC) $(STUB_CFLAGS) -I$(LZ4) -c $< -o $@

$(BENCH_OUT)/lz4.o: $(LZ4)/lz4.h
	@mkdir -p $(@D)
	$(TARGET_CC) $(ZSTD_CFLAGS) -c $(LZ4)/lz4.c -o $@

$(BENCH_OUT)/first-entry-zstd: $(STUB_OBJECTS) $(STUB_LIBRARIES) $(BENCH_OUT)/first_entry.o
	$(TARGET_CC) $(STUB_LDFLAGS) $(WRAP) $^ -o $@

$(BENCH_OUT)/first-entry-lz4: $(STUB_OBJECTS) $(STUB_SODIUM) $(addprefix $(BENCH_OUT)/, lz4.o lz4_as_zstd.o first_entry.o)
	$(TARGET_CC) $(STUB_LDFLAGS) $(WRAP) $^ -o $@

# The compressor, for the Python side.
$(BENCH_OUT)/liblz4.so: $(LZ4)/lz4.h
	@mkdir -p $(@D)
	$(CC) -O2 -fPIC -shared -w $(LZ4)/lz4.c $(LZ4)/lz4hc.c -o $@

$(LZ4)/lz4.h: third_party/fetch bench/requirements.txt | $(READY)
	$(PYTHON) third_party/fetch --requirements bench/requirements.txt --out $(BUILD)/third_party
	@touch $@
