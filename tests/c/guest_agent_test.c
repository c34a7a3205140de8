/*
 * The whole agent as process 1 of a process id namespace of its own, with the test as
 * its launcher: how programs start, end, and talk meanwhile.
 */
#include "agent.h"
#include "check.h"
#include "frame.h"
#include "guest_channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CONTROL, INPUT, OUTPUT, ERRORS, TERMINAL, PORTS };

/* A program to run, and what the launcher does meanwhile; a program that stops is continued. */
struct order {
	const char	*records;
	size_t		records_size;
	uint32_t	terminal;
	const char	*input;		/* on INPUT or TERMINAL; NULL: none, end of file */
	const char	*input_after;	/* wait for this output first; NULL: do not */
	bool		keep_input;	/* no end of file after it */
	size_t		stop_reading;	/* close the output after so many bytes; 0: never */
	/* when the output holds this text, send that frame (several of them) */
	struct {
		const char	*text;
		uint32_t	type;
		uint64_t	payload;
	} reactions[4];
};

/* What became of it. */
static struct outcome {
	bool			started;
	struct proto_exit	exit;
	struct proto_error	error;
	char			error_text[1024];
	uint32_t		stopped;	/* by which signal, last */
	uint32_t		end;		/* PROTO_EXIT, PROTO_ERROR, or 0 */
	size_t			size[PORTS];	/* bytes received … */
	char			text[PORTS][4096];	/* … and the first of them */
} outcome;

#define RECORDS(literal) .records = literal, .records_size = sizeof(literal) - 1
#define SHELL(script) RECORDS("arg=/bin/sh\0arg=-c\0arg=" script "\0")
#define SIGNAL_FRAME(number, group) PROTO_SIGNAL, (number) | (uint64_t)(group) << 32

static int listeners[PORTS], connections[PORTS];
static size_t input_sent, reactions_done;
static bool has_namespaces;

/* What init is for the agent, in namespaces instead of a machine. */
static void be_guest(void)
{
	struct error error;
	int control;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* the kernel's first process inherits no ignored signals */
	for (int number = 1; number < 32; number++)
		signal(number, SIG_DFL);
	setsid();
	control = agent_connect(&error);
	if (control >= 0 && !agent_greet(control, &error))
		agent_serve(control);
	_exit(99);
}

/* The guest's parent, which is in its namespaces but for the process ids. */
static pid_t start_guest(void)
{
	pid_t parent = fork();

	if (parent)
		return parent;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWPID | CLONE_NEWUTS) < 0)
		_exit(98);
	if (!fork())
		be_guest();
	wait(NULL);
	_exit(0);
}

static void send_run(const struct order *order)
{
	struct proto_run run = {
		.terminal = order->terminal,
		.winsize = { .rows = 24, .columns = 80 },
	};

	frame_send(connections[CONTROL], PROTO_RUN, &run, sizeof(run), order->records,
		   order->records_size);
}

static void send_time(void)
{
	struct proto_time time;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	time.realtime_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	frame_send(connections[CONTROL], PROTO_TIME, &time, sizeof(time), NULL, 0);
}

static void send_signal(uint32_t number)
{
	const struct proto_signal request = { .number = number };

	frame_send(connections[CONTROL], PROTO_SIGNAL, &request, sizeof(request), NULL, 0);
}

static void take_frame(const struct order *order, const struct frame *frame)
{
	switch (frame->header.type) {
	case PROTO_HELLO:
		send_run(order);
		break;
	case PROTO_TIME:
		send_time();
		break;
	case PROTO_STARTED:
		outcome.started = true;
		break;
	case PROTO_STOPPED:
		memcpy(&outcome.stopped, frame->payload, sizeof(outcome.stopped));
		send_signal(SIGCONT);
		break;
	case PROTO_EXIT:
		memcpy(&outcome.exit, frame->payload, sizeof(outcome.exit));
		outcome.end = PROTO_EXIT;
		break;
	case PROTO_ERROR:
		memcpy(&outcome.error, frame->payload, sizeof(outcome.error));
		memcpy(outcome.error_text, frame->payload + sizeof(outcome.error),
		       frame->header.size - sizeof(outcome.error));
		outcome.end = PROTO_ERROR;
		break;
	}
}

static void react(const struct order *order, int port)
{
	while (reactions_done < 4 && order->reactions[reactions_done].text &&
	       strstr(outcome.text[port], order->reactions[reactions_done].text)) {
		const uint64_t *payload = &order->reactions[reactions_done].payload;

		frame_send(connections[CONTROL], order->reactions[reactions_done].type, payload,
			   sizeof(*payload), NULL, 0);
		reactions_done++;
	}
}

static void hang_up(int port)
{
	close(connections[port]);
	connections[port] = -1;
}

static void take_output(const struct order *order, int port)
{
	static char block[65536];
	ssize_t got = read(connections[port], block, sizeof(block));
	size_t *size = &outcome.size[port], room = sizeof(outcome.text[port]) - 1;

	if (got <= 0) {
		hang_up(port);
		return;
	}
	if (*size < room)
		memcpy(outcome.text[port] + *size, block,
		       (size_t)got < room - *size ? (size_t)got : room - *size);
	*size += (size_t)got;
	react(order, port);
	if (order->stop_reading && *size >= order->stop_reading)
		hang_up(port);
}

static void give_input(const struct order *order, int port)
{
	size_t left = (order->input ? strlen(order->input) : 0) - input_sent;
	ssize_t sent = send(connections[port], order->input + input_sent, left, MSG_NOSIGNAL);

	input_sent += sent > 0 ? (size_t)sent : 0;
	if ((sent < 0 && errno != EAGAIN) || (left == (size_t)sent && !order->keep_input))
		hang_up(port);
}

static short events_of(const struct order *order, int port)
{
	bool all_sent = input_sent == (order->input ? strlen(order->input) : 0);

	if (port == INPUT)
		return order->keep_input && all_sent ? 0 : POLLOUT;
	if (port != TERMINAL || !(order->terminal & 1) || all_sent)
		return POLLIN;
	if (order->input_after && !strstr(outcome.text[TERMINAL], order->input_after))
		return POLLIN;
	return POLLIN | POLLOUT;
}

/* One turn of the launcher; false when the guest is gone or quiet for too long. */
static bool serve(const struct order *order, struct frame *frame)
{
	struct pollfd polled[PORTS];

	for (int port = 0; port < PORTS; port++)
		polled[port] = (struct pollfd){
			.fd = connections[port] >= 0 ? connections[port] : listeners[port],
			.events = connections[port] >= 0 ? events_of(order, port) : POLLIN,
		};
	if (poll(polled, PORTS, 30000) <= 0)
		return false;
	for (int port = 0; port < PORTS; port++) {
		if (!polled[port].revents)
			continue;
		if (connections[port] < 0) {
			connections[port] = accept4(listeners[port], NULL, NULL, SOCK_NONBLOCK);
			close(listeners[port]);
			listeners[port] = -1;
		} else if (port == CONTROL) {
			int received = frame_receive(connections[CONTROL], frame);

			if (received < 0)
				return false;
			if (received) {
				take_frame(order, frame);
				frame_clear(frame);
			}
		} else if (port == INPUT || (polled[port].revents & POLLOUT)) {
			give_input(order, port);
		} else {
			take_output(order, port);
		}
	}
	return true;
}

/* Runs a program until the guest says how it ended. */
static void run(struct order order)
{
	struct frame frame = { 0 };
	pid_t guest;

	outcome = (struct outcome){ 0 };
	input_sent = reactions_done = 0;
	for (int port = 0; port < PORTS; port++) {
		listeners[port] = guest_channel_listen(PROTO_PORT_CONTROL + (unsigned)port);
		connections[port] = -1;
	}
	guest = start_guest();
	while (!outcome.end && serve(&order, &frame))
		;
	/* what was written before the end is in the sockets already */
	for (int port = OUTPUT; port < PORTS; port++)
		while (connections[port] >= 0)
			take_output(&order, port);
	frame_clear(&frame);
	for (int port = 0; port < PORTS; port++) {
		close(listeners[port]);
		close(connections[port]);
	}
	/* without a launcher the guest ends */
	waitpid(guest, NULL, 0);
}

static void check_exit(uint32_t code, uint32_t signal)
{
	CHECK(outcome.started);
	CHECK_INT(outcome.end, PROTO_EXIT);
	CHECK_INT(outcome.exit.code, code);
	CHECK_INT(outcome.exit.signal, signal);
}

static void check_error(uint32_t status, const char *text)
{
	CHECK(!outcome.started);
	CHECK_INT(outcome.end, PROTO_ERROR);
	CHECK_INT(outcome.error.status, status);
	if (!CHECK(strstr(outcome.error_text, text)))
		fprintf(stderr, "\tgot \"%s\", want \"%s\"\n", outcome.error_text, text);
}

static void test_streams(void)
{
	run((struct order){ SHELL("echo out; echo err >&2; cat; echo again >/dev/stderr"),
			    .input = "in\n" });
	check_exit(0, 0);
	CHECK_STR(outcome.text[OUTPUT], "out\nin\n");
	CHECK_STR(outcome.text[ERRORS], "err\nagain\n");
}

static void test_exit_codes(void)
{
	char records[64];

	for (unsigned code = 0; code < 256; code++) {
		int size = snprintf(records, sizeof(records), "arg=sh%carg=-c%carg=exit %u", 0, 0,
				    code);

		run((struct order){ .records = records, .records_size = (size_t)size + 1 });
		check_exit(code, 0);
	}
}

static void test_death_by_signal(void)
{
	run((struct order){ SHELL("kill -9 $$") });
	check_exit(0, SIGKILL);
	run((struct order){ SHELL("kill -TERM $$") });
	check_exit(0, SIGTERM);
}

static void test_environment(void)
{
	run((struct order){ RECORDS("arg=env\0env=B=2\0env=A=1\0env=A=3\0") });
	check_exit(0, 0);
	CHECK_STR(outcome.text[OUTPUT], "B=2\nA=3\nPATH=/usr/local/sbin:/usr/local/bin:"
		  "/usr/sbin:/usr/bin:/sbin:/bin\nHOME=/root\n");
	run((struct order){ RECORDS("arg=/usr/bin/env\0env=PATH=\0env=HOME=\0user=77\0") });
	check_exit(0, 0);
	CHECK_STR(outcome.text[OUTPUT], "PATH=\nHOME=/\n");
	run((struct order){ RECORDS("arg=env\0env=PATH=/bin\0env=HOME=/mine\0user=77\0") });
	check_exit(0, 0);
	CHECK_STR(outcome.text[OUTPUT], "PATH=/bin\nHOME=/mine\n");
}

static void test_workdir_and_hostname(void)
{
	run((struct order){ RECORDS("arg=sh\0arg=-c\0arg=pwd; uname -n\0workdir=/usr/bin\0"
				    "hostname=box\0") });
	check_exit(0, 0);
	CHECK_STR(outcome.text[OUTPUT], "/usr/bin\nbox\n");
}

static void test_user(void)
{
	run((struct order){ RECORDS("arg=sh\0arg=-c\0arg=id -u; id -g; id -G; echo x >/dev/stdout; "
				    "cat /dev/stdin\0user=4321:1234\0"), .input = "in\n" });
	check_exit(0, 0);
	CHECK_STR(outcome.text[OUTPUT], "4321\n1234\n1234\nx\nin\n");
}

/* Where its user could not go; and what is missing is made, by root, for the user. */
static void test_directories(void)
{
	static char directory[] = "/tmp/guest_agent_test.XXXXXX";
	char records[512], wanted[256];
	int size;

	REQUIRE(mkdtemp(directory));	/* mode 0700 */
	size = snprintf(records, sizeof(records), "arg=pwd%cworkdir=%s%cuser=4321:1234", 0,
			directory, 0);
	run((struct order){ .records = records, .records_size = (size_t)size + 1 });
	check_exit(0, 0);
	snprintf(wanted, sizeof(wanted), "%s\n", directory);
	CHECK_STR(outcome.text[OUTPUT], wanted);

	chmod(directory, 0755);
	size = snprintf(records, sizeof(records), "arg=stat%carg=-c%carg=%%a %%u %%g%c"
			"arg=..%carg=.%carg=%s/volume%cworkdir=%s/new/dir%cvolume=%s/volume%cuser=4321:1234", 0, 0,
			0, 0, 0, directory, 0, directory, 0, directory, 0);
	run((struct order){ .records = records, .records_size = (size_t)size + 1 });
	check_exit(0, 0);
	CHECK_STR(outcome.text[OUTPUT], "755 0 0\n755 4321 1234\n755 4321 1234\n");
	snprintf(records, sizeof(records), "rm -r %s", directory);
	CHECK_INT(system(records), 0);
}

/* Signals 1 to 31; those that C libraries keep for themselves come from the test's caller. */
static unsigned long long signal_set(const char *name)
{
	const char *line = strstr(outcome.text[OUTPUT], name);

	return line ? strtoull(line + strlen(name), NULL, 16) & 0x7fffffff : ~0ull;
}

static void test_signals_are_at_their_defaults(void)
{
	run((struct order){ RECORDS("arg=cat\0arg=/proc/self/status\0") });
	check_exit(0, 0);
	CHECK_INT(signal_set("\nSigBlk:"), 0);
	CHECK_INT(signal_set("\nSigIgn:"), 0);
	CHECK_INT(signal_set("\nSigCgt:"), 0);
}

static void test_no_descriptors_leak(void)
{
	run((struct order){ SHELL("for fd in 3 4 5 6 7 8 9; do "
				  "(: <&$fd) 2>/dev/null && echo $fd; done; true") });
	check_exit(0, 0);
	CHECK_STR(outcome.text[OUTPUT], "");
}

static void test_cannot_run(void)
{
	static char directory[] = "/tmp/guest_agent_test.XXXXXX";
	char text_file[64], bad_script[64], records[256];

	run((struct order){ RECORDS("arg=no-such-program\0") });
	check_error(127, "cannot run \"no-such-program\": not found in PATH");
	run((struct order){ RECORDS("arg=/no/such/program\0") });
	check_error(127, "no such file");
	run((struct order){ RECORDS("arg=\0") });
	check_error(127, "cannot run \"\"");
	run((struct order){ RECORDS("arg=/etc/passwd\0") });
	check_error(126, "not executable");
	run((struct order){ RECORDS("arg=/etc\0") });
	check_error(126, "not executable");

	REQUIRE(mkdtemp(directory));
	snprintf(text_file, sizeof(text_file), "%s/text", directory);
	snprintf(bad_script, sizeof(bad_script), "%s/script", directory);
	int fd = open(text_file, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);

	CHECK_INT(dprintf(fd, "echo hi\n"), 8);
	close(fd);
	fd = open(bad_script, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
	CHECK(dprintf(fd, "#!/no/such/shell\n") > 0);
	close(fd);
	run((struct order){ .records = records, .records_size =
		(size_t)snprintf(records, sizeof(records), "arg=%s", text_file) + 1 });
	check_error(126, "#!");
	run((struct order){ .records = records, .records_size =
		(size_t)snprintf(records, sizeof(records), "arg=%s", bad_script) + 1 });
	check_error(127, "interpreter");
	unlink(text_file);
	unlink(bad_script);
	rmdir(directory);
}

static void test_bad_orders(void)
{
	run((struct order){ RECORDS("") });
	check_error(125, "malformed");
	run((struct order){ RECORDS("arg=sh\0user=nobody-here\0") });
	check_error(125, "user \"nobody-here\" is not in the image's /etc/passwd");
	run((struct order){ RECORDS("arg=sh\0workdir=/etc/passwd/x\0") });
	check_error(125, "cannot make the working directory \"/etc/passwd/x\": \"/etc/passwd\": "
		    "Not a directory");
	run((struct order){ RECORDS("arg=sh\0volume=/proc/no/such\0") });
	check_error(125, "cannot make the volume \"/proc/no/such\": \"/proc/no\": No such file");
}

static void test_orphans(void)
{
	/* the orphan is reaped while the program runs: no zombie is left to be seen */
	run((struct order){ SHELL("(sh -c 'exit 3' & echo $!); orphan=$(sh -c 'true & echo $!'); "
				  "while kill -0 $orphan 2>/dev/null; do :; done; echo gone") });
	check_exit(0, 0);
	CHECK(strstr(outcome.text[OUTPUT], "gone\n"));
}

/* It would keep the output open for a day. */
static void test_nothing_is_left_behind(void)
{
	run((struct order){ SHELL("(trap '' TERM HUP; setsid sleep 86400) & echo started; exit 5") });
	check_exit(5, 0);
	CHECK_STR(outcome.text[OUTPUT], "started\n");
}

static void test_forwarded_signals(void)
{
	run((struct order){ SHELL("trap 'echo got; exit 9' USR1; echo ready; "
				  "while :; do sleep 0.01; done"),
			    .reactions = { { "ready", SIGNAL_FRAME(SIGUSR1, 0) } } });
	check_exit(9, 0);
	CHECK_STR(outcome.text[OUTPUT], "ready\ngot\n");
	run((struct order){ SHELL("echo ready; exec cat"), .keep_input = true,
			    .reactions = { { "ready", SIGNAL_FRAME(SIGINT, 1) } } });
	check_exit(0, SIGINT);
}

static void test_nonsense_frames(void)
{
	run((struct order){ SHELL("trap 'exit 9' USR1; echo ready; while :; do sleep 0.01; done"),
			    .reactions = { { "ready", SIGNAL_FRAME(4711, 0) }, { "ready", 99, 0 },
					   { "ready", PROTO_RUN, 0 },
					   { "ready", SIGNAL_FRAME(SIGUSR1, 0) } } });
	check_exit(9, 0);
}

static void test_stop_and_continue(void)
{
	run((struct order){ SHELL("kill -TSTP $$; echo on") });
	CHECK_INT(outcome.stopped, SIGTSTP);
	check_exit(0, 0);
	CHECK_STR(outcome.text[OUTPUT], "on\n");
}

static void test_much_output(void)
{
	run((struct order){ SHELL("head -c 100000000 /dev/zero; head -c 3000000 /dev/zero >&2") });
	check_exit(0, 0);
	CHECK_INT(outcome.size[OUTPUT], 100000000);
	CHECK_INT(outcome.size[ERRORS], 3000000);
}

/* Full pipe, dead program: every byte still comes. */
static void test_output_of_the_dead(void)
{
	run((struct order){ SHELL("head -c 65536 /dev/zero; kill -9 $$") });
	check_exit(0, SIGKILL);
	CHECK_INT(outcome.size[OUTPUT], 65536);
}

static void test_reader_leaves(void)
{
	run((struct order){ RECORDS("arg=yes\0"), .stop_reading = 2 });
	check_exit(0, SIGPIPE);
}

static void test_input_not_read(void)
{
	run((struct order){ SHELL("exec <&-; echo closed; sleep 0.1"), .keep_input = true });
	check_exit(0, 0);
	CHECK_STR(outcome.text[OUTPUT], "closed\n");
}

static void test_terminal(void)
{
	run((struct order){ SHELL("test -t 0 && test -t 1 && test -t 2 && stty size && "
				  "read line && echo got $line && : </dev/tty"),
			    .terminal = 7, .input = "hello\n", .input_after = "24 80",
			    .keep_input = true });
	check_exit(0, 0);
	CHECK_STR(outcome.text[TERMINAL], "24 80\r\nhello\r\ngot hello\r\n");
}

static void test_terminal_interrupt(void)
{
	run((struct order){ SHELL("echo ready; exec cat"), .terminal = 7, .input = "\003",
			    .input_after = "ready", .keep_input = true });
	check_exit(0, SIGINT);
}

/* The window is closed: the program gets SIGHUP, and its end is told all the same. */
static void test_terminal_hangup(void)
{
	run((struct order){ SHELL("echo ready; exec sleep 86400"), .terminal = 7, .input = "x",
			    .input_after = "ready" });
	check_exit(0, SIGHUP);
}

static void test_terminal_resize(void)
{
	const struct proto_winsize size = { .rows = 50, .columns = 132 };
	uint64_t payload;

	memcpy(&payload, &size, sizeof(payload));
	run((struct order){ SHELL("trap 'stty size; exit' WINCH; echo ready; "
				  "while :; do sleep 0.01; done"),
			    .terminal = 7, .keep_input = true,
			    .reactions = { { "ready", PROTO_WINSIZE, payload } } });
	check_exit(0, 0);
	CHECK(strstr(outcome.text[TERMINAL], "50 132\r\n"));
}

static void test_terminal_and_pipe(void)
{
	run((struct order){ SHELL("test -t 1 || cat; echo err >&2; test -t 2"), .terminal = 4,
			    .input = "in", .keep_input = false });
	check_exit(0, 0);
	CHECK_STR(outcome.text[OUTPUT], "in");
	CHECK_STR(outcome.text[TERMINAL], "err\r\n");
}

static void test_terminal_output_to_its_end(void)
{
	run((struct order){ SHELL("stty -opost; head -c 1000000 /dev/zero"), .terminal = 7,
			    .keep_input = true });
	check_exit(0, 0);
	CHECK_INT(outcome.size[TERMINAL], 1000000);
}

static void test_namespaces(void)
{
	pid_t probe = fork();
	int status;

	if (!probe)
		_exit(unshare(CLONE_NEWPID | CLONE_NEWUTS) ? 98 : 0);
	waitpid(probe, &status, 0);
	has_namespaces = !status;
	if (!has_namespaces)
		CHECK_SKIP("only root can make a process id namespace: no test of the agent ran");
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	CHECK_RUN(test_namespaces);
	if (!has_namespaces)
		return check_report();
	CHECK_RUN(test_streams);
	CHECK_RUN(test_exit_codes);
	CHECK_RUN(test_death_by_signal);
	CHECK_RUN(test_environment);
	CHECK_RUN(test_workdir_and_hostname);
	CHECK_RUN(test_user);
	CHECK_RUN(test_directories);
	CHECK_RUN(test_signals_are_at_their_defaults);
	CHECK_RUN(test_no_descriptors_leak);
	CHECK_RUN(test_cannot_run);
	CHECK_RUN(test_bad_orders);
	CHECK_RUN(test_orphans);
	CHECK_RUN(test_nothing_is_left_behind);
	CHECK_RUN(test_forwarded_signals);
	CHECK_RUN(test_nonsense_frames);
	CHECK_RUN(test_stop_and_continue);
	CHECK_RUN(test_much_output);
	CHECK_RUN(test_output_of_the_dead);
	CHECK_RUN(test_reader_leaves);
	CHECK_RUN(test_input_not_read);
	CHECK_RUN(test_terminal);
	CHECK_RUN(test_terminal_interrupt);
	CHECK_RUN(test_terminal_hangup);
	CHECK_RUN(test_terminal_resize);
	CHECK_RUN(test_terminal_and_pipe);
	CHECK_RUN(test_terminal_output_to_its_end);
	return check_report();
}
