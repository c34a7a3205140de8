/* Reads and verifies OpenSSH signatures. Only one form of each is accepted. */
#include "signature.h"

#include <errno.h>
#include <sodium/crypto_hash_sha256.h>
#include <sodium/crypto_hash_sha512.h>
#include <sodium/crypto_sign_ed25519.h>
#include <sodium/utils.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define COMPLAIN(...) (snprintf(why, why_size, __VA_ARGS__), -EINVAL)

#define MAGIC		"SSHSIG"
#define ED25519		"ssh-ed25519"
#define SK_ED25519	"sk-ssh-ed25519@openssh.com"
#define POINT_SIZE	crypto_sign_ed25519_PUBLICKEYBYTES
#define RAW_SIZE	crypto_sign_ed25519_BYTES
#define MAX_TYPE_NAME	64	/* RFC 4251, section 6 */
#define SK_EXTRA	5	/* a byte of flags and a counter of 32 bits (PROTOCOL.u2f) */

/* What is left to be read; ->bytes NULL: something was cut short. */
struct reader {
	const uint8_t	*bytes;
	size_t		size;
};

static const uint8_t *take(struct reader *reader, size_t size)
{
	const uint8_t *taken = reader->bytes;

	if (!taken || size > reader->size) {
		*reader = (struct reader){ 0 };
		return NULL;
	}
	reader->bytes += size;
	reader->size -= size;
	return taken;
}

static uint32_t take_number(struct reader *reader)
{
	const uint8_t *at = take(reader, 4);

	return at ? (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3] : 0;
}

static struct reader take_string(struct reader *reader)
{
	size_t size = take_number(reader);
	const uint8_t *bytes = take(reader, size);

	return (struct reader){ bytes, bytes ? size : 0 };
}

/* Everything was read, and nothing was missing. */
static bool at_end(const struct reader *reader)
{
	return reader->bytes && reader->size == 0;
}

static bool is_text(const struct reader *string, const char *text)
{
	return string->bytes && string->size == strlen(text) &&
	       memcmp(string->bytes, text, string->size) == 0;
}

enum key_type {
	KEY_MALFORMED,
	KEY_UNKNOWN,	/* well-formed as far as can be told */
	KEY_ED25519,
	KEY_SK_ED25519,
};

struct key {
	enum key_type	type;
	struct reader	blob;
	const uint8_t	*point;
	struct reader	application;	/* of a hardware key */
	bool		is_certificate;	/* of a type that is not known */
};

static bool is_type_name(const struct reader *name)
{
	if (!name->bytes || name->size == 0 || name->size > MAX_TYPE_NAME)
		return false;
	for (size_t i = 0; i < name->size; i++)
		if (name->bytes[i] < '!' || name->bytes[i] > '~' || name->bytes[i] == ',')
			return false;
	return true;
}

static struct key read_key(struct reader blob)
{
	struct key key = { .blob = blob };
	struct reader name = take_string(&blob);
	enum key_type type = is_text(&name, ED25519) ? KEY_ED25519
			     : is_text(&name, SK_ED25519) ? KEY_SK_ED25519
							  : KEY_UNKNOWN;

	if (!is_type_name(&name))
		return key;
	key.is_certificate = memmem(name.bytes, name.size, "-cert-v", 7) != NULL;
	if (type != KEY_UNKNOWN) {
		struct reader point = take_string(&blob);

		if (type == KEY_SK_ED25519)
			key.application = take_string(&blob);
		if (!at_end(&blob) || point.size != POINT_SIZE)
			return key;
		key.point = point.bytes;
	}
	key.type = type;
	return key;
}

static void print_fingerprint(char *fingerprint, const struct key *key)
{
	static const char prefix[] = "SHA256:";
	uint8_t digest[crypto_hash_sha256_BYTES];

	crypto_hash_sha256(digest, key->blob.bytes, key->blob.size);
	memcpy(fingerprint, prefix, sizeof(prefix));
	sodium_bin2base64(fingerprint + strlen(prefix), SIGNATURE_FINGERPRINT_SIZE - strlen(prefix),
			  digest, sizeof(digest), sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
}

int signature_fingerprint(char fingerprint[SIGNATURE_FINGERPRINT_SIZE], const uint8_t *key,
			  size_t size)
{
	struct key read = read_key((struct reader){ key, size });

	if (read.type != KEY_ED25519 && read.type != KEY_SK_ED25519)
		return -EINVAL;
	print_fingerprint(fingerprint, &read);
	return 0;
}

/* What the file is: all that a signature covers. */
struct payload {
	const uint8_t	*table;
	size_t		table_size;
	uint64_t	time;		/* little-endian, as it stands in the file */
};

struct message {
	uint8_t	bytes[256];	/* the longest one has less than 128 */
	size_t	size;
};

static void put(struct message *message, const void *bytes, size_t size)
{
	memcpy(message->bytes + message->size, bytes, size);
	message->size += size;
}

static void put_string(struct message *message, const void *bytes, size_t size)
{
	uint8_t length[4] = { 0, 0, 0, (uint8_t)size };

	put(message, length, sizeof(length));
	put(message, bytes, size);
}

/* What ssh-keygen signs for a payload. Return: whether the name is one of a hash. */
static bool compose(struct message *message, const struct payload *payload,
		    const struct reader *hash_name)
{
	uint8_t digest[crypto_hash_sha512_BYTES];
	size_t digest_size;

	if (is_text(hash_name, "sha512")) {
		crypto_hash_sha512_state state;

		crypto_hash_sha512_init(&state);
		crypto_hash_sha512_update(&state, payload->table, payload->table_size);
		crypto_hash_sha512_update(&state, (const uint8_t *)&payload->time,
					  sizeof(payload->time));
		crypto_hash_sha512_final(&state, digest);
		digest_size = crypto_hash_sha512_BYTES;
	} else if (is_text(hash_name, "sha256")) {
		crypto_hash_sha256_state state;

		crypto_hash_sha256_init(&state);
		crypto_hash_sha256_update(&state, payload->table, payload->table_size);
		crypto_hash_sha256_update(&state, (const uint8_t *)&payload->time,
					  sizeof(payload->time));
		crypto_hash_sha256_final(&state, digest);
		digest_size = crypto_hash_sha256_BYTES;
	} else {
		return false;
	}
	message->size = 0;
	put(message, MAGIC, strlen(MAGIC));
	put_string(message, FORMAT_NAMESPACE, strlen(FORMAT_NAMESPACE));
	put_string(message, "", 0);
	put_string(message, hash_name->bytes, hash_name->size);
	put_string(message, digest, digest_size);
	return true;
}

/* A hardware key signs the hashes of its application and of the message, and what it adds. */
static void compose_for_hardware(struct message *message, const struct key *key,
				 const uint8_t *extra)
{
	uint8_t digest[crypto_hash_sha256_BYTES];
	struct message outer = { .size = 0 };

	crypto_hash_sha256(digest, key->application.bytes, key->application.size);
	put(&outer, digest, sizeof(digest));
	put(&outer, extra, SK_EXTRA);
	crypto_hash_sha256(digest, message->bytes, message->size);
	put(&outer, digest, sizeof(digest));
	*message = outer;
}

/* Return: 0, -EINVAL for a malformed signature or -EBADMSG for one over something else. */
static int verify_raw(const struct key *key, struct reader signature, struct message *message)
{
	bool hardware = key->type == KEY_SK_ED25519;
	struct reader name = take_string(&signature);
	struct reader raw = take_string(&signature);

	if (!is_text(&name, hardware ? SK_ED25519 : ED25519) || raw.size != RAW_SIZE)
		return -EINVAL;
	if (hardware) {
		const uint8_t *extra = take(&signature, SK_EXTRA);

		if (!extra)
			return -EINVAL;
		compose_for_hardware(message, key, extra);
	}
	if (!at_end(&signature))
		return -EINVAL;
	return crypto_sign_ed25519_verify_detached(raw.bytes, message->bytes, message->size,
						   key->point) == 0 ? 0 : -EBADMSG;
}

/* Is the string that @signature starts with the name of a type that we verify? */
static bool is_known_type(struct reader signature)
{
	struct reader name = take_string(&signature);

	return is_text(&name, ED25519) || is_text(&name, SK_ED25519);
}

static int verify_blob(struct signatures *signatures, struct reader blob,
		       const struct payload *payload, char *why, size_t why_size)
{
	struct signer *signer = &signatures->signers[signatures->count];
	struct message message;

	struct reader magic = { take(&blob, strlen(MAGIC)), strlen(MAGIC) };
	uint32_t version = take_number(&blob);
	struct key key = read_key(take_string(&blob));
	struct reader namespace = take_string(&blob);
	struct reader reserved = take_string(&blob);
	struct reader hash_name = take_string(&blob);
	struct reader signature = take_string(&blob);

	if (!at_end(&blob) || !is_text(&magic, MAGIC) || version != 1 || reserved.size ||
	    key.type == KEY_MALFORMED || !compose(&message, payload, &hash_name))
		return COMPLAIN("a signature is malformed");
	if (key.type == KEY_UNKNOWN) {
		/* Or is it one of ours with a damaged name? */
		if (!key.is_certificate && is_known_type(signature))
			return COMPLAIN("a signature is malformed: its key is of another type");
		signatures->unknown++;
		return 0;
	}
	if (signatures->count == SIGNATURE_MAX_SIGNERS)
		return COMPLAIN("it has too many signatures");
	print_fingerprint(signer->fingerprint, &key);
	if (!is_text(&namespace, FORMAT_NAMESPACE))
		return COMPLAIN("the signature by %s was made for something else: its namespace is "
				"not " FORMAT_NAMESPACE, signer->fingerprint);

	int error = verify_raw(&key, signature, &message);

	if (error == -EINVAL)
		return COMPLAIN("the signature by %s is malformed", signer->fingerprint);
	if (error) {
		snprintf(why, why_size, "the signature by %s does not match: the file was changed "
			 "after it was signed", signer->fingerprint);
		return error;
	}
	signer->time = payload->time;
	signatures->count++;
	return 0;
}

int signatures_verify(struct signatures *signatures, const uint8_t *area, size_t size,
		      const uint8_t *table, size_t table_size, char *why, size_t why_size)
{
	struct reader rest = { area, size };
	struct payload payload = { .table = table, .table_size = table_size };

	signatures->count = signatures->unknown = 0;
	while (rest.size > 0) {
		struct format_signature header;
		const uint8_t *bytes = take(&rest, sizeof(header));

		if (!bytes)
			return COMPLAIN("a signature is cut short");
		memcpy(&header, bytes, sizeof(header));
		payload.time = header.time;

		struct reader blob = { take(&rest, header.size), header.size };
		size_t padding = (8 - header.size % 8) % 8;
		const uint8_t *zeros = take(&rest, padding);

		if (!zeros || header.size == 0)
			return COMPLAIN("a signature is cut short");
		if (header.reserved || !sodium_is_zero(zeros, padding))
			return COMPLAIN("reserved bytes of a signature are not zero");

		int error = verify_blob(signatures, blob, &payload, why, why_size);

		if (error)
			return error;
	}
	if (signatures->unknown && !signatures->count)
		return COMPLAIN("its signatures are by keys of unknown types: only " ED25519 " and "
				SK_ED25519 " are verified");
	return 0;
}
