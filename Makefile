# smolpack: what there is to make; each recipe lives beside what it builds.
#
#	make demo	build everything, pack a root file system and run it
#	make test	all tests
#	make lint	static checks
#	make bench	one table of measurements
#	make assets	launcher, init and kernel for the packer (and its wheel)

BUILD	:= build
VENV	?= .venv
PYTHON	:= $(VENV)/bin/python
ARCH	:= x86_64
ASSETS	:= packer/smolpack/assets/$(ARCH)
ZSTD	:= $(BUILD)/third_party/zstd
READY	:= $(VENV)/ready

# The cross compiler is a Python package: the same one everywhere, nothing to install by hand.
TARGET_CC	:= $(PYTHON) -m ziglang cc -target $(ARCH)-linux-musl
C_WARNINGS	:= -std=c11 -Wall -Wextra -Werror

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all assets demo test lint bench clean

all: assets

include stub/stub.mk
include guest/guest.mk
include guest/kernel/kernel.mk
include tests/c/unit.mk
include tests/fuzz/fuzz.mk
include tests/tests.mk
include bench/bench.mk

$(READY): setup/install pyproject.toml
	setup/install
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(ZSTD)/zstd.h: third_party/fetch third_party/requirements.txt | $(READY)
	$(PYTHON) third_party/fetch --out $(BUILD)/third_party
	@touch $@

assets: $(addprefix $(ASSETS)/, launcher initramfs.cpio kernel libraries.json)

$(ASSETS)/launcher: $(BUILD)/stub/launcher
	@mkdir -p $(@D)
	cp $< $@

$(ASSETS)/libraries.json: third_party/versions $(ZSTD)/zstd.h
	@mkdir -p $(@D)
	$(PYTHON) $< $(BUILD)/third_party > $@

demo: assets
	examples/demo/run

bench: assets
	$(PYTHON) bench/run

clean:
	rm -rf $(BUILD) $(ASSETS)
