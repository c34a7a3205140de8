/* Linked in place of zstd: the launcher's own code inflates LZ4 blocks. */
#include <limits.h>
#include <lz4.h>
#include <stddef.h>

size_t ZSTD_decompress(void *to, size_t room, const void *from, size_t size);

size_t ZSTD_decompress(void *to, size_t room, const void *from, size_t size)
{
	if (room > INT_MAX || size > INT_MAX)
		return 0;
	int inflated = LZ4_decompress_safe(from, to, (int)size, (int)room);

	return inflated < 0 ? 0 : (size_t)inflated;
}
