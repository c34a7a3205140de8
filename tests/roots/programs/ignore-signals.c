/* ignore-signals: says it is ready, and ends by SIGKILL only. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_IGN);
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
