# The C unit tests: every tests/c/*_test.c becomes a program, with sanitizers on.
#
# Its first line, `// sources: stub/mem.c …`, names what it is linked with; zstd.c and
# libsodium.c stand for the libraries. The agent's tests (guest_*) have a rule of their own in guest/guest.mk.

UNIT_OUT := $(BUILD)/tests
UNIT_CFLAGS := $(C_WARNINGS) -D_GNU_SOURCE -g -O1 -fsanitize=address,undefined \
	-fno-sanitize-recover=all -Istub -Itests/c -I$(ZSTD) -I$(SODIUM_INCLUDE)
UNIT_NAMES := $(filter-out guest_%,$(patsubst tests/c/%.c,%,$(sort $(wildcard tests/c/*_test.c))))
UNIT_PROGRAMS := $(UNIT_NAMES:%=$(UNIT_OUT)/%)

$(UNIT_OUT)/stub/%.o: stub/%.c tests/c/unit.mk | $(ZSTD)/zstd.h
	@mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) -MMD -c $< -o $@

$(UNIT_OUT)/%_test.o: tests/c/%_test.c tests/c/unit.mk | $(ZSTD)/zstd.h
	@mkdir -p $(@D)
	$(CC) $(UNIT_CFLAGS) -MMD -c $< -o $@

# Not ours to test: no sanitizers, and no optimizer, which would take longer than all else.
$(UNIT_OUT)/zstd.o: $(ZSTD)/zstd.h
	@mkdir -p $(@D)
	$(CC) -O0 -w -c $(ZSTD)/zstd.c -o $@

# As much of it as the launcher links.
$(UNIT_OUT)/libsodium/%.o: $(ZSTD)/zstd.h third_party/libsodium.mk
	@mkdir -p $(@D)
	$(CC) $(SODIUM_CFLAGS) -c $(SODIUM)/$*.c -o $@

$(UNIT_OUT)/libsodium.o: $(SODIUM_SOURCES:%.c=$(UNIT_OUT)/libsodium/%.o)
	$(LD) -r $^ -o $@

unit_sources = $(shell sed -n '1s|^// sources:||p' tests/c/$(1).c)
define UNIT_PROGRAM
$(UNIT_OUT)/$(1): $(UNIT_OUT)/$(1).o $(patsubst %.c,$(UNIT_OUT)/%.o,$(call unit_sources,$(1)))
	$$(CC) -fsanitize=address,undefined -pthread -Wl,--gc-sections $$^ -o $$@
endef
$(foreach name,$(UNIT_NAMES),$(eval $(call UNIT_PROGRAM,$(name))))

.PHONY: c-unit-test
c-unit-test: $(UNIT_PROGRAMS) $(GUEST_TESTS)
	@failed=0; for program in $^; do \
		printf '%s: ' $$(basename $$program); \
		$$program || { failed=1; echo "$$program: FAILED"; }; \
	done; exit $$failed

-include $(wildcard $(UNIT_OUT)/*.d $(UNIT_OUT)/stub/*.d $(UNIT_OUT)/stub/*/*.d)
