# The guest's init and its initramfs; included by the top Makefile (run from the repository's root).

PYTHON		?= python3
GUEST_ARCH	?= x86_64
GUEST_CC	?= $(PYTHON) -m ziglang cc -target $(GUEST_ARCH)-linux-musl
GUEST_CFLAGS	= -std=c11 -D_GNU_SOURCE -Os -flto -ffunction-sections -fdata-sections \
		  -fno-asynchronous-unwind-tables -fno-stack-protector -fno-sanitize=all \
		  -Wall -Wextra -Werror
GUEST_LDFLAGS	= -static -Wl,--gc-sections -s
GUEST_SOURCES	= $(sort $(wildcard guest/*.c))
GUEST_HEADERS	= $(sort $(wildcard guest/*.h))
GUEST_ASSET	= packer/smolpack/assets/$(GUEST_ARCH)/initramfs.cpio

# The tests run the agent as an ordinary process, on Unix sockets.
GUEST_TEST_CFLAGS = -std=c11 -D_GNU_SOURCE -g -O1 -fsanitize=address,undefined \
		  -fno-sanitize-recover=all -Wall -Wextra -Werror -Iguest -Itests/c
GUEST_TESTED	= $(filter-out guest/init.c guest/mounts.c guest/channel_vsock.c,$(GUEST_SOURCES)) \
		  tests/c/guest_channel.c
GUEST_TESTS	= $(patsubst tests/c/%.c,build/tests/%,$(sort $(wildcard tests/c/guest_*_test.c)))

.PHONY: guest guest-test

guest: build/guest/initramfs.cpio

assets: $(GUEST_ASSET)

build/guest/init: $(GUEST_SOURCES) $(GUEST_HEADERS) guest/guest.mk
	@mkdir -p $(@D)
	$(GUEST_CC) $(GUEST_CFLAGS) $(GUEST_LDFLAGS) -o $@ $(GUEST_SOURCES)

build/guest/initramfs.cpio: build/guest/init guest/initramfs.py
	$(PYTHON) guest/initramfs.py $< $@

$(GUEST_ASSET): build/guest/initramfs.cpio
	@mkdir -p $(@D)
	cp $< $@

build/tests/guest_%: tests/c/guest_%.c tests/c/check.h tests/c/guest_channel.h $(GUEST_TESTED) $(GUEST_HEADERS)
	@mkdir -p $(@D)
	$(CC) $(GUEST_TEST_CFLAGS) -o $@ $< $(GUEST_TESTED)

guest-test: $(GUEST_TESTS)
	@failed=0; for test in $(GUEST_TESTS); do \
		printf '%s: ' "$${test##*/}"; $$test || failed=1; \
	done; exit $$failed
