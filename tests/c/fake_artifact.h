/* A small packed file in memory, with sections of one chunk and of several. */
#ifndef SMOLPACK_TESTS_FAKE_ARTIFACT_H
#define SMOLPACK_TESTS_FAKE_ARTIFACT_H

#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "artifact.h"
#include "fake_tree.h"

#define FAKE_PAGE		FORMAT_PAGE_SIZE
#define FAKE_SECTIONS		FORMAT_SECTION_HASHES
#define FAKE_CHUNKS_KERNEL	2
#define FAKE_CHUNKS_ROOTFS	3
#define FAKE_HASHES_SIZE	((FAKE_CHUNKS_KERNEL + FAKE_CHUNKS_ROOTFS) * FORMAT_HASH_SIZE)
#define FAKE_TABLE_OFFSET \
	(5 * FAKE_PAGE + (FAKE_CHUNKS_KERNEL + FAKE_CHUNKS_ROOTFS) * FORMAT_CHUNK_SIZE)
#define FAKE_TABLE_SIZE \
	(sizeof(struct format_table) + FAKE_SECTIONS * sizeof(struct format_section))
#define FAKE_SIGNATURES		48	/* bytes: no real signatures */
#define FAKE_FILE_SIZE \
	(FAKE_TABLE_OFFSET + FAKE_TABLE_SIZE + FAKE_SIGNATURES + sizeof(struct format_trailer))

static const char fake_config[] = "mem=64M\0env=A=1\0env=B=2\0empty=\0";

/* The file, a page to add something behind it, and where its fixed structures stand. */
static uint8_t fake_bytes[FAKE_FILE_SIZE + FAKE_PAGE];
static struct format_table *const fake_table = (void *)(fake_bytes + FAKE_TABLE_OFFSET);
static struct format_section *const fake_entries =
	(void *)(fake_bytes + FAKE_TABLE_OFFSET + sizeof(struct format_table));
static struct format_trailer *const fake_trailer =
	(void *)(fake_bytes + FAKE_TABLE_OFFSET + FAKE_TABLE_SIZE + FAKE_SIGNATURES);

/* Entry @i, whose bytes are there already; its tree goes behind the ones before. */
static inline void fake_entry(unsigned i, uint32_t type, uint64_t offset, uint64_t size,
			      size_t *hashes)
{
	struct hashtree tree;
	size_t nodes = fake_tree(&tree, fake_bytes + offset, size);
	uint8_t *place = fake_bytes + FAKE_TABLE_OFFSET - FAKE_PAGE;

	fake_entries[i] = (struct format_section){
		.type = type, .offset = offset, .size = size, .tree_offset = nodes ? *hashes : 0,
	};
	memcpy(fake_entries[i].root, tree.root, sizeof(tree.root));
	memcpy(place + *hashes, tree.nodes, nodes);
	*hashes += nodes;
	fake_tree_free(&tree);
}

static inline void fake_artifact(void)
{
	uint64_t at = 0;
	size_t hashes = 0;
	const struct { uint32_t type; uint64_t size, pages; } sections[] = {
		{ FORMAT_SECTION_LAUNCHER, 100, FAKE_PAGE },
		{ FORMAT_SECTION_KERNEL, FAKE_CHUNKS_KERNEL * FORMAT_CHUNK_SIZE - 5,
		  FAKE_CHUNKS_KERNEL * FORMAT_CHUNK_SIZE },
		{ FORMAT_SECTION_INITRAMFS, FAKE_PAGE, FAKE_PAGE },
		{ FORMAT_SECTION_ROOTFS, FAKE_CHUNKS_ROOTFS * FORMAT_CHUNK_SIZE,
		  FAKE_CHUNKS_ROOTFS * FORMAT_CHUNK_SIZE },
		{ FORMAT_SECTION_CONFIG, sizeof(fake_config) - 1, FAKE_PAGE },
		{ FORMAT_SECTION_SBOM, 3, FAKE_PAGE },
	};

	memset(fake_bytes, 0, sizeof(fake_bytes));
	*fake_table = (struct format_table){
		.version = FORMAT_VERSION, .arch = FORMAT_ARCH_X86_64,
		.section_count = FAKE_SECTIONS,
	};
	memcpy(fake_table->magic, FORMAT_TABLE_MAGIC, sizeof(fake_table->magic));
	for (unsigned i = 0; i < FAKE_SECTIONS - 1; i++) {
		memset(fake_bytes + at, 'A' + (int)i, sections[i].size);
		if (sections[i].type == FORMAT_SECTION_CONFIG)
			memcpy(fake_bytes + at, fake_config, sizeof(fake_config) - 1);
		fake_entry(i, sections[i].type, at, sections[i].size, &hashes);
		at += sections[i].pages;
	}
	fake_entries[FAKE_SECTIONS - 1] = (struct format_section){
		.type = FORMAT_SECTION_HASHES, .offset = at, .size = hashes,
	};
	*fake_trailer = (struct format_trailer){
		.version = FORMAT_VERSION, .table_offset = FAKE_TABLE_OFFSET,
		.table_size = FAKE_TABLE_SIZE, .signatures_size = FAKE_SIGNATURES,
		.file_size = FAKE_FILE_SIZE,
	};
	memcpy(fake_trailer->magic, FORMAT_TRAILER_MAGIC, sizeof(fake_trailer->magic));
}

static inline void fake_unmap(const void *mapping, uint64_t size)
{
	if (mapping && mapping != MAP_FAILED)
		munmap((void *)(uintptr_t)mapping, size);
}

/* What a process that ends does by ending. */
static inline void fake_close(struct artifact *artifact)
{
	fake_unmap(artifact->kernel, artifact->sections[FORMAT_SECTION_KERNEL].size);
	fake_unmap(artifact->initramfs, artifact->sections[FORMAT_SECTION_INITRAMFS].size);
	fake_unmap(artifact->config, artifact->sections[FORMAT_SECTION_CONFIG].size);
	fake_unmap(artifact->hashes, artifact->sections[FORMAT_SECTION_HASHES].size);
	free(artifact->signatures);
	close(artifact->fd);
}

#endif
