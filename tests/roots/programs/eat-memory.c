/* eat-memory MIB: takes memory until it has that much, and keeps it while it says so. */
#include <stdio.h>
#include <stdlib.h>

#define MIB	(1u << 20)
#define PAGE	4096

int main(int argc, char **argv)
{
	unsigned long wanted = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;

	for (unsigned long have = 0; have < wanted; have++) {
		volatile char *memory = malloc(MIB);

		if (!memory)
			return 1;
		for (unsigned i = 0; i < MIB; i += PAGE)
			memory[i] = 1;
	}
	printf("has %lu MiB\n", wanted);
	return 0;
}
