/* show-words WORD…: the words that it was started with, after its name, each ended by NUL. */
#include <stdio.h>

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		printf("%s%c", argv[i], 0);
	return 0;
}
