// sources: stub/policy.c stub/signature.c libsodium.c
/* The policy: what is understood, what is refused with its line, and who may run. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "policy.h"
#include "signature_samples.h"

#define ONE	"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define OTHER	"SHA256:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA"

static struct policy policy;
static char why[512];

/* In memory of just that size. */
static int parse_bytes(const char *text, size_t size)
{
	char *copy = malloc(size ? size : 1);
	int error;

	memcpy(copy, text, size);
	policy = (struct policy){ 0 };
	why[0] = '\0';
	error = policy_parse(&policy, copy, size, "policy.toml", why, sizeof(why));
	CHECK(!error == !why[0]);
	free(copy);
	return error;
}

static int parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

static void refused(const char *text, const char *reason)
{
	CHECK_INT(parse(text), -EINVAL);
	if (!CHECK(strstr(why, reason)))
		fprintf(stderr, "\twanted \"%s\" in \"%s\"\n", reason, why);
}

static void test_empty(void)
{
	CHECK_INT(parse(""), 0);
	CHECK_INT(parse("\n\r\n \t\n# nothing\n  # more"), 0);
	CHECK(!policy.require_signature);
	CHECK_INT(policy.from_file.count, 0);
}

static void test_require(void)
{
	CHECK_INT(parse("require-signature = true"), 0);
	CHECK(policy.require_signature);
	CHECK_INT(parse("require-signature=false # not yet\r\n"), 0);
	CHECK(!policy.require_signature);
}

static void test_signers(void)
{
	CHECK_INT(parse("# who\nsigners = [ # two\n\t\"" ONE "\", # one\n\n  '" SAMPLE_KEY
			"' ,\n] # done\nrequire-signature = true\n"), 0);
	CHECK(policy.require_signature);
	CHECK_INT(policy.from_file.count, 2);
	CHECK_STR(policy.from_file.fingerprints[0], ONE);
	CHECK_STR(policy.from_file.fingerprints[1], SAMPLE_FINGERPRINT);
	CHECK_INT(parse("signers=[\"" SAMPLE_SK_KEY "\"]"), 0);
	CHECK_STR(policy.from_file.fingerprints[0], SAMPLE_SK_FINGERPRINT);
}

static void test_refused(void)
{
	refused("require-signature = yes", "line 1: require-signature is true or false");
	refused("\n\nrequire-signature = \"true\"", "line 3: require-signature is true or false");
	refused("require-signature = true false", "line 1: unexpected text");
	refused("require-signature = truesigners = []", "line 1");
	refused("require-signature", "line 1: expected");
	refused("require_signature = true", "line 1: expected");
	refused("\"require-signature\" = true", "line 1: expected");
	refused("[policy]\nrequire-signature = true", "line 1: expected");
	refused("# x\nsomething = 1", "line 2: expected");
	refused("require-signature = true\n\nrequire-signature = true", "line 3: require-signature stands here twice");
	refused("signers = \"" ONE "\"", "array");
	refused("signers = []", "names nobody");
	refused("signers = [\n", "line 2");
	refused("signers = [\"" ONE "\"", "comma or ]");
	refused("signers = [\"" ONE "\" \"" OTHER "\"]", "comma or ]");
	refused("signers = [\"" ONE "\"\n\"" OTHER "\"]", "line 2: expected a comma");
	refused("signers = [,\"" ONE "\"]", "quotation marks");
	refused("signers = [" ONE "]", "quotation marks");
	refused("signers = [\"" ONE "]", "one line");
	refused("signers = [\"a\\u0041\"]", "backslashes");
	refused("signers = [\"\"\"" ONE "\"\"\"]", "neither a fingerprint");
	refused("signers = [\"\"]", "neither a fingerprint");
	refused("signers = [\"SHA256:AAAA\"]", "neither a fingerprint");
	refused("signers = [\"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB\"]", "neither");
	refused("signers = [\"" ONE "=\"]", "neither a fingerprint");
	refused("signers = [\"" ONE " \"]", "neither a fingerprint");
	refused("signers = [\"alice@example.org\"]", "neither a fingerprint");
	refused("signers = [\"" SAMPLE_ECDSA_KEY "\"]", "neither a fingerprint");
	refused("signers = [\"ssh-ed25519 AAAA\"]", "neither a fingerprint");
	refused("signers = [\"ssh-ed25519\"]", "neither a fingerprint");
	refused("signers = [\"sk-" SAMPLE_KEY "\"]", "neither a fingerprint");
	refused("\xef\xbb\xbfrequire-signature = true", "line 1");
	CHECK_INT(parse_bytes("require-signature = true\0", 25), -EINVAL);
	CHECK_INT(parse_bytes("# \0", 3), -EINVAL);
	CHECK_INT(parse("require-signature = true\rsigners = []"), -EINVAL);
}

static void test_too_many_signers(void)
{
	static char text[(POLICY_MAX_SIGNERS + 2) * 64];
	char *at = text + sprintf(text, "signers = [");

	for (unsigned i = 0; i < POLICY_MAX_SIGNERS; i++)
		at += sprintf(at, "\"" ONE "\",\n");
	sprintf(at, "]");
	CHECK_INT(parse(text), 0);
	CHECK_INT(policy.from_file.count, POLICY_MAX_SIGNERS);
	sprintf(at, "\"" ONE "\"]");
	refused(text, "more than 128 signers");
}

static void test_truncated_anywhere(void)
{
	static const char text[] = "require-signature = true\nsigners = [\"" ONE "\",\n\"" SAMPLE_KEY "\"]";

	/* Nothing but the first line whole is a policy. */
	for (size_t size = 1; size < sizeof(text) - 1; size++) {
		int error = parse_bytes(text, size);

		CHECK_INT(error, size == 24 || size == 25 ? 0 : -EINVAL);
	}
}

static void test_file(void)
{
	char path[] = "/tmp/policy_test.XXXXXX";
	char big[POLICY_MAX_SIZE + 1];
	int fd = mkstemp(path);

	policy = (struct policy){ 0 };
	CHECK_INT(policy_read_file(&policy, "/nonexistent/policy.toml", why, sizeof(why)), 0);
	CHECK(policy_read_file(&policy, "/", why, sizeof(why)) < 0);
	CHECK(strstr(why, "cannot be read"));
	CHECK_INT(write(fd, "require-signature = true\n", 25), 25);
	CHECK_INT(policy_read_file(&policy, path, why, sizeof(why)), 0);
	CHECK(policy.require_signature);
	CHECK_INT(write(fd, "x", 1), 1);
	CHECK(policy_read_file(&policy, path, why, sizeof(why)) < 0);
	CHECK(strstr(why, path) && strstr(why, "line 2"));
	memset(big, '\n', sizeof(big));
	CHECK_INT(pwrite(fd, big, sizeof(big), 0), sizeof(big));
	CHECK(policy_read_file(&policy, path, why, sizeof(why)) < 0);
	CHECK(strstr(why, "more than 65536 bytes"));
	close(fd);
	unlink(path);
	/* A pipe that nobody writes to is not waited for. */
	CHECK_INT(mkfifo(path, 0600), 0);
	CHECK(policy_read_file(&policy, path, why, sizeof(why)) < 0);
	unlink(path);
}

static void test_file_without_permission(void)
{
	char path[] = "/tmp/policy_test.XXXXXX";
	int fd = mkstemp(path);

	CHECK_INT(fchmod(fd, 0), 0);
	close(fd);
	if (geteuid() == 0 && seteuid(65534) < 0) {
		unlink(path);
		CHECK_SKIP("root reads everything and cannot become nobody");
	}
	CHECK(policy_read_file(&policy, path, why, sizeof(why)) < 0);
	CHECK(strstr(why, "cannot be opened"));
	if (getuid() == 0)
		CHECK_INT(seteuid(0), 0);
	unlink(path);
}

static int environment(const char *require, const char *signers)
{
	policy = (struct policy){ 0 };
	return policy_read_environment(&policy, require, signers, why, sizeof(why));
}

static void test_environment(void)
{
	CHECK_INT(environment(NULL, NULL), 0);
	CHECK_INT(environment("", ""), 0);
	CHECK_INT(environment("0", NULL), 0);
	CHECK(!policy.require_signature);
	CHECK_INT(environment("1", NULL), 0);
	CHECK(policy.require_signature);
	CHECK_INT(environment("yes", NULL), -EINVAL);
	CHECK_INT(environment("01", NULL), -EINVAL);
	CHECK_INT(environment(NULL, " " ONE ", " OTHER ","), 0);
	CHECK_INT(policy.from_environment.count, 2);
	CHECK_STR(policy.from_environment.fingerprints[1], OTHER);
	CHECK_INT(environment(NULL, ONE " alice"), -EINVAL);
	CHECK(strstr(why, "'alice'"));
	CHECK_INT(environment(NULL, " , "), -EINVAL);
	CHECK_INT(environment(NULL, ONE OTHER), -EINVAL);
	CHECK_INT(environment(NULL, SAMPLE_KEY), -EINVAL);
}

/* The environment cannot take back what the file asks for. */
static void test_environment_only_tightens(void)
{
	CHECK_INT(parse("require-signature = true"), 0);
	CHECK_INT(policy_read_environment(&policy, "0", NULL, why, sizeof(why)), 0);
	CHECK(policy.require_signature);
}

static int check(const char *file, const char *environment_signers, const char *first,
		 const char *second)
{
	static struct signatures signatures;

	CHECK_INT(parse(file), 0);
	CHECK_INT(policy_read_environment(&policy, NULL, environment_signers, why, sizeof(why)), 0);
	signatures.count = 0;
	if (first)
		strcpy(signatures.signers[signatures.count++].fingerprint, first);
	if (second)
		strcpy(signatures.signers[signatures.count++].fingerprint, second);
	return policy_check(&policy, &signatures, why, sizeof(why));
}

static void test_check(void)
{
	static const char one[] = "signers = ['" ONE "']";

	CHECK_INT(check("", NULL, NULL, NULL), 0);
	CHECK_INT(check("", NULL, ONE, NULL), 0);
	CHECK_INT(check("require-signature = true", NULL, NULL, NULL), -EACCES);
	CHECK(strstr(why, "unsigned"));
	CHECK_INT(check("require-signature = true", NULL, ONE, NULL), 0);
	CHECK_INT(check(one, NULL, NULL, NULL), -EACCES);
	CHECK_INT(check(one, NULL, OTHER, NULL), -EACCES);
	CHECK(strstr(why, OTHER) && strstr(why, POLICY_PATH));
	CHECK_INT(check(one, NULL, OTHER, ONE), 0);
	CHECK_INT(check(one, OTHER, ONE, NULL), -EACCES);
	CHECK(strstr(why, "SMOLPACK_SIGNERS"));
	CHECK_INT(check(one, OTHER, OTHER, NULL), -EACCES);
	CHECK_INT(check(one, OTHER, OTHER, ONE), 0);
	CHECK_INT(check("", OTHER, NULL, NULL), -EACCES);
}

int main(void)
{
	CHECK_RUN(test_empty);
	CHECK_RUN(test_require);
	CHECK_RUN(test_signers);
	CHECK_RUN(test_refused);
	CHECK_RUN(test_too_many_signers);
	CHECK_RUN(test_truncated_anywhere);
	CHECK_RUN(test_file);
	CHECK_RUN(test_file_without_permission);
	CHECK_RUN(test_environment);
	CHECK_RUN(test_environment_only_tightens);
	CHECK_RUN(test_check);
	return check_report();
}
