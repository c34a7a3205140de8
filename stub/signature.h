/*
 * The signatures of a packed file: OpenSSH signatures (PROTOCOL.sshsig) over its table.
 *
 * They say that whoever has a key signed these sections, not that this key is to be trusted.
 */
#ifndef SMOLPACK_SIGNATURE_H
#define SMOLPACK_SIGNATURE_H

#include <stddef.h>
#include <stdint.h>

#include "format.h"

/* `SHA256:`, 43 characters of Base64 and a NUL, as ssh-keygen prints it. */
#define SIGNATURE_FINGERPRINT_SIZE	51

/* No more fit into the file: one takes 16 bytes and a blob of 178 at least. */
#define SIGNATURE_MAX_SIGNERS		(FORMAT_MAX_SIGNATURES / 194)

/* A key that signed the file. */
struct signer {
	uint64_t	time;		/* as it says itself, seconds since 1970 */
	char		fingerprint[SIGNATURE_FINGERPRINT_SIZE];
};

struct signatures {
	struct signer	signers[SIGNATURE_MAX_SIGNERS];
	unsigned	count;		/* signers; 0: unsigned */
	unsigned	unknown;	/* signatures by keys of types that are not verified here */
};

/**
 * signatures_verify - check all signatures in the @size bytes at @area over the table.
 *
 * Keys may be of type ssh-ed25519 or sk-ssh-ed25519@openssh.com; others are counted
 * and passed over. No signature at all is no error; none of a type that is known is one.
 * Return: 0, or -EINVAL (malformed, or of no known type) or -EBADMSG (it does not
 * match) and @why says which one.
 */
int signatures_verify(struct signatures *signatures, const uint8_t *area, size_t size,
		      const uint8_t *table, size_t table_size, char *why, size_t why_size);

/**
 * signature_fingerprint - of a public key in its wire form, @size bytes at @key.
 *
 * Return: 0, or -EINVAL when it is no key of a type that is known.
 */
int signature_fingerprint(char fingerprint[SIGNATURE_FINGERPRINT_SIZE], const uint8_t *key,
			  size_t size);

#endif
