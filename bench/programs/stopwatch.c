/*
 * Starts a command with pipes and says when things happened, in nanoseconds of
 * CLOCK_MONOTONIC: stopwatch [-s BYTES] [-r BYTES] -- COMMAND…
 *
 * The command's first output byte means that it is ready; then it is sent the first
 * number of bytes. When the second number has come from it, one byte more tells it
 * so: a command whose output is still under way must not end. Prints one line of JSON.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (256u << 10)

extern char **environ;

struct times {
	uint64_t	start, first, last, exit;
	uint64_t	to_send, to_receive;
	uint64_t	received;
	char		head[128];	/* of the output */
	size_t		head_size;
	int		status;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "stopwatch: %s: %s\n", what, strerror(errno));
	exit(125);
}

/* Return: its process; @in and @out become our ends of its standard streams. */
static pid_t start(char **command, int *in, int *out)
{
	posix_spawn_file_actions_t actions;
	int to[2], from[2];
	pid_t pid;

	if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
		fail("pipe");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, to[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, from[1], STDOUT_FILENO);
	errno = posix_spawnp(&pid, command[0], &actions, NULL, command, environ);
	if (errno)
		fail(command[0]);
	close(to[0]);
	close(from[1]);
	*in = to[1];
	*out = from[0];
	return pid;
}

/* Return: false at the end of the output. */
static bool receive(int fd, struct times *times)
{
	static char buffer[CHUNK];
	ssize_t size = read(fd, buffer, sizeof(buffer));

	if (size < 0)
		fail("read");
	if (size == 0)
		return false;
	times->last = now_ns();
	if (!times->first)
		times->first = times->last;
	times->received += (uint64_t)size;
	if (times->to_receive && times->received >= times->to_receive) {
		times->to_receive = 0;
		times->to_send++;
	}
	for (ssize_t i = 0; i < size && times->head_size < sizeof(times->head) - 1; i++)
		times->head[times->head_size++] =
			buffer[i] >= ' ' && buffer[i] <= '~' && !strchr("\"\\", buffer[i]) ? buffer[i]
											   : ' ';
	return true;
}

/* Sends and receives until the output ends. */
static void carry(int in, int out, struct times *times)
{
	static const char zeros[CHUNK];

	fcntl(in, F_SETFL, O_NONBLOCK);
	for (;;) {
		bool sending = times->first && times->to_send;
		struct pollfd polled[] = {
			{ .fd = out, .events = POLLIN },
			{ .fd = sending ? in : -1, .events = POLLOUT },
		};

		if (poll(polled, 2, -1) < 0)
			fail("poll");
		if (polled[0].revents && !receive(out, times))
			return;
		if (polled[1].revents) {
			size_t size = times->to_send < CHUNK ? (size_t)times->to_send : CHUNK;
			ssize_t sent = write(in, zeros, size);

			if (sent < 0 && errno != EAGAIN)
				fail("write");
			times->to_send -= sent > 0 ? (uint64_t)sent : 0;
		}
	}
}

int main(int argc, char **argv)
{
	struct times times = { 0 };
	int in, out, option;

	while ((option = getopt(argc, argv, "s:r:")) != -1) {
		if (option == 's')
			times.to_send = strtoull(optarg, NULL, 10);
		else if (option == 'r')
			times.to_receive = strtoull(optarg, NULL, 10);
		else
			return 2;
	}
	if (!argv[optind]) {
		fprintf(stderr, "usage: stopwatch [-s BYTES] [-r BYTES] -- COMMAND...\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	setpriority(PRIO_PROCESS, 0, -20);	/* where permitted: other work disturbs less */
	times.start = now_ns();

	pid_t pid = start(argv + optind, &in, &out);

	carry(in, out, &times);
	if (waitpid(pid, &times.status, 0) < 0)
		fail("waitpid");
	times.exit = now_ns();
	printf("{\"start\": %" PRIu64 ", \"first\": %" PRIu64 ", \"last\": %" PRIu64
	       ", \"exit\": %" PRIu64 ", \"received\": %" PRIu64 ", \"status\": %d, \"head\": \"%s\"}\n",
	       times.start, times.first, times.last, times.exit, times.received, times.status,
	       times.head);
	return 0;
}
