/* resolve-name NAME: milliseconds that it took, then the first address or why there is none. */
#include <netdb.h>
#include <stdio.h>
#include <time.h>

static long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	long long start_ms = now_ms();
	struct addrinfo *found = NULL;
	char text[128];
	int error = argc > 1 ? getaddrinfo(argv[1], NULL, &hints, &found) : EAI_NONAME;

	if (!error)
		error = getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof(text), NULL, 0,
				    NI_NUMERICHOST);
	printf("%lld %s\n", now_ms() - start_ms, error ? gai_strerror(error) : text);
	return !!error;
}
