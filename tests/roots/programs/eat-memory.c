/* eat-memory MIB: takes memory until it has that much, and keeps it while it says so. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB (1u << 20)

int main(int argc, char **argv)
{
	unsigned long wanted = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;

	for (unsigned long have = 0; have < wanted; have++) {
		char *memory = malloc(MIB);

		if (!memory)
			return 1;
		memset(memory, 0x5a, MIB);
	}
	printf("has %lu MiB\n", wanted);
	return 0;
}
