/* The launcher's agent in the guest: one program, its streams, its signals, its end. */
#include "agent.h"

#include "channel.h"
#include "clock.h"
#include "directory.h"
#include "etc.h"
#include "frame.h"
#include "machine.h"
#include "proto.h"
#include "records.h"
#include "spawn.h"
#include "stream.h"
#include "terminal.h"
#include "user.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A stream for each standard descriptor, and the terminal's. */
enum { TERMINAL_STREAM = 3, STREAM_COUNT };

/* Bounds the clock's error; only emulated machines ever need to ask again. */
#define GOOD_ROUND_TRIP_NS	UINT64_C(10000000)
#define MAX_CLOCK_EXCHANGES	3

static struct agent {
	int			control;
	struct frame		frame;		/* that is being received */
	struct terminal		terminal;
	struct stream		streams[STREAM_COUNT];
	pid_t			program;	/* its process and group; 0: has ended */
	struct proto_exit	exit;
	bool			exit_sent;
} agent = {
	.terminal = { .master = -1, .slave = -1 },
	.streams = {
		{ .connection = -1 }, { .connection = -1 }, { .connection = -1 }, { .connection = -1 },
	},
};

/* Ends the machine: nothing restarts it, so a restart is the quickest way. */
static _Noreturn void power_off(void)
{
	reboot(RB_AUTOBOOT);
	_exit(1);
}

/* Without its launcher the machine has no purpose. */
static _Noreturn void lose_launcher(int error)
{
	dprintf(STDERR_FILENO, "<0>smolpack: connection to the launcher lost: %s\n",
		strerror(-error));
	power_off();
}

static void send_frame(int control, enum proto_type type, const void *payload, size_t size)
{
	int failed = frame_send(control, type, payload, size, NULL, 0);

	if (failed)
		lose_launcher(failed);
}

int agent_connect(struct error *error)
{
	int control = channel_connect(PROTO_PORT_CONTROL);

	if (control < 0)
		return error_set(error, ERROR_MACHINE, "cannot connect to the launcher: %s",
				 strerror(-control));
	return control;
}

/* Returns 0 or a negative errno. */
static int wait_connected(int control)
{
	struct pollfd polled = { .fd = control, .events = POLLOUT };
	int error = 0;

	while (poll(&polled, 1, -1) < 0)
		if (errno != EINTR)
			return -errno;
	getsockopt(control, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){ sizeof(error) });
	return -error;
}

int agent_greet(int control, struct error *error)
{
	const struct proto_hello hello = { .version = PROTO_VERSION };
	int failed = wait_connected(control);

	if (!failed)
		failed = frame_send(control, PROTO_HELLO, &hello, sizeof(hello), NULL, 0);
	if (failed)
		return error_set(error, ERROR_MACHINE, "cannot connect to the launcher: %s",
				 strerror(-failed));
	return 0;
}

void agent_fail(int control, const struct error *error)
{
	const struct proto_error header = { .status = error->status };
	struct pollfd polled = { .fd = control, .events = POLLRDHUP };

	if (wait_connected(control) ||
	    frame_send(control, PROTO_ERROR, &header, sizeof(header), error->text,
		       strlen(error->text)))
		return;
	while (poll(&polled, 1, -1) <= 0)
		;
	power_off();
}

/* Waits until the next frame is whole. Returns as frame_receive(), never 0. */
static int wait_frame(struct frame *frame)
{
	struct pollfd polled = { .fd = agent.control, .events = POLLIN };
	int received;

	while (!(received = frame_receive(agent.control, frame)))
		poll(&polled, 1, -1);
	return received;
}

/* Waits for the first frame, which has to be RUN; its records stay in agent.frame. */
static int receive_run(struct proto_run *run, struct error *error)
{
	struct frame *frame = &agent.frame;
	int received = wait_frame(frame);

	if (received == -ENOMEM)
		return error_set(error, ERROR_MACHINE, "out of memory for the program's arguments: "
				 "give the machine more memory");
	if (received == -EPROTO || (received > 0 && (frame->header.type != PROTO_RUN ||
	    frame->header.size < sizeof(struct proto_run))))
		return error_set(error, ERROR_MACHINE, "malformed RUN frame from the launcher");
	if (received < 0)
		lose_launcher(received);
	memcpy(run, frame->payload, sizeof(*run));
	return 0;
}

static int configure_machine(const struct proto_run *run, const struct program *program,
			     struct error *error)
{
	if (machine_seed_random(run->seed, sizeof(run->seed), error))
		return -1;
	if (program->hostname && machine_set_hostname(program->hostname, error))
		return -1;
	return etc_fill("/etc", program->hostname, error);
}

static int provide_directories(const struct program *program, const struct identity *identity,
			       struct error *error)
{
	for (char **volume = program->volumes; *volume; volume++)
		if (directory_provide(*volume, "volume", identity, error))
			return -1;
	return program->workdir ? directory_provide(program->workdir, "working directory", identity,
						    error) : 0;
}

/* Gives each standard descriptor the terminal or a pipe; returns the program's ends. */
static int open_streams(const struct proto_run *run, uid_t owner, int descriptors[3],
			struct error *error)
{
	const uint32_t terminal_mask = run->terminal & 7;

	if (terminal_mask) {
		if (terminal_open(&agent.terminal, &run->winsize, run->raw_output, error) ||
		    stream_open_terminal(&agent.streams[TERMINAL_STREAM], agent.terminal.master,
					 error))
			return -1;
	}
	for (int fd = 0; fd < 3; fd++) {
		descriptors[fd] = terminal_mask & 1u << fd ? agent.terminal.slave :
			stream_open_pipe(&agent.streams[fd], PROTO_PORT_STDIN + (unsigned)fd, error);
		if (descriptors[fd] < 0)
			return -1;
		/* or the program could not open its own /dev/stdout */
		if (owner && fchown(descriptors[fd], owner, (gid_t)-1) < 0)
			return error_set(error, ERROR_MACHINE, "cannot give the standard streams "
					 "to user %u: %s", owner, strerror(errno));
	}
	return 0;
}

static void set_defaults(struct program *program, const struct identity *identity)
{
	static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	static char home[sizeof("HOME=") + sizeof(identity->home)];
	const char *value = program_environment(program, "HOME");

	if (!program_environment(program, "PATH"))
		program_set_environment(program, path);
	/* an empty one is none to container engines, too */
	if (!value || !*value) {
		snprintf(home, sizeof(home), "HOME=%s", identity->home);
		program_set_environment(program, home);
	}
}

static void forward_signal(const struct proto_signal *request)
{
	pid_t target = agent.program;

	if (!agent.program)
		return;
	if (request->to_group) {
		pid_t foreground = terminal_foreground(&agent.terminal);

		target = foreground ? -foreground : -agent.program;
	}
	kill(target, (int)request->number);
}

/* A frame that makes no sense is skipped: the program's life does not depend on it. */
static void handle_frame(const struct frame *frame)
{
	union {
		struct proto_signal	signal;
		struct proto_winsize	winsize;
	} request;

	if (frame->header.type == PROTO_SIGNAL && frame->header.size == sizeof(request.signal)) {
		memcpy(&request, frame->payload, sizeof(request.signal));
		forward_signal(&request.signal);
	} else if (frame->header.type == PROTO_WINSIZE &&
		   frame->header.size == sizeof(request.winsize)) {
		memcpy(&request, frame->payload, sizeof(request.winsize));
		if (agent.terminal.slave >= 0)
			terminal_resize(&agent.terminal, &request.winsize);
	}
}

/* The last step before the program starts: by then the code on the way is in the caches. */
static void set_clock(void)
{
	struct clock_answer answer = { 0 };
	uint64_t round_trip_ns = UINT64_MAX;

	for (int i = 0; i < MAX_CLOCK_EXCHANGES && round_trip_ns > GOOD_ROUND_TRIP_NS; i++) {
		const uint64_t asked_ns = clock_monotonic_ns();
		struct frame frame = { 0 };
		struct proto_time time;

		send_frame(agent.control, PROTO_TIME, NULL, 0);
		for (;;) {
			int received = wait_frame(&frame);

			if (received < 0)
				lose_launcher(received);
			if (frame.header.type == PROTO_TIME && frame.header.size == sizeof(time))
				break;
			handle_frame(&frame);
			frame_clear(&frame);
		}
		memcpy(&time, frame.payload, sizeof(time));
		frame_clear(&frame);
		round_trip_ns = clock_hear(&answer, asked_ns, time.realtime_ns);
	}
	clock_set(&answer);
}

static int start_program(struct error *error)
{
	static struct identity identity;
	struct program program;
	struct proto_run run;
	int descriptors[3];

	if (receive_run(&run, error) ||
	    records_decode((char *)agent.frame.payload + sizeof(run),
			   agent.frame.header.size - sizeof(run), &program, error) ||
	    configure_machine(&run, &program, error) ||
	    user_lookup(program.user, &identity, error) ||
	    provide_directories(&program, &identity, error))
		return -1;
	set_defaults(&program, &identity);
	if (open_streams(&run, identity.uid, descriptors, error))
		return -1;
	set_clock();

	agent.program = spawn(&program, &identity, descriptors, agent.terminal.slave, error);
	if (agent.program < 0)
		return -1;
	/* the pipes' ends belong to the program alone, or nobody would see their end */
	for (int fd = 0; fd < 3; fd++)
		if (descriptors[fd] != agent.terminal.slave)
			close(descriptors[fd]);
	program_free(&program);
	frame_clear(&agent.frame);
	send_frame(agent.control, PROTO_STARTED, NULL, 0);
	return 0;
}

static void serve_control(void)
{
	int received = frame_receive(agent.control, &agent.frame);

	if (received < 0 && agent.exit_sent)
		power_off();
	if (received < 0)
		lose_launcher(received);
	if (received) {
		handle_frame(&agent.frame);
		frame_clear(&agent.frame);
	}
}

/* The program is dead: nothing that it left behind outlives it. */
static void end_program(int status)
{
	agent.program = 0;
	if (WIFSIGNALED(status))
		agent.exit.signal = (uint32_t)WTERMSIG(status);
	else
		agent.exit.code = (uint32_t)WEXITSTATUS(status);

	do
		kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) >= 0 || errno != ECHILD);

	if (agent.terminal.slave >= 0)
		close(agent.terminal.slave);
	agent.terminal.slave = -1;
	for (int i = 0; i < STREAM_COUNT; i++)
		stream_end_input(&agent.streams[i]);
}

static void reap_children(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
		if (pid != agent.program)
			continue;
		if (WIFSTOPPED(status)) {
			const struct proto_signal stopped = { .number = (uint32_t)WSTOPSIG(status) };

			send_frame(agent.control, PROTO_STOPPED, &stopped, sizeof(stopped));
		} else {
			end_program(status);
		}
	}
}

/* The launcher's terminal is gone: what a shell does to its jobs then. */
static void hang_up(void)
{
	pid_t foreground = terminal_foreground(&agent.terminal);

	if (agent.program && foreground) {
		kill(-foreground, SIGHUP);
		kill(-foreground, SIGCONT);
	}
}

static void end_stream(int i)
{
	if (i == TERMINAL_STREAM) {
		hang_up();
		agent.terminal.master = -1;
	}
	stream_close(&agent.streams[i]);
}

static void serve_descriptors(const struct pollfd *polled)
{
	if (polled[0].revents)
		serve_control();
	for (int i = 0; i < STREAM_COUNT; i++)
		if (stream_service(&agent.streams[i], &polled[1 + 2 * i]))
			end_stream(i);
}

/* When the last output is on its way, says how the program ended. */
static void report_end(void)
{
	if (agent.program || agent.exit_sent)
		return;
	for (int i = 0; i < STREAM_COUNT; i++)
		if (agent.streams[i].connection >= 0)
			return;
	agent.exit.oom_kills = machine_oom_kills();
	send_frame(agent.control, PROTO_EXIT, &agent.exit, sizeof(agent.exit));
	agent.exit_sent = true;
}

static void on_child(int signal)
{
	(void)signal;	/* only to interrupt ppoll() */
}

_Noreturn void agent_serve(int control)
{
	const struct sigaction child_action = { .sa_handler = on_child };
	struct pollfd polled[1 + 2 * STREAM_COUNT];
	struct error error;
	sigset_t all, all_but_child;

	agent.control = control;
	/* also while it waits: a broken stream's SIGPIPE, or the program's kill(-1, SIGTERM),
	 * must not end the agent */
	sigfillset(&all);
	all_but_child = all;
	sigdelset(&all_but_child, SIGCHLD);
	sigprocmask(SIG_SETMASK, &all, NULL);
	sigaction(SIGCHLD, &child_action, NULL);

	if (start_program(&error)) {
		agent_fail(control, &error);
		power_off();
	}

	for (;;) {
		polled[0] = (struct pollfd){ .fd = control, .events = POLLIN };
		for (int i = 0; i < STREAM_COUNT; i++)
			stream_prepare(&agent.streams[i], &polled[1 + 2 * i]);

		if (ppoll(polled, sizeof(polled) / sizeof(*polled), NULL,
			  &all_but_child) >= 0)
			serve_descriptors(polled);
		/* always: descriptors that are never idle keep ppoll() from being interrupted */
		reap_children();
		report_end();
	}
}
