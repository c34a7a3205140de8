/* Reads the policy and applies it. */
#include "policy.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium/utils.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMPLAIN(...) (snprintf(why, why_size, __VA_ARGS__), -EINVAL)

#define FINGERPRINT_PREFIX	"SHA256:"
#define BLANKS			" \t"
#define MAX_STRING		512	/* a public key with a long comment */
#define MAX_KEY			256	/* its wire form */

static bool is_fingerprint(const char *text)
{
	const char *digits = text + strlen(FINGERPRINT_PREFIX);
	uint8_t digest[32];
	size_t size;

	return strncmp(text, FINGERPRINT_PREFIX, strlen(FINGERPRINT_PREFIX)) == 0 &&
	       strlen(text) == SIGNATURE_FINGERPRINT_SIZE - 1 &&
	       sodium_base642bin(digest, sizeof(digest), digits, strlen(digits), NULL, &size, NULL,
				 sodium_base64_VARIANT_ORIGINAL_NO_PADDING) == 0 &&
	       size == sizeof(digest);
}

/* `TYPE BASE64 [COMMENT]`, as .pub files have it. Return: 0 or -EINVAL. */
static int key_fingerprint(char *fingerprint, const char *text)
{
	size_t type_length = strcspn(text, BLANKS);
	const char *digits = text + type_length + strspn(text + type_length, BLANKS);
	size_t size, digits_length = strcspn(digits, BLANKS);
	uint8_t key[MAX_KEY];

	if (sodium_base642bin(key, sizeof(key), digits, digits_length, NULL, &size, NULL,
			      sodium_base64_VARIANT_ORIGINAL) < 0)
		return -EINVAL;
	/* The type stands in the key as well, behind its length. */
	if (size < 4 + type_length || memcmp(key + 4, text, type_length) || key[3] != type_length)
		return -EINVAL;
	return signature_fingerprint(fingerprint, key, size);
}

/* Return: 0, -EINVAL when @text names no signer, -E2BIG when there are too many. */
static int add_signer(struct policy_signers *signers, const char *text)
{
	if (signers->count == POLICY_MAX_SIGNERS)
		return -E2BIG;
	char *fingerprint = signers->fingerprints[signers->count];

	if (is_fingerprint(text))
		memcpy(fingerprint, text, SIGNATURE_FINGERPRINT_SIZE);
	else if (key_fingerprint(fingerprint, text) < 0)
		return -EINVAL;
	signers->count++;
	return 0;
}

/* The text of a policy file, read from ->at on; the first error sticks. */
struct parser {
	struct policy	*policy;
	const char	*at, *end;
	unsigned	line;
	const char	*name;
	char		*why;
	size_t		why_size;
	bool		failed;
};

__attribute__((format(printf, 2, 3)))
static void complain(struct parser *parser, const char *format, ...)
{
	va_list values;

	if (parser->failed)
		return;
	parser->failed = true;
	int used = snprintf(parser->why, parser->why_size, "%s, line %u: ", parser->name,
			    parser->line);

	if (used < 0 || (size_t)used >= parser->why_size)
		return;
	va_start(values, format);
	vsnprintf(parser->why + used, parser->why_size - (size_t)used, format, values);
	va_end(values);
}

static bool is_next(const struct parser *parser, char wanted)
{
	return !parser->failed && parser->at < parser->end && *parser->at == wanted;
}

static bool accept(struct parser *parser, char wanted)
{
	bool there = is_next(parser, wanted);

	parser->at += there;
	return there;
}

static void skip_blanks(struct parser *parser)
{
	while (accept(parser, ' ') || accept(parser, '\t'))
		;
}

/* What may stand behind everything: blanks, a comment. */
static void skip_comment(struct parser *parser)
{
	skip_blanks(parser);
	if (!accept(parser, '#'))
		return;
	while (parser->at < parser->end && *parser->at != '\n' && *parser->at != '\r') {
		if ((unsigned char)*parser->at < ' ' && *parser->at != '\t')
			complain(parser, "a control character in a comment");
		parser->at++;
	}
}

/* Return: whether a line ends here. */
static bool accept_line_end(struct parser *parser)
{
	const char *before = parser->at;

	accept(parser, '\r');
	if (!accept(parser, '\n')) {
		parser->at = before;
		return false;
	}
	parser->line++;
	return true;
}

static void skip_empty_lines(struct parser *parser)
{
	do
		skip_comment(parser);
	while (accept_line_end(parser));
}

/* A word of letters, digits and dashes. */
static void read_word(struct parser *parser, char *word, size_t size)
{
	size_t length = 0;

	while (parser->at < parser->end && length < size - 1 &&
	       ((*parser->at >= 'a' && *parser->at <= 'z') || *parser->at == '-'))
		word[length++] = *parser->at++;
	word[length] = '\0';
}

static void read_string(struct parser *parser, char *string, size_t size)
{
	char quote = is_next(parser, '\'') ? '\'' : '"';
	size_t length = 0;

	string[0] = '\0';
	if (!accept(parser, quote)) {
		complain(parser, "a signer must stand in quotation marks");
		return;
	}
	while (!accept(parser, quote)) {
		if (parser->at == parser->end || (unsigned char)*parser->at < ' ' ||
		    *parser->at == '\\' || length == size - 1) {
			complain(parser, "a string must be one line, without backslashes, of at "
				 "most %zu characters", size - 1);
			return;
		}
		string[length++] = *parser->at++;
	}
	string[length] = '\0';
}

static void read_signers(struct parser *parser)
{
	struct policy_signers *signers = &parser->policy->from_file;
	char text[MAX_STRING];

	if (!accept(parser, '['))
		complain(parser, "signers needs an array of strings, like [\"SHA256:…\"]");
	for (skip_empty_lines(parser); !parser->failed && !accept(parser, ']');
	     skip_empty_lines(parser)) {
		read_string(parser, text, sizeof(text));
		int error = parser->failed ? 0 : add_signer(signers, text);

		if (error == -E2BIG)
			complain(parser, "more than %d signers", POLICY_MAX_SIGNERS);
		else if (error)
			complain(parser, "'%.80s' is neither a fingerprint like SHA256:… nor a "
				 "public key like ssh-ed25519 AAAA…", text);
		skip_empty_lines(parser);
		if (!accept(parser, ',') && !is_next(parser, ']'))
			complain(parser, "expected a comma or ] after a signer");
	}
	if (signers->count == 0)
		complain(parser, "signers names nobody; leave it out to accept everybody");
}

static void read_require(struct parser *parser)
{
	char word[8];

	read_word(parser, word, sizeof(word));
	if (strcmp(word, "true") == 0)
		parser->policy->require_signature = true;
	else if (strcmp(word, "false"))
		complain(parser, "require-signature is true or false");
}

static const struct {
	const char	*name;
	void		(*read)(struct parser *parser);
} keys[] = {
	{ "require-signature", read_require },
	{ "signers", read_signers },
};

#define KEYS (sizeof(keys) / sizeof(keys[0]))

/* Return: which key stands here, KEYS after a complaint. */
static size_t read_key(struct parser *parser)
{
	char word[32];
	size_t key = 0;

	read_word(parser, word, sizeof(word));
	while (key < KEYS && strcmp(word, keys[key].name))
		key++;
	skip_blanks(parser);
	if (key == KEYS || !accept(parser, '=')) {
		complain(parser, "expected require-signature = … or signers = …; nothing else is known here");
		return KEYS;
	}
	skip_blanks(parser);
	return key;
}

int policy_parse(struct policy *policy, const char *text, size_t size, const char *name, char *why,
		 size_t why_size)
{
	struct parser parser = {
		.policy = policy, .at = text, .end = text + size, .line = 1,
		.name = name, .why = why, .why_size = why_size,
	};
	bool seen[KEYS] = { false };

	for (skip_empty_lines(&parser); parser.at < parser.end && !parser.failed;
	     skip_empty_lines(&parser)) {
		size_t key = read_key(&parser);

		if (key == KEYS)
			break;
		if (seen[key])
			complain(&parser, "%s stands here twice", keys[key].name);
		seen[key] = true;
		keys[key].read(&parser);
		skip_comment(&parser);
		if (parser.at < parser.end && !is_next(&parser, '\n') && !is_next(&parser, '\r'))
			complain(&parser, "unexpected text behind a value");
	}
	return parser.failed ? -EINVAL : 0;
}

int policy_read_file(struct policy *policy, const char *path, char *why, size_t why_size)
{
	/* Not to wait for the other end of a pipe. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return COMPLAIN("%s cannot be opened: %s", path, strerror(errno));

	/* One more than allowed, to see whether it is too long. */
	char *text = malloc(POLICY_MAX_SIZE + 1);
	ssize_t size = -1;
	int error;

	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && text)
		size = read(fd, text, POLICY_MAX_SIZE + 1);
	close(fd);
	if (size < 0)
		error = COMPLAIN("%s cannot be read", path);
	else if (size > (ssize_t)POLICY_MAX_SIZE)
		error = COMPLAIN("%s has more than %u bytes", path, POLICY_MAX_SIZE);
	else
		error = policy_parse(policy, text, (size_t)size, path, why, why_size);
	free(text);
	return error;
}

int policy_read_environment(struct policy *policy, const char *require, const char *signers,
			    char *why, size_t why_size)
{
	static const char separators[] = " \t\n,";

	if (require && strcmp(require, "1") == 0)
		policy->require_signature = true;
	else if (require && *require && strcmp(require, "0"))
		return COMPLAIN("SMOLPACK_REQUIRE_SIGNATURE must be 0 or 1, not '%.80s'", require);
	bool named = signers && *signers;

	for (signers = named ? signers : ""; *(signers += strspn(signers, separators));) {
		char word[SIGNATURE_FINGERPRINT_SIZE] = "";
		size_t length = strcspn(signers, separators);
		int error;

		if (length < sizeof(word))
			memcpy(word, signers, length);
		error = is_fingerprint(word) ? add_signer(&policy->from_environment, word) : -EINVAL;
		if (error == -E2BIG)
			return COMPLAIN("SMOLPACK_SIGNERS has more than %d signers",
					POLICY_MAX_SIGNERS);
		if (error)
			return COMPLAIN("SMOLPACK_SIGNERS: '%.*s' is no fingerprint like SHA256:…",
					length > 80 ? 80 : (int)length, signers);
		signers += length;
	}
	if (named && policy->from_environment.count == 0)
		return COMPLAIN("SMOLPACK_SIGNERS names nobody; unset it to accept everybody");
	return 0;
}

static bool accepted(const struct policy_signers *signers, const struct signatures *signatures)
{
	if (signers->count == 0)
		return true;
	for (unsigned i = 0; i < signers->count; i++)
		for (unsigned j = 0; j < signatures->count; j++)
			if (strcmp(signers->fingerprints[i], signatures->signers[j].fingerprint) == 0)
				return true;
	return false;
}

int policy_check(const struct policy *policy, const struct signatures *signatures, char *why,
		 size_t why_size)
{
	bool wants_signers = policy->from_file.count || policy->from_environment.count;

	if (signatures->count == 0 && (policy->require_signature || wants_signers)) {
		snprintf(why, why_size, "it is unsigned, and the policy here (" POLICY_PATH
			 " or SMOLPACK_REQUIRE_SIGNATURE, SMOLPACK_SIGNERS) wants a signature; ask "
			 "its maker for a signed file");
		return -EACCES;
	}
	const char *refusing = !accepted(&policy->from_file, signatures) ? POLICY_PATH
			       : !accepted(&policy->from_environment, signatures) ? "SMOLPACK_SIGNERS"
										  : NULL;

	if (!refusing)
		return 0;
	snprintf(why, why_size, "it is signed by %s%s, whom %s does not list; add the fingerprint "
		 "there if you trust this signer", signatures->signers[0].fingerprint,
		 signatures->count > 1 ? " and others" : "", refusing);
	return -EACCES;
}
