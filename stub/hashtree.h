/*
 * Hash trees (docs/format.md): any chunk of a section can be checked alone, from its
 * leaf up to the root. Knows nothing of files; keeps nothing from one check to the next.
 */
#ifndef SMOLPACK_HASHTREE_H
#define SMOLPACK_HASHTREE_H

#include <stddef.h>
#include <stdint.h>

#include "format.h"

/* The tree of @size bytes of data. */
struct hashtree {
	uint64_t	size;		/* of the data; not zero */
	const uint8_t	*nodes;		/* hashtree_nodes_size() bytes, as hostile as the data */
	uint8_t		root[FORMAT_HASH_SIZE];
};

/** hashtree_nodes_size - bytes of the tree of @size bytes of data, the root not counted. */
uint64_t hashtree_nodes_size(uint64_t size);

/** hashtree_chunk_count - chunks of the data. */
uint64_t hashtree_chunk_count(const struct hashtree *tree);

/** hashtree_chunk_size - bytes of chunk @index, which is less than the count. */
size_t hashtree_chunk_size(const struct hashtree *tree, uint64_t index);

/**
 * hashtree_check_chunk - is @data, hashtree_chunk_size() bytes, chunk @index of what was hashed?
 *
 * Return: 0, or -EILSEQ when data or tree is damaged.
 */
int hashtree_check_chunk(const struct hashtree *tree, uint64_t index, const uint8_t *data);

/**
 * hashtree_check_range - check all chunks that have a byte in @size bytes from @offset on.
 *
 * @data is the start of all the data; the range lies inside.
 * Return: 0, or -EILSEQ and the first bad chunk's offset in *@bad (when not NULL).
 */
int hashtree_check_range(const struct hashtree *tree, const uint8_t *data, uint64_t offset,
			 uint64_t size, uint64_t *bad);

#endif
