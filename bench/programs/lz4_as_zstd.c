/* Linked in place of zstd: the launcher's own code inflates LZ4 blocks. */
#include <limits.h>
#include <lz4.h>
#include <zstd.h>

struct ZSTD_DCtx_s {
	char	unused;
};

static struct ZSTD_DCtx_s decoder;	/* LZ4 needs none */

ZSTD_DCtx *ZSTD_createDCtx(void)
{
	return &decoder;
}

size_t ZSTD_freeDCtx(ZSTD_DCtx *unused)
{
	(void)unused;
	return 0;
}

size_t ZSTD_decompressDCtx(ZSTD_DCtx *unused, void *to, size_t room, const void *from, size_t size)
{
	(void)unused;
	if (room > INT_MAX || size > INT_MAX)
		return 0;
	int inflated = LZ4_decompress_safe(from, to, (int)size, (int)room);

	return inflated < 0 ? 0 : (size_t)inflated;
}
