// sources: stub/mem.c stub/hashtree.c stub/disk.c stub/virtio/queue.c libsodium.c
/* Reads of a disk of several chunks: checked once, reported once, never silently wrong. */
#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "disk.h"
#include "fake_tree.h"

#define CHUNK		FORMAT_CHUNK_SIZE
#define OFFSET		4096u
#define SIZE		(4 * CHUNK + 1000)

static uint8_t bytes[SIZE], got[SIZE];
static struct disk disk;
static unsigned damages;
static uint64_t last_damage;
static int last_error;

static void note_damage(struct disk *damaged, uint64_t file_offset, int error)
{
	(void)damaged;
	damages++;
	last_damage = file_offset;
	last_error = error;
}

static void open_disk(void)
{
	for (unsigned i = 0; i < SIZE; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	disk = (struct disk){
		.fd = memfd_create("disk", MFD_CLOEXEC), .offset = OFFSET, .damaged = note_damage,
	};
	CHECK_INT(pwrite(disk.fd, bytes, SIZE, OFFSET), SIZE);
	CHECK_INT(pwrite(disk.fd, "behind", 6, OFFSET + SIZE), 6);
	fake_tree(&disk.tree, bytes, SIZE);
	CHECK_INT(disk_open(&disk), 0);
	damages = 0;
}

static void close_disk(void)
{
	close(disk.fd);
	free(disk.checked);
	free(disk.reported);
	fake_tree_free(&disk.tree);
}

/* Into buffers of @piece bytes. */
static int read_disk(uint64_t position, uint64_t length, size_t piece)
{
	struct iovec iov[64];
	unsigned count = 0;

	memset(got, 0x55, sizeof(got));
	for (uint64_t at = 0; at < length; at += piece)
		iov[count++] = (struct iovec){ got + at, length - at < piece ? length - at : piece };
	return disk_read(&disk, position, iov, count, length);
}

static void reads(uint64_t position, uint64_t length, size_t piece)
{
	CHECK_INT(read_disk(position, length, piece), 0);
	CHECK_MEM(got, bytes + position, length);
	for (uint64_t at = length; at < SIZE; at++)
		if (got[at] != 0x55)
			CHECK(!"nothing is written behind");
}

static void test_reads(void)
{
	static const uint64_t lengths[] = { 0, 1, 512, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK };

	open_disk();
	/* Each twice: while chunks are checked, and afterwards. */
	for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		for (uint64_t position = 0; position + lengths[i] <= SIZE; position += CHUNK / 2 - 1) {
			reads(position, lengths[i], CHUNK / 3);
			reads(position, lengths[i], 5 * CHUNK);
		}
	}
	reads(0, SIZE, CHUNK);
	reads(SIZE - 1, 1, 1);
	CHECK_INT(damages, 0);
	close_disk();
}

static void damage_byte(uint64_t at)
{
	uint8_t byte = bytes[at] ^ 0x10;

	CHECK_INT(pwrite(disk.fd, &byte, 1, (off_t)(OFFSET + at)), 1);
}

static void test_each_chunk_damaged(void)
{
	for (uint64_t bad = 0; bad < SIZE; bad += CHUNK) {
		open_disk();
		damage_byte(bad + 999);
		for (unsigned again = 0; again < 3; again++) {
			CHECK_INT(read_disk(0, SIZE, SIZE), -EIO);
			CHECK_MEM(got, bytes, bad);	/* what came before is right */
			for (uint64_t at = bad; at < SIZE; at++)
				if (got[at] != 0x55)
					CHECK(!"nothing of a bad chunk is handed out");
		}
		for (uint64_t at = 0; at < SIZE; at += CHUNK)
			CHECK_INT(read_disk(at, 1000, 1000), at == bad ? -EIO : 0);
		CHECK_INT(damages, 1);
		CHECK_INT(last_damage, OFFSET + bad);
		CHECK_INT(last_error, -EILSEQ);
		close_disk();
	}
}

static void test_damaged_tree(void)
{
	open_disk();
	((uint8_t *)(uintptr_t)disk.tree.nodes)[2 * 32] ^= 1;
	CHECK_INT(read_disk(2 * CHUNK, 1, 1), -EIO);
	CHECK_INT(last_damage, OFFSET + 2 * CHUNK);
	/* The block of hashes belongs to all of them. */
	CHECK_INT(read_disk(0, 1, 1), -EIO);
	CHECK_INT(damages, 2);
	close_disk();
}

/* A chunk that was bad may be right another time: it is read and compared again. */
static void test_repaired(void)
{
	open_disk();
	damage_byte(0);
	CHECK_INT(read_disk(0, 512, 512), -EIO);
	CHECK_INT(pwrite(disk.fd, bytes, 1, OFFSET), 1);
	reads(0, 512, 512);
	CHECK_INT(damages, 1);
	close_disk();
}

static void test_file_that_cannot_be_read(void)
{
	open_disk();
	CHECK_INT(ftruncate(disk.fd, OFFSET + CHUNK + 1), 0);
	reads(0, 512, 512);
	CHECK_INT(read_disk(CHUNK, 1, 1), -EIO);
	CHECK_INT(last_error, -ENODATA);
	CHECK_INT(ftruncate(disk.fd, 0), 0);
	CHECK_INT(read_disk(0, 512, 512), -EIO);
	close(disk.fd);
	disk.fd = -1;
	CHECK_INT(read_disk(2 * CHUNK, 1, 1), -EIO);
	CHECK_INT(last_error, -EBADF);
	close_disk();
}

int main(void)
{
	CHECK_RUN(test_reads);
	CHECK_RUN(test_each_chunk_damaged);
	CHECK_RUN(test_damaged_tree);
	CHECK_RUN(test_repaired);
	CHECK_RUN(test_file_that_cannot_be_read);
	return check_report();
}
