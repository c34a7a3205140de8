/* count-threads N: N threads that are all alive at once; each adds one to the count. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t all_alive;
static int count;

static void *add_one(void *unused)
{
	pthread_barrier_wait(&all_alive);
	pthread_mutex_lock(&mutex);
	count++;
	pthread_mutex_unlock(&mutex);
	return unused;
}

int main(int argc, char **argv)
{
	int wanted = argc > 1 ? atoi(argv[1]) : 1;
	pthread_t *threads = calloc((size_t)wanted, sizeof(*threads));

	if (!threads || pthread_barrier_init(&all_alive, NULL, (unsigned)wanted))
		return 1;
	for (int i = 0; i < wanted; i++)
		if (pthread_create(&threads[i], NULL, add_one, NULL))
			return 1;
	for (int i = 0; i < wanted; i++)
		pthread_join(threads[i], NULL);
	printf("%d threads\n", count);
	return 0;
}
