// sources: stub/signature.c libsodium.c
/* The signatures of a file: whatever the bytes, nobody signs but those who have a key. */
#include "fuzz.h"
#include "signature.h"
#include "signature_samples.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct signatures signatures;
	uint8_t table[SAMPLE_TABLE];
	char fingerprint[SIGNATURE_FINGERPRINT_SIZE];
	char why[256] = "";

	if (size > FORMAT_MAX_SIGNATURES)
		return 0;
	sample_table(table);
	if (signatures_verify(&signatures, data, size, table, sizeof(table), why, sizeof(why)) == 0) {
		MUST(signatures.count || size == 0);
		for (unsigned i = 0; i < signatures.count; i++) {
			const struct signer *signer = &signatures.signers[i];

			MUST(!strcmp(signer->fingerprint, SAMPLE_FINGERPRINT) ||
			     !strcmp(signer->fingerprint, SAMPLE_SK_FINGERPRINT));
			MUST(signer->time == SAMPLE_TIME);
		}
	} else {
		MUST(why[0]);
	}
	if (signature_fingerprint(fingerprint, data, size) == 0)
		MUST(strlen(fingerprint) == SIGNATURE_FINGERPRINT_SIZE - 1);
	return 0;
}
