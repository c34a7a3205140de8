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

# The cross compiler is a Python package: the same one everywhere, nothing to install by hand.
TARGET_CC	:= $(PYTHON) -m ziglang cc -target $(ARCH)-linux-musl
C_WARNINGS	:= -std=c11 -Wall -Wextra -Werror

.DELETE_ON_ERROR:
.SECONDARY:

all: assets

include stub/stub.mk
-include guest/guest.mk

$(ZSTD)/zstd.h: third_party/fetch third_party/requirements.txt
	$(PYTHON) third_party/fetch --out $(BUILD)/third_party
	@touch $@
