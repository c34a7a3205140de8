// sources: stub/hashtree.c libsodium.c
/* Hash trees: roots known from another implementation, sizes around every edge, flipped bytes. */
#include <errno.h>
#include <sys/mman.h>

#include "check.h"
#include "fake_tree.h"

#define CHUNK	FORMAT_CHUNK_SIZE
#define LARGEST	(129 * CHUNK + 1)

static uint8_t *data;
static struct hashtree tree;

static void make_data(void)
{
	data = malloc(LARGEST);
	for (unsigned i = 0; i < LARGEST; i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
}

static void print_hash(char text[65], const uint8_t hash[32])
{
	for (unsigned i = 0; i < 32; i++)
		sprintf(text + 2 * i, "%02x", hash[i]);
}

/* Roots computed by Python's hashlib.blake2b(digest_size=32, person=…). */
static const struct {
	uint64_t	size, nodes_size;
	const char	*root;
} known[] = {
	{ 1, 0, "b9f77ba1858242d2f048dd6ead79c70c3fd3f0b51dce86f1cffc985e7f84128b" },
	{ 65535, 0, "208bbe2242ae373ad4a8b77d41be9150d6ec304ef6bf464c7953c8e2b24e9dd0" },
	{ 65536, 0, "001791a6172bafa6b71224e6ee0a7b440ff340e24bc54d8b04e879f6aeeb4c1b" },
	{ 65537, 64, "6aa5703c2ef2e5dbf3feaf29687c79f0d8e7bbaffc7537950efec9767ed9460d" },
	{ 8388607, 4096, "4b771e8f42c58853b26333c61654b08c60ebd8355a85343f65c565a15e5d2599" },
	{ 8388608, 4096, "9111a9f425e13cb6dc0d9ad06995e5b1d40582f7102279257f98b4b84785722f" },
	{ 8388609, 4192, "265a54594f6cc117535a22cc51351a746ed5339912febd01f240eb297a22f3b9" },
	{ 8454145, 4224, "4a37cf486a2a74dbc7e77e1180e4ddd76b85fd6894c608bc2df1937b30177fc7" },
};

static void test_known_roots(void)
{
	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		char root[65];

		CHECK_INT(fake_tree(&tree, data, known[i].size), known[i].nodes_size);
		CHECK_INT(hashtree_nodes_size(known[i].size), known[i].nodes_size);
		print_hash(root, tree.root);
		CHECK_STR(root, known[i].root);
		CHECK_INT(hashtree_check_range(&tree, data, 0, known[i].size, NULL), 0);
		CHECK_INT(hashtree_chunk_count(&tree), (known[i].size + CHUNK - 1) / CHUNK);
		fake_tree_free(&tree);
	}
}

/* Three levels: 1 GiB of zeros and a byte. All leaves but the last are the same. */
static void test_three_levels(void)
{
	const uint64_t chunks = 128 * 128 + 1, size = (chunks - 1) * CHUNK + 1;
	uint8_t *nodes = malloc(2 * 32 * chunks);
	uint8_t zeros[CHUNK] = { 0 };
	char root[65];

	tree = (struct hashtree){ .size = size, .nodes = nodes };
	fake_hash(nodes, zeros, CHUNK, FORMAT_HASH_CHUNK);
	for (uint64_t i = 1; i < chunks - 1; i++)
		memcpy(nodes + 32 * i, nodes, 32);
	fake_hash(nodes + 32 * (chunks - 1), zeros, 1, FORMAT_HASH_CHUNK);
	CHECK_INT(fake_upper_levels(nodes, chunks, tree.root), 528512);
	CHECK_INT(hashtree_nodes_size(size), 528512);
	print_hash(root, tree.root);
	CHECK_STR(root, "86d1fcf5cee37e6e92bbdb7e35f3bf758f20680187fee9a148d5a2616dad2e0b");
	for (uint64_t i = 0; i < chunks; i += i % 128 ? 1 : 127)
		CHECK_INT(hashtree_check_chunk(&tree, i, zeros), 0);
	CHECK_INT(hashtree_chunk_size(&tree, chunks - 1), 1);
	zeros[0] = 1;
	CHECK_INT(hashtree_check_chunk(&tree, 0, zeros), -EILSEQ);
	CHECK_INT(hashtree_check_chunk(&tree, chunks - 1, zeros), -EILSEQ);
	zeros[0] = 0;
	/* A byte in each level above a chunk in the middle. */
	const uint64_t places[] = { 32 * 8192, 32 * chunks + 32 * 64, 32 * (chunks + 129) };

	for (unsigned i = 0; i < 3; i++) {
		nodes[places[i]] ^= 0x80;
		CHECK_INT(hashtree_check_chunk(&tree, 8192, zeros), -EILSEQ);
		nodes[places[i]] ^= 0x80;
	}
	CHECK_INT(hashtree_check_chunk(&tree, 8192, zeros), 0);
	fake_tree_free(&tree);
}

static void test_huge_sizes(void)
{
	/* No sum leaves 64 bits, and a tree is always less than its data. */
	for (unsigned shift = 17; shift < 64; shift++) {
		CHECK(hashtree_nodes_size(1ull << shift) < 1ull << shift);
		CHECK(hashtree_nodes_size((1ull << shift) - 1) <= hashtree_nodes_size(1ull << shift));
	}
	CHECK(hashtree_nodes_size(UINT64_MAX) < UINT64_MAX / 1000);
}

static void test_every_byte_of_a_short_chunk(void)
{
	const size_t size = CHUNK + 300;

	fake_tree(&tree, data, 300);
	for (unsigned i = 0; i < 300; i++) {
		data[i] ^= 1;
		CHECK_INT(hashtree_check_chunk(&tree, 0, data), -EILSEQ);
		data[i] ^= 1;
	}
	fake_tree_free(&tree);
	fake_tree(&tree, data, size);
	for (size_t i = CHUNK; i < size; i++) {
		data[i] ^= 1;
		CHECK_INT(hashtree_check_chunk(&tree, 1, data + CHUNK), -EILSEQ);
		data[i] ^= 1;
	}
	fake_tree_free(&tree);
}

static void test_bytes_of_whole_chunks(void)
{
	uint64_t bad;

	fake_tree(&tree, data, 3 * CHUNK);
	for (unsigned i = 0; i < 3 * CHUNK; i += i % CHUNK < CHUNK - 400 ? 391 : 1) {
		data[i] ^= 0x80;
		bad = UINT64_MAX;
		CHECK_INT(hashtree_check_range(&tree, data, i, 1, &bad), -EILSEQ);
		CHECK_INT(bad, i / CHUNK * CHUNK);
		data[i] ^= 0x80;
	}
	fake_tree_free(&tree);
}

static void test_every_byte_of_the_nodes(void)
{
	size_t size = fake_tree(&tree, data, LARGEST);
	uint8_t *nodes = (uint8_t *)(uintptr_t)tree.nodes;

	for (size_t i = 0; i < size; i++) {
		/* In a leaf: its chunk; above: any will do. */
		uint64_t chunk = i < 130 * 32 ? i / 32 : 0;

		nodes[i] ^= 1;
		CHECK_INT(hashtree_check_chunk(&tree, chunk, data + chunk * CHUNK), -EILSEQ);
		nodes[i] ^= 1;
	}
	for (unsigned i = 0; i < 32; i++) {
		tree.root[i] ^= 1;
		CHECK_INT(hashtree_check_chunk(&tree, 129, data + 129 * CHUNK), -EILSEQ);
		tree.root[i] ^= 1;
	}
	fake_tree_free(&tree);
}

static void test_chunks_in_each_others_place(void)
{
	fake_tree(&tree, data, 129 * CHUNK);
	CHECK_INT(hashtree_check_chunk(&tree, 0, data + CHUNK), -EILSEQ);
	CHECK_INT(hashtree_check_chunk(&tree, 128, data), -EILSEQ);
	fake_tree_free(&tree);
	/* A chunk is no node: what hashes to a leaf is no block of hashes. */
	fake_tree(&tree, data, 2 * CHUNK);
	struct hashtree small = { .size = 64 };

	memcpy(small.root, tree.root, sizeof(small.root));
	CHECK_INT(hashtree_check_chunk(&small, 0, tree.nodes), -EILSEQ);
	fake_tree_free(&tree);
}

static void test_ranges(void)
{
	fake_tree(&tree, data, 3 * CHUNK);
	data[CHUNK] ^= 1;
	CHECK_INT(hashtree_check_range(&tree, data, 0, CHUNK, NULL), 0);
	CHECK_INT(hashtree_check_range(&tree, data, 0, CHUNK + 1, NULL), -EILSEQ);
	CHECK_INT(hashtree_check_range(&tree, data, 2 * CHUNK - 1, 1, NULL), -EILSEQ);
	CHECK_INT(hashtree_check_range(&tree, data, 2 * CHUNK, CHUNK, NULL), 0);
	CHECK_INT(hashtree_check_range(&tree, data, CHUNK, 0, NULL), 0);
	data[CHUNK] ^= 1;
	fake_tree_free(&tree);
}

int main(void)
{
	make_data();
	CHECK_RUN(test_known_roots);
	CHECK_RUN(test_three_levels);
	CHECK_RUN(test_huge_sizes);
	CHECK_RUN(test_every_byte_of_a_short_chunk);
	CHECK_RUN(test_bytes_of_whole_chunks);
	CHECK_RUN(test_every_byte_of_the_nodes);
	CHECK_RUN(test_chunks_in_each_others_place);
	CHECK_RUN(test_ranges);
	free(data);
	return check_report();
}
