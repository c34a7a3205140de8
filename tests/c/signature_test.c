// sources: stub/signature.c libsodium.c
/* Signatures: real ones, several, and damaged in every byte. */
#include <errno.h>
#include <stdlib.h>

#include "check.h"
#include "signature.h"
#include "signature_samples.h"

static uint8_t table[SAMPLE_TABLE];
static uint8_t area[4096];
static size_t area_size;
static struct signatures signatures;
static char why[256];

static void begin(void)
{
	sample_table(table);
	area_size = 0;
}

/* Put a signature into the area as the file has it. */
static void add(const uint8_t *blob, size_t size)
{
	struct format_signature header = { .time = SAMPLE_TIME, .size = (uint32_t)size };

	memcpy(area + area_size, &header, sizeof(header));
	memcpy(area + area_size + sizeof(header), blob, size);
	area_size += sizeof(header) + size;
	while (area_size % 8)
		area[area_size++] = 0;
}

#define ADD(blob) add(blob, sizeof(blob))

/* Of the first @size bytes, in memory of just that size. */
static int verify_part(size_t size)
{
	uint8_t *part = malloc(size ? size : 1);
	int error;

	memcpy(part, area, size);
	why[0] = '\0';
	error = signatures_verify(&signatures, part, size, table, sizeof(table), why, sizeof(why));
	CHECK(!error == !why[0]);
	free(part);
	return error;
}

static int verify(void)
{
	return verify_part(area_size);
}

static void test_good(void)
{
	begin();
	ADD(sample_ed25519);
	CHECK_INT(verify(), 0);
	CHECK_INT(signatures.count, 1);
	CHECK_INT(signatures.unknown, 0);
	CHECK_STR(signatures.signers[0].fingerprint, SAMPLE_FINGERPRINT);
	CHECK_INT(signatures.signers[0].time, SAMPLE_TIME);
}

static void test_each_kind(void)
{
	begin();
	ADD(sample_ed25519_sha256);
	CHECK_INT(verify(), 0);
	CHECK_STR(signatures.signers[0].fingerprint, SAMPLE_FINGERPRINT);
	begin();
	ADD(sample_sk);
	CHECK_INT(verify(), 0);
	CHECK_STR(signatures.signers[0].fingerprint, SAMPLE_SK_FINGERPRINT);
}

static void test_unsigned(void)
{
	begin();
	CHECK_INT(verify(), 0);
	CHECK_INT(signatures.count, 0);
	CHECK_INT(signatures.unknown, 0);
}

static void test_several(void)
{
	begin();
	ADD(sample_ecdsa);
	ADD(sample_ed25519);
	ADD(sample_ecdsa);
	ADD(sample_sk);
	CHECK_INT(verify(), 0);
	CHECK_INT(signatures.count, 2);
	CHECK_INT(signatures.unknown, 2);
	CHECK_STR(signatures.signers[0].fingerprint, SAMPLE_FINGERPRINT);
	CHECK_STR(signatures.signers[1].fingerprint, SAMPLE_SK_FINGERPRINT);
}

static void test_only_unknown(void)
{
	begin();
	ADD(sample_ecdsa);
	CHECK_INT(verify(), -EINVAL);
	CHECK(strstr(why, "unknown types"));
}

static void test_bad_one_beside_good_ones(void)
{
	begin();
	ADD(sample_ed25519);
	ADD(sample_sk);
	area[area_size - 16] ^= 1;
	CHECK_INT(verify(), -EBADMSG);
	CHECK(strstr(why, SAMPLE_SK_FINGERPRINT));
}

/* No key of another type makes signatures of this one: it is ours with a damaged name. */
static void test_damaged_key_type_beside_a_good_one(void)
{
	begin();
	ADD(sample_sk);
	size_t second = area_size;

	ADD(sample_ed25519);
	area[second + sizeof(struct format_signature) + 18] ^= 1;
	CHECK_INT(verify(), -EINVAL);
	CHECK(strstr(why, "of another type"));
	area[second + sizeof(struct format_signature) + 18] ^= 1;
	CHECK_INT(verify(), 0);
}

/* A certificate's key, whose signatures are of its plain type: unknown, and no harm. */
static void test_certificate_beside_a_good_one(void)
{
	static const char name[] = "ssh-ed25519-cert-v01@openssh.com";
	const size_t at = 14, plain = 11;	/* of the key's type in the blob */
	uint8_t blob[sizeof(sample_ed25519) + sizeof(name) - 1 - 11];

	memcpy(blob, sample_ed25519, at);
	blob[at - 4 + 3] = (uint8_t)(51 + sizeof(name) - 1 - plain);	/* the key grows … */
	memcpy(blob + at, sample_ed25519 + at, 4);
	blob[at + 3] = sizeof(name) - 1;				/* … by its type */
	memcpy(blob + at + 4, name, sizeof(name) - 1);
	memcpy(blob + at + 4 + sizeof(name) - 1, sample_ed25519 + at + 4 + plain,
	       sizeof(sample_ed25519) - at - 4 - plain);
	begin();
	ADD(blob);
	ADD(sample_sk);
	CHECK_INT(verify(), 0);
	CHECK_INT(signatures.count, 1);
	CHECK_INT(signatures.unknown, 1);
}

static void test_other_namespace(void)
{
	begin();
	ADD(sample_other_namespace);
	CHECK_INT(verify(), -EINVAL);
	CHECK(strstr(why, "namespace"));
}

static void test_other_file(void)
{
	begin();
	ADD(sample_ed25519);
	for (size_t i = 0; i < sizeof(table); i++) {
		table[i] ^= 0x40;
		CHECK_INT(verify(), -EBADMSG);
		table[i] ^= 0x40;
	}
	CHECK_INT(signatures_verify(&signatures, area, area_size, table, sizeof(table) - 1, why,
				    sizeof(why)), -EBADMSG);
	CHECK_INT(verify(), 0);
}

/* Time, size, reserved, blob, padding: no bit of a signature can be another one. */
static void flip_every_bit(void)
{
	for (size_t i = 0; i < area_size; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			area[i] ^= 1 << bit;
			if (!CHECK(verify() < 0))
				fprintf(stderr, "\tbit %u of byte %zu\n", bit, i);
			area[i] ^= 1 << bit;
		}
	}
	CHECK_INT(verify(), 0);
}

static void test_every_flipped_bit(void)
{
	begin();
	ADD(sample_ed25519);
	flip_every_bit();
	begin();
	ADD(sample_sk);
	flip_every_bit();
}

static void test_truncated_anywhere(void)
{
	begin();
	ADD(sample_ed25519);
	for (size_t size = 1; size < area_size; size++)
		CHECK_INT(verify_part(size), -EINVAL);
	begin();
	ADD(sample_sk);
	for (size_t size = 1; size < area_size; size++)
		CHECK_INT(verify_part(size), -EINVAL);
	/* The blob is short, and the area says so. */
	for (size_t size = 0; size < sizeof(sample_sk); size++) {
		begin();
		add(sample_sk, size);
		CHECK_INT(verify(), -EINVAL);
	}
}

static void test_trailing_bytes(void)
{
	uint8_t longer[sizeof(sample_ed25519) + 1] = { 0 };

	memcpy(longer, sample_ed25519, sizeof(sample_ed25519));
	begin();
	ADD(longer);
	CHECK_INT(verify(), -EINVAL);
	begin();
	ADD(sample_ed25519);
	area_size += 8;
	CHECK_INT(verify(), -EINVAL);
}

static void test_hostile_lengths(void)
{
	static const uint32_t lengths[] = { 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff };

	/* In each place where the blob has a length: behind magic and version, then nested. */
	static const size_t places[] = { 10, 14, 29 };

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		for (size_t place = 0; place < sizeof(places) / sizeof(places[0]); place++) {
			begin();
			ADD(sample_ed25519);
			for (unsigned byte = 0; byte < 4; byte++)
				area[sizeof(struct format_signature) + places[place] + byte] =
					(uint8_t)(lengths[i] >> (24 - 8 * byte));
			CHECK_INT(verify(), -EINVAL);
		}
		begin();
		ADD(sample_ed25519);
		((struct format_signature *)area)->size = lengths[i];
		CHECK_INT(verify(), -EINVAL);
	}
}

/* As many as fit: the bound on signers is one that no file reaches. */
static void test_as_many_as_fit(void)
{
	size_t entry = (sizeof(struct format_signature) + sizeof(sample_ed25519) + 7) / 8 * 8;
	size_t count = FORMAT_MAX_SIGNATURES / entry;
	uint8_t *full = malloc(count * entry);

	begin();
	ADD(sample_ed25519);
	for (size_t i = 0; i < count; i++)
		memcpy(full + i * entry, area, entry);
	CHECK(count <= SIGNATURE_MAX_SIGNERS);
	CHECK_INT(signatures_verify(&signatures, full, count * entry, table, sizeof(table), why,
				    sizeof(why)), 0);
	CHECK_INT(signatures.count, count);
	free(full);
}

int main(void)
{
	CHECK_RUN(test_good);
	CHECK_RUN(test_each_kind);
	CHECK_RUN(test_unsigned);
	CHECK_RUN(test_several);
	CHECK_RUN(test_only_unknown);
	CHECK_RUN(test_bad_one_beside_good_ones);
	CHECK_RUN(test_damaged_key_type_beside_a_good_one);
	CHECK_RUN(test_certificate_beside_a_good_one);
	CHECK_RUN(test_other_namespace);
	CHECK_RUN(test_other_file);
	CHECK_RUN(test_every_flipped_bit);
	CHECK_RUN(test_truncated_anywhere);
	CHECK_RUN(test_trailing_bytes);
	CHECK_RUN(test_hostile_lengths);
	CHECK_RUN(test_as_many_as_fit);
	return check_report();
}
