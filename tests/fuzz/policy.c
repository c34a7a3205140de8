// sources: stub/policy.c stub/signature.c libsodium.c
/* The policy: a file, and the same bytes as the environment's words. */
#include "fuzz.h"
#include "policy.h"

static void look_at(const struct policy_signers *signers)
{
	MUST(signers->count <= POLICY_MAX_SIGNERS);
	for (unsigned i = 0; i < signers->count; i++)
		MUST(strlen(signers->fingerprints[i]) == SIGNATURE_FINGERPRINT_SIZE - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct policy policy;
	static struct signatures nobody;
	char why[256] = "";

	memset(&policy, 0, sizeof(policy));
	if (policy_parse(&policy, (const char *)data, size, "policy.toml", why, sizeof(why)) == 0) {
		look_at(&policy.from_file);
		/* Who asks for something does not let an unsigned file run. */
		if (policy.require_signature || policy.from_file.count)
			MUST(policy_check(&policy, &nobody, why, sizeof(why)) < 0);
	} else {
		MUST(strncmp(why, "policy.toml, line ", 18) == 0);
	}

	char *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	memset(&policy, 0, sizeof(policy));
	if (policy_read_environment(&policy, NULL, text, why, sizeof(why)) == 0)
		MUST(!*text || policy.from_environment.count);
	look_at(&policy.from_environment);
	free(text);
	return 0;
}
