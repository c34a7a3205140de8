/*
 * The on-disk layout of a packed machine: the only C copy of it.
 *
 *	+----------+--------+-----------+--------+--------+------+--------+
 *	| launcher | kernel | initramfs | rootfs | config | sbom | hashes |
 *	+----------+--------+-----------+--------+--------+------+--------+
 *	+-------+------------+---------+
 *	| table | signatures | trailer |
 *	+-------+------------+---------+
 *	0: launcher; EOF - 64: trailer; every section and the table start on a page
 *
 * All integers are little-endian. docs/format.md explains each field;
 * packer/smolpack/format.py is the only Python copy and a test compares both.
 */
#ifndef SMOLPACK_FORMAT_H
#define SMOLPACK_FORMAT_H

#include <assert.h>
#include <stdint.h>

#define FORMAT_VERSION		2
#define FORMAT_PAGE_SIZE	4096
#define FORMAT_MAX_SECTIONS	16
#define FORMAT_MAX_FRAMES	16
#define FORMAT_MAX_CONFIG	(1u << 20)
#define FORMAT_MAX_SIGNATURES	(64u << 10)	/* bytes of all of them */

/* Hash trees: BLAKE2b-256 of chunks, of blocks of those hashes, and so on up to the root. */
#define FORMAT_HASH_SIZE	32
#define FORMAT_CHUNK_SIZE	(64u << 10)
#define FORMAT_HASH_BLOCK	4096
#define FORMAT_HASH_CHUNK	"smolpack chunk\0\0"	/* personalisation, 16 bytes */
#define FORMAT_HASH_NODE	"smolpack node\0\0\0"

#define FORMAT_NAMESPACE	"smolpack"		/* of the signatures */

/* The first byte is not text, the last two find line-ending conversion. */
#define FORMAT_TRAILER_MAGIC	"\x8aSMOLVM\n"
#define FORMAT_TABLE_MAGIC	"\x8aSMOLTB\n"

enum format_arch {
	FORMAT_ARCH_X86_64	= 1,
	FORMAT_ARCH_AARCH64	= 2,
};

enum format_section_type {
	FORMAT_SECTION_LAUNCHER		= 1,	/* the program at offset 0 */
	FORMAT_SECTION_KERNEL		= 2,	/* struct format_kernel, then frames */
	FORMAT_SECTION_INITRAMFS	= 3,	/* cpio archive, as the kernel takes it */
	FORMAT_SECTION_ROOTFS		= 4,	/* squashfs image */
	FORMAT_SECTION_CONFIG		= 5,	/* run defaults: `key=value` NUL … */
	FORMAT_SECTION_SBOM		= 6,	/* what is inside: a CycloneDX document; may be missing */
	FORMAT_SECTION_HASHES		= 7,	/* hash trees of the other sections */
};

enum format_encoding {
	FORMAT_ENCODING_RAW	= 0,
	FORMAT_ENCODING_ZSTD	= 1,
};

/* The last 64 bytes of the file. */
struct format_trailer {
	uint8_t		magic[8];
	uint32_t	version;
	uint32_t	reserved0;
	uint64_t	table_offset;
	uint64_t	table_size;
	uint64_t	file_size;	/* trailer included: finds truncation and trailing bytes */
	uint64_t	signatures_size;	/* bytes between table and trailer */
	uint8_t		reserved1[16];
};

/* Starts the table; section_count entries follow it. */
struct format_table {
	uint8_t		magic[8];
	uint32_t	version;
	uint32_t	arch;		/* enum format_arch */
	uint32_t	section_count;
	uint32_t	reserved0;
	uint8_t		reserved1[40];
};

/* Sections stand in ascending order of offset and do not overlap. */
struct format_section {
	uint32_t	type;		/* enum format_section_type, each at most once */
	uint32_t	reserved0;
	uint64_t	offset;		/* from the start of the file, page-aligned */
	uint64_t	size;		/* bytes, without padding */
	uint8_t		root[FORMAT_HASH_SIZE];	/* of its hash tree */
	uint64_t	tree_offset;	/* of its tree, from the start of the hashes section */
};

/* Starts every signature; the blob follows, then zeros up to a multiple of 8 bytes. */
struct format_signature {
	uint64_t	time;		/* when it was made: seconds since 1970, part of what is signed */
	uint32_t	size;		/* of the blob: an OpenSSH signature (PROTOCOL.sshsig) */
	uint32_t	reserved;
};

/*
 * Starts the kernel section. The kernel is stored as a flat memory image, not
 * as ELF, so that frames inflate straight into guest memory.
 */
struct format_kernel {
	uint64_t	load_address;	/* guest physical, page-aligned */
	uint64_t	entry;		/* guest physical address of the PVH entry point */
	uint64_t	image_size;	/* bytes that the frames hold together */
	uint64_t	memory_size;	/* image_size plus zeroed memory behind it (bss) */
	uint32_t	encoding;	/* enum format_encoding, of every frame */
	uint32_t	frame_count;	/* 1 … FORMAT_MAX_FRAMES */
	uint8_t		reserved[24];
};

/* Follows struct format_kernel, frame_count times; frames are in image order. */
struct format_frame {
	uint64_t	offset;		/* of the stored bytes, from the section's start */
	uint64_t	size;		/* stored bytes */
	uint64_t	image_offset;	/* where they belong in the image; no gaps */
	uint64_t	image_size;	/* bytes there */
};

static_assert(sizeof(struct format_trailer) == 64, "trailer");
static_assert(sizeof(struct format_table) == 64, "table");
static_assert(sizeof(struct format_section) == 64, "section");
static_assert(sizeof(struct format_signature) == 16, "signature");
static_assert(sizeof(struct format_kernel) == 64, "kernel");
static_assert(sizeof(struct format_frame) == 32, "frame");

#endif
