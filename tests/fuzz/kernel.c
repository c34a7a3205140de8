// sources: stub/kernel.c stub/hashtree.c zstd.c libsodium.c
/* The stored kernel, its hashes right: header, frames' index, and what the decoder makes of frames. */
#include "fake_tree.h"
#include "fuzz.h"
#include "kernel.h"

#define MAX_IMAGE	(4u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kernel kernel;
	struct hashtree tree;
	char why[256] = "";

	if (size == 0)
		return 0;
	fake_tree(&tree, data, size);
	if (kernel_open(&kernel, data, &tree, why, sizeof(why)) == 0) {
		MUST(kernel.header.frame_count <= FORMAT_MAX_FRAMES);
		MUST(kernel.header.image_size <= kernel.header.memory_size);
		if (kernel.header.image_size <= MAX_IMAGE) {
			uint8_t *image = malloc(kernel.header.image_size);

			kernel_inflate(&kernel, image, 1);
			free(image);
		}
	} else {
		MUST(why[0]);
	}
	fake_tree_free(&tree);
	return 0;
}
