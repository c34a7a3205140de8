/* tell-time: answers every byte of standard input with the wall clock, in nanoseconds. */
#include <stdio.h>
#include <time.h>

int main(void)
{
	while (getchar() != EOF) {
		struct timespec now;

		clock_gettime(CLOCK_REALTIME, &now);
		printf("%lld%09ld\n", (long long)now.tv_sec, now.tv_nsec);
		fflush(stdout);
	}
	return 0;
}
