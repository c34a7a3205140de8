/*
 * Whose files may run here: /etc/smolpack/policy.toml and the environment.
 *
 * Both apply; what one asks for the other cannot take back. The file is a strict subset
 * of TOML: comments, `require-signature = true|false` and `signers = ["…", …]`, an
 * entry being a fingerprint (`SHA256:…`) or a public key (`ssh-ed25519 AAAA…`). What
 * cannot be understood is an error: a policy that is not understood allows nothing.
 */
#ifndef SMOLPACK_POLICY_H
#define SMOLPACK_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "signature.h"

#define POLICY_PATH		"/etc/smolpack/policy.toml"
#define POLICY_MAX_SIGNERS	128
#define POLICY_MAX_SIZE		(64u << 10)

/* Signers of whom one at least must have signed; none listed: anyone will do. */
struct policy_signers {
	char		fingerprints[POLICY_MAX_SIGNERS][SIGNATURE_FINGERPRINT_SIZE];
	unsigned	count;
};

struct policy {
	bool			require_signature;
	struct policy_signers	from_file;
	struct policy_signers	from_environment;
};

/**
 * policy_parse - add what @text, @size bytes, asks for; @name is that of the file.
 *
 * Return: 0, or -EINVAL and @why names file, line and defect.
 */
int policy_parse(struct policy *policy, const char *text, size_t size, const char *name, char *why,
		 size_t why_size);

/**
 * policy_read_file - policy_parse() what stands in the file @path; a file that is missing asks
 * for nothing.
 *
 * Return: 0, or a negative errno and @why when it cannot be read or understood.
 */
int policy_read_file(struct policy *policy, const char *path, char *why, size_t why_size);

/**
 * policy_read_environment - add what SMOLPACK_REQUIRE_SIGNATURE (0 or 1) and SMOLPACK_SIGNERS
 * (fingerprints, separated by blanks or commas) ask for.
 *
 * @require, @signers: their values; NULL or empty: not set. Return: 0, or -EINVAL and @why.
 */
int policy_read_environment(struct policy *policy, const char *require, const char *signers,
			    char *why, size_t why_size);

/** policy_check - may a file with these signatures run? Return: 0, or -EACCES and @why. */
int policy_check(const struct policy *policy, const struct signatures *signatures, char *why,
		 size_t why_size);

#endif
