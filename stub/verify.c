/*
 * Compares every byte of the file with what its table says: chunks with their hashes,
 * padding with zero. Header, table and signatures have been looked at before.
 */
#include "verify.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/host.h"
#include "info.h"

#define MAX_HELPERS	64

/* What is wrong with a section. */
struct damage {
	uint64_t	chunks;
	uint64_t	first;		/* offset in the file of the first bad chunk */
};

struct verification {
	const struct artifact	*artifact;
	enum format_section_type type;	/* the section that is being read */
	atomic_uint_least64_t	next;	/* chunk of it that nobody has taken yet */
	pthread_mutex_t		lock;
	struct damage		damage;
};

/* Return: whether the bytes could be read. */
static bool read_at(int fd, uint8_t *buffer, size_t size, uint64_t offset)
{
	while (size > 0) {
		ssize_t got = pread(fd, buffer, size, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		buffer += got;
		size -= (size_t)got;
		offset += (uint64_t)got;
	}
	return true;
}

static void *worker(void *argument)
{
	struct verification *verification = argument;
	const struct section *section = &verification->artifact->sections[verification->type];
	const struct hashtree *tree = &section->tree;
	uint64_t count = hashtree_chunk_count(tree), i;
	uint8_t chunk[FORMAT_CHUNK_SIZE];

	while ((i = atomic_fetch_add(&verification->next, 1)) < count) {
		uint64_t offset = section->offset + i * FORMAT_CHUNK_SIZE;

		if (read_at(verification->artifact->fd, chunk, hashtree_chunk_size(tree, i), offset) &&
		    hashtree_check_chunk(tree, i, chunk) == 0)
			continue;
		pthread_mutex_lock(&verification->lock);
		if (verification->damage.chunks++ == 0 || offset < verification->damage.first)
			verification->damage.first = offset;
		pthread_mutex_unlock(&verification->lock);
	}
	return NULL;
}

static struct damage check_section(const struct artifact *artifact, enum format_section_type type)
{
	struct verification verification = {
		.artifact = artifact, .type = type, .lock = PTHREAD_MUTEX_INITIALIZER,
	};
	uint64_t chunks = hashtree_chunk_count(&artifact->sections[type].tree);
	unsigned wanted = host_cpu_count() - 1, helper_count = 0;
	pthread_t helpers[MAX_HELPERS];

	if (wanted > MAX_HELPERS)
		wanted = MAX_HELPERS;
	while (helper_count < wanted && helper_count + 1 < chunks &&
	       pthread_create(&helpers[helper_count], NULL, worker, &verification) == 0)
		helper_count++;
	worker(&verification);
	while (helper_count)
		pthread_join(helpers[--helper_count], NULL);
	return verification.damage;
}

/* What fills up a section's last page. If there is damage, *@bad is its offset in the file. */
static bool padding_is_zero(const struct artifact *artifact, enum format_section_type type,
			    uint64_t *bad)
{
	const struct section *section = &artifact->sections[type];
	uint64_t offset = section->offset + section->size;
	size_t size = (FORMAT_PAGE_SIZE - offset % FORMAT_PAGE_SIZE) % FORMAT_PAGE_SIZE;
	uint8_t bytes[FORMAT_PAGE_SIZE];

	*bad = offset;
	if (!read_at(artifact->fd, bytes, size, offset))
		return false;
	for (size_t i = 0; i < size; i++) {
		*bad = offset + i;
		if (bytes[i])
			return false;
	}
	return true;
}

/* Return: whether the section is there and anything of it is damaged. */
static bool print_section(const struct artifact *artifact, enum format_section_type type)
{
	const struct section *section = &artifact->sections[type];
	struct damage damage = { 0 };
	uint64_t bad;

	if (!section->size)
		return false;
	/* The hashes are compared with every chunk below them. */
	if (type != FORMAT_SECTION_HASHES)
		damage = check_section(artifact, type);
	printf("%-10s %12" PRIu64 " %12" PRIu64 "  ", artifact_section_name(type), section->offset,
	       section->size);
	if (damage.chunks) {
		printf("DAMAGED: %" PRIu64 " chunk%s, the first at offset %" PRIu64 " of the file\n",
		       damage.chunks, damage.chunks == 1 ? "" : "s", damage.first);
		return true;
	}
	if (!padding_is_zero(artifact, type, &bad)) {
		printf("DAMAGED: padding at offset %" PRIu64 " of the file\n", bad);
		return true;
	}
	printf("%s\n", type == FORMAT_SECTION_HASHES ? "compared with each of these" : "intact");
	return false;
}

int verify_print(const struct artifact *artifact, const struct signatures *signatures)
{
	bool damaged = false;

	printf("section          offset         size\n");
	for (int type = FORMAT_SECTION_LAUNCHER; type <= FORMAT_SECTION_HASHES; type++)
		damaged |= print_section(artifact, type);
	printf("\n");
	info_print_signers(signatures);
	printf("\nThis is what the file says of itself, and whoever forges a file can have it say so.\n"
	       "Who made it, and whether you trust them, is to be asked of a program that did not\n"
	       "come with it: smolpack verify FILE\n");
	if (fflush(stdout) != 0)
		return -errno;
	return damaged ? -EILSEQ : 0;
}
