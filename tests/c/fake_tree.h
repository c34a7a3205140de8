/* Hash trees of data in memory, built from docs/format.md without the launcher's code. */
#ifndef SMOLPACK_TESTS_FAKE_TREE_H
#define SMOLPACK_TESTS_FAKE_TREE_H

#include <sodium/crypto_generichash_blake2b.h>
#include <stdlib.h>
#include <string.h>

#include "hashtree.h"

static inline void fake_hash(uint8_t *hash, const void *data, size_t size, const char *personal)
{
	crypto_generichash_blake2b_salt_personal(hash, 32, data, size, NULL, 0, NULL,
						 (const uint8_t *)personal);
}

/* The hashes of the pieces of @data, one behind the other. Return: how many. */
static inline size_t fake_level(uint8_t *hashes, const uint8_t *data, size_t size, size_t piece,
				const char *personal)
{
	size_t count = 0;

	for (size_t at = 0; at < size; at += piece)
		fake_hash(hashes + 32 * count++, data + at, size - at < piece ? size - at : piece,
			  personal);
	return count;
}

/* Completes a tree whose lowest level, @count hashes, stands at @nodes. Return: bytes of all levels. */
static inline size_t fake_upper_levels(uint8_t *nodes, size_t count, uint8_t root[32])
{
	size_t used = 0;

	while (count > 1) {
		uint8_t *level = nodes + used;

		used += 32 * count;
		count = fake_level(nodes + used, level, 32 * count, 4096, "smolpack node\0\0\0");
	}
	memcpy(root, nodes + used, 32);
	return used;
}

/* The tree of @size bytes at @data; the caller frees ->nodes. Return: bytes of the nodes. */
static inline size_t fake_tree(struct hashtree *tree, const void *data, size_t size)
{
	size_t chunks = (size + FORMAT_CHUNK_SIZE - 1) / FORMAT_CHUNK_SIZE;
	uint8_t *nodes = malloc(2 * 32 * chunks + 32);

	*tree = (struct hashtree){ .size = size, .nodes = nodes };
	fake_level(nodes, data, size, FORMAT_CHUNK_SIZE, "smolpack chunk\0\0");
	return fake_upper_levels(nodes, chunks, tree->root);
}

static inline void fake_tree_free(struct hashtree *tree)
{
	free((void *)(uintptr_t)tree->nodes);
	tree->nodes = NULL;
}

#endif
