# Fuzzing of what reads hostile bytes: every tests/fuzz/*.c but seeds.c is a libFuzzer target.
#
#	make fuzz FUZZ_SECONDS=600	each target for so long, starting from what was found before
#	make fuzz-short			a few seconds each, for every change
#
# Its first line, `// sources: stub/mem.c …`, names what it is linked with, as in tests/c.
# An input that fails is left in $(FUZZ_OUT)/crash-…; FUZZ_TARGETS chooses among the targets.

FUZZ_CC ?= clang-14
FUZZ_SECONDS ?= 600
FUZZ_SHORT_SECONDS := 3
FUZZ_OUT := $(BUILD)/fuzz
FUZZ_TARGETS ?= $(filter-out seeds,$(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/*.c))))
FUZZ_CFLAGS := $(C_WARNINGS) -D_GNU_SOURCE -g -O1 -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=all -Istub -Itests/c -I$(ZSTD) -I$(SODIUM_INCLUDE)

$(FUZZ_OUT)/stub/%.o: stub/%.c tests/fuzz/fuzz.mk | $(ZSTD)/zstd.h
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_CFLAGS) -MMD -c $< -o $@

$(FUZZ_OUT)/guest/%.o: guest/%.c tests/fuzz/fuzz.mk
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_CFLAGS) -MMD -c $< -o $@

$(FUZZ_OUT)/%.o: tests/fuzz/%.c tests/fuzz/fuzz.mk | $(ZSTD)/zstd.h
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_CFLAGS) -MMD -c $< -o $@

# Fuzzing is what their own projects do.
$(FUZZ_OUT)/zstd.o: $(ZSTD)/zstd.h
	@mkdir -p $(@D)
	$(FUZZ_CC) -O2 -w -c $(ZSTD)/zstd.c -o $@

fuzz_sources = $(shell sed -n '1s|^// sources:||p' tests/fuzz/$(1).c)
define FUZZ_PROGRAM
$(FUZZ_OUT)/$(1): $(FUZZ_OUT)/$(1).o $(filter-out $(FUZZ_OUT)/libsodium.o,$(patsubst %.c,$(FUZZ_OUT)/%.o,$(call fuzz_sources,$(1)))) $(UNIT_OUT)/libsodium.o
	$$(FUZZ_CC) -fsanitize=fuzzer,address,undefined -pthread -Wl,--gc-sections $$^ -o $$@
endef
$(foreach name,$(FUZZ_TARGETS),$(eval $(call FUZZ_PROGRAM,$(name))))

$(FUZZ_OUT)/make-seeds: tests/fuzz/seeds.c stub/format.h $(wildcard tests/c/*.h) $(FUZZ_OUT)/zstd.o $(UNIT_OUT)/libsodium.o
	$(FUZZ_CC) $(C_WARNINGS) -D_GNU_SOURCE -Istub -Itests/c -I$(ZSTD) -I$(SODIUM_INCLUDE) \
		-pthread -Wl,--gc-sections $(filter-out %.h,$^) -o $@

$(FUZZ_OUT)/seeds: $(FUZZ_OUT)/make-seeds
	rm -rf $@
	$< $@

# $(1): seconds for each target. What is found is kept beside the seeds, not among them.
define RUN_FUZZERS
	@for target in $(FUZZ_TARGETS); do \
		mkdir -p $(FUZZ_OUT)/found/$$target; \
		$(FUZZ_OUT)/$$target -max_total_time=$(1) -timeout=60 -print_final_stats=1 \
			-verbosity=0 -artifact_prefix=$(FUZZ_OUT)/crash-$$target- \
			$(FUZZ_OUT)/found/$$target $(FUZZ_OUT)/seeds/$$target \
			>$(FUZZ_OUT)/$$target.log 2>&1 || { cat $(FUZZ_OUT)/$$target.log; exit 1; }; \
		printf '%s: %s executions in %s s\n' $$target \
			$$(sed -n 's/^stat::number_of_executed_units: *//p' $(FUZZ_OUT)/$$target.log) $(1); \
	done
endef

.PHONY: fuzz fuzz-short
fuzz: $(FUZZ_TARGETS:%=$(FUZZ_OUT)/%) $(FUZZ_OUT)/seeds
	$(call RUN_FUZZERS,$(FUZZ_SECONDS))

fuzz-short: $(FUZZ_TARGETS:%=$(FUZZ_OUT)/%) $(FUZZ_OUT)/seeds
	$(call RUN_FUZZERS,$(FUZZ_SHORT_SECONDS))

-include $(wildcard $(FUZZ_OUT)/*.d $(FUZZ_OUT)/guest/*.d $(FUZZ_OUT)/stub/*.d $(FUZZ_OUT)/stub/*/*.d)
