/* Writes a few good inputs for each fuzz target below the directory that is its argument. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <zstd.h>

#include "../../guest/proto.h"
#include "fake_artifact.h"
#include "fake_driver.h"
#include "signature_samples.h"

static const char *base;
static uint8_t seed[1 << 16];
static size_t seed_size;

static void put(const void *bytes, size_t size)
{
	memcpy(seed + seed_size, bytes, size);
	seed_size += size;
}

static void put_byte(uint8_t byte)
{
	put(&byte, 1);
}

static void save(const char *target, const char *name)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", base, target);
	mkdir(base, 0777);
	mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/%s/%s", base, target, name);
	file = fopen(path, "w");
	if (!file || fwrite(seed, 1, seed_size, file) != seed_size || fclose(file) != 0) {
		perror(path);
		exit(1);
	}
	seed_size = 0;
}

static void artifact_seeds(void)
{
	fake_artifact();
	for (uint8_t flags = 0; flags < 4; flags++) {
		const char name[] = { (char)('0' + flags), '\0' };

		put_byte(flags);
		put_byte(sizeof(fake_config) - 1);
		put(fake_config, sizeof(fake_config) - 1);
		put(fake_bytes + FAKE_TABLE_OFFSET, FAKE_FILE_SIZE - FAKE_TABLE_OFFSET);
		save("artifact", name);
	}
}

static void put_signature(const void *blob, size_t size)
{
	struct format_signature header = { .time = SAMPLE_TIME, .size = (uint32_t)size };

	put(&header, sizeof(header));
	put(blob, size);
	while (seed_size % 8)
		put_byte(0);
}

static void signature_seeds(void)
{
	put_signature(sample_ed25519, sizeof(sample_ed25519));
	save("signature", "ed25519");
	put_signature(sample_sk, sizeof(sample_sk));
	save("signature", "sk");
	put_signature(sample_ecdsa, sizeof(sample_ecdsa));
	put_signature(sample_ed25519_sha256, sizeof(sample_ed25519_sha256));
	put_signature(sample_other_namespace, sizeof(sample_other_namespace));
	save("signature", "several");
	/* A public key's wire form. */
	put(sample_ed25519 + 14, 51);
	save("signature", "key");
}

static void user_seeds(void)
{
	static const char *const wanted[] = { "bob", "1000", "bob:staff", "7:8", ":", "amy" };
	static const char files[] = "\xff" "root:x:0:0::/root:\nbob:x:1000:1001:Bob:/home/bob:/bin/sh\n"
				    "\xff" "bob:x:1001:\nstaff:x:50:amy,bob\n";

	for (unsigned i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		const char name[] = { (char)('0' + i), '\0' };

		put(wanted[i], strlen(wanted[i]));
		put(files, sizeof(files) - 1);
		save("user", name);
	}
}

static void policy_seeds(void)
{
	static const char all[] = "# who\nrequire-signature = true\nsigners = [\n\t\"" SAMPLE_FINGERPRINT
				  "\", # one\n\t'" SAMPLE_KEY "',\n\t\"" SAMPLE_SK_KEY "\",\n]\n";
	static const char words[] = SAMPLE_FINGERPRINT ", " SAMPLE_SK_FINGERPRINT;

	put(all, sizeof(all) - 1);
	save("policy", "file");
	put(words, sizeof(words) - 1);
	save("policy", "environment");
}

static void kernel_seed(const char *name, uint32_t encoding)
{
	static uint8_t image[3 * 4096];
	struct format_kernel header = {
		.load_address = 0x1000000, .entry = 0x1000100, .image_size = sizeof(image),
		.memory_size = 2 * sizeof(image), .encoding = encoding, .frame_count = 2,
	};
	struct format_frame frames[2];
	uint8_t stored[2][3 * 4096];
	uint64_t at = sizeof(header) + sizeof(frames);

	for (size_t i = 0; i < sizeof(image); i++)
		image[i] = (uint8_t)(i / 7);
	for (unsigned i = 0; i < 2; i++) {
		size_t from = i * 4096, size = i ? 2 * 4096 : 4096;

		frames[i] = (struct format_frame){
			.offset = at, .size = size, .image_offset = from, .image_size = size,
		};
		if (encoding == FORMAT_ENCODING_ZSTD)
			frames[i].size = ZSTD_compress(stored[i], sizeof(stored[i]), image + from, size, 3);
		else
			memcpy(stored[i], image + from, size);
		at += frames[i].size;
	}
	put(&header, sizeof(header));
	put(frames, sizeof(frames));
	for (unsigned i = 0; i < 2; i++)
		put(stored[i], frames[i].size);
	save("kernel", name);
}

static void put_frame(uint32_t type, const void *payload, uint32_t size)
{
	struct proto_header header = { .type = type, .size = size };

	put(&header, sizeof(header));
	put(payload, size);
}

static void control_seeds(void)
{
	struct proto_hello hello = { .version = PROTO_VERSION };
	struct proto_exit end = { 0 };

	put_byte(255);
	put_frame(PROTO_HELLO, &hello, sizeof(hello));
	put_frame(PROTO_STARTED, "", 0);
	put_frame(PROTO_TIME, "", 0);
	put_frame(PROTO_EXIT, &end, sizeof(end));
	save("control", "whole");
	put_byte(0);
	put_frame(PROTO_HELLO, &hello, sizeof(hello));
	put_frame(PROTO_ERROR, "\x7f\0\0\0not found\x1b[2J", 17);
	save("control", "pieces");
}

/* A read of two sectors into two buffers. */
static void virtqueue_seed(const char *name, uint64_t sector, uint8_t flags)
{
	static const uint16_t available[2 + 16] = { 0, 1, 0 };
	const struct driver_desc descriptors[16] = {
		{ DRIVER_BUFFERS, 16, DESC_NEXT, 1 },
		{ DRIVER_BUFFERS + 0x1000, 512, DESC_NEXT | DESC_WRITE, 2 },
		{ DRIVER_BUFFERS + 0x2000, 512, DESC_NEXT | DESC_WRITE, 3 },
		{ DRIVER_BUFFERS + 0x3000, 1, DESC_WRITE, 0 },
	};
	const struct { uint32_t type, reserved; uint64_t sector; } header = { 0, 0, sector };

	put_byte(flags);
	put(available, sizeof(available));
	put(descriptors, sizeof(descriptors));
	put(&header, sizeof(header));
	save("virtqueue", name);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	base = argv[1];
	artifact_seeds();
	signature_seeds();
	policy_seeds();
	user_seeds();
	kernel_seed("raw", FORMAT_ENCODING_RAW);
	kernel_seed("zstd", FORMAT_ENCODING_ZSTD);
	control_seeds();
	virtqueue_seed("first", 0, 0);
	virtqueue_seed("across", 127, 1);
	virtqueue_seed("damaged", 128, 0);
	virtqueue_seed("end", 257, 1);
	return 0;
}
