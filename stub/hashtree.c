/* Checks chunks against a hash tree. */
#include "hashtree.h"

#include <errno.h>
#include <sodium/crypto_generichash_blake2b.h>
#include <string.h>

#define HASHES_IN_BLOCK (FORMAT_HASH_BLOCK / FORMAT_HASH_SIZE)

static uint64_t pieces(uint64_t size, uint64_t piece)
{
	return size / piece + (size % piece != 0);
}

uint64_t hashtree_nodes_size(uint64_t size)
{
	uint64_t hashes = pieces(size, FORMAT_CHUNK_SIZE), total = 0;

	for (; hashes > 1; hashes = pieces(hashes, HASHES_IN_BLOCK))
		total += hashes * FORMAT_HASH_SIZE;
	return total;
}

uint64_t hashtree_chunk_count(const struct hashtree *tree)
{
	return pieces(tree->size, FORMAT_CHUNK_SIZE);
}

size_t hashtree_chunk_size(const struct hashtree *tree, uint64_t index)
{
	uint64_t left = tree->size - index * FORMAT_CHUNK_SIZE;

	return left < FORMAT_CHUNK_SIZE ? (size_t)left : FORMAT_CHUNK_SIZE;
}

static void hash(uint8_t *result, const uint8_t *data, size_t size, const char *personalisation)
{
	crypto_generichash_blake2b_salt_personal(result, FORMAT_HASH_SIZE, data, size, NULL, 0,
						 NULL, (const uint8_t *)personalisation);
}

int hashtree_check_chunk(const struct hashtree *tree, uint64_t index, const uint8_t *data)
{
	uint64_t hashes = hashtree_chunk_count(tree);
	const uint8_t *level = tree->nodes;
	uint8_t found[FORMAT_HASH_SIZE];

	hash(found, data, hashtree_chunk_size(tree, index), FORMAT_HASH_CHUNK);
	for (; hashes > 1; hashes = pieces(hashes, HASHES_IN_BLOCK)) {
		/* What is compared and what is hashed must be the same: nodes may be a mapped file. */
		uint8_t block[FORMAT_HASH_BLOCK];
		uint64_t first = index - index % HASHES_IN_BLOCK;
		uint64_t count = hashes - first < HASHES_IN_BLOCK ? hashes - first : HASHES_IN_BLOCK;
		size_t size = (size_t)count * FORMAT_HASH_SIZE;

		memcpy(block, level + first * FORMAT_HASH_SIZE, size);
		if (memcmp(block + (index - first) * FORMAT_HASH_SIZE, found, sizeof(found)))
			return -EILSEQ;
		hash(found, block, size, FORMAT_HASH_NODE);
		level += hashes * FORMAT_HASH_SIZE;
		index /= HASHES_IN_BLOCK;
	}
	return memcmp(found, tree->root, sizeof(found)) ? -EILSEQ : 0;
}

int hashtree_check_range(const struct hashtree *tree, const uint8_t *data, uint64_t offset,
			 uint64_t size, uint64_t *bad)
{
	if (size == 0)
		return 0;
	for (uint64_t i = offset / FORMAT_CHUNK_SIZE; i <= (offset + size - 1) / FORMAT_CHUNK_SIZE;
	     i++) {
		if (hashtree_check_chunk(tree, i, data + i * FORMAT_CHUNK_SIZE) == 0)
			continue;
		if (bad)
			*bad = i * FORMAT_CHUNK_SIZE;
		return -EILSEQ;
	}
	return 0;
}
