# What the launcher links of libsodium: BLAKE2b, SHA-256, SHA-512 and Ed25519's verification.
#
# Its configure script is not needed: these are the answers that it would give for the one
# compiler and the one C library that we build with. sodium_init() is never linked; what it
# would do for these functions stub/crypto.c does.

SODIUM := $(BUILD)/third_party/libsodium
SODIUM_SOURCES := \
	crypto_core/ed25519/ref10/ed25519_ref10.c \
	crypto_generichash/blake2b/ref/blake2b-compress-avx2.c \
	crypto_generichash/blake2b/ref/blake2b-compress-ref.c \
	crypto_generichash/blake2b/ref/blake2b-compress-sse41.c \
	crypto_generichash/blake2b/ref/blake2b-compress-ssse3.c \
	crypto_generichash/blake2b/ref/blake2b-ref.c \
	crypto_generichash/blake2b/ref/generichash_blake2b.c \
	crypto_hash/sha256/cp/hash_sha256_cp.c \
	crypto_hash/sha512/cp/hash_sha512_cp.c \
	crypto_sign/ed25519/ref10/open.c \
	crypto_sign/ed25519/ref10/sign.c \
	crypto_verify/verify.c \
	sodium/codecs.c \
	sodium/core.c \
	sodium/runtime.c \
	sodium/utils.c
SODIUM_ANSWERS := CONFIGURED=1 SODIUM_STATIC=1 NATIVE_LITTLE_ENDIAN=1 HAVE_WEAK_SYMBOLS=1 \
	HAVE_INLINE_ASM=1 HAVE_TI_MODE=1 HAVE_GCC_MEMORY_FENCES=1 HAVE_PTHREAD=1 HAVE_EXPLICIT_BZERO=1
SODIUM_ANSWERS_x86_64 := HAVE_CPUID=1 HAVE_AVX_ASM=1 HAVE_EMMINTRIN_H=1 HAVE_PMMINTRIN_H=1 \
	HAVE_TMMINTRIN_H=1 HAVE_SMMINTRIN_H=1 HAVE_AVXINTRIN_H=1 HAVE_AVX2INTRIN_H=1
SODIUM_INCLUDE := $(SODIUM)/include
SODIUM_CFLAGS := -O2 -w -ffunction-sections -fdata-sections \
	$(addprefix -D, $(SODIUM_ANSWERS) $(SODIUM_ANSWERS_$(ARCH))) \
	-I$(SODIUM_INCLUDE) -I$(SODIUM_INCLUDE)/sodium
