/* One run of the program, as its user sees it. */
#include "session.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "host/host.h"
#include "host/signals.h"
#include "host/terminal.h"
#include "log.h"

#define TERMINAL_STREAM		3
#define TIMEOUT_STATUS		124	/* as timeout(1) */
#define TIMEOUT_GRACE_MS	2000
#define URGENT_COUNT		3	/* SIGINTs or SIGTERMs … */
#define URGENT_NS		3000000000ull	/* … within this time end the machine by force */

static bool is_terminal(const struct session *session, int fd)
{
	return session->terminals & 1u << fd;
}

/* Whether only the guest prints to the terminal: then its pty does all that a terminal does. */
static bool owns_terminal(const struct session *session)
{
	return is_terminal(session, STDIN_FILENO) && is_terminal(session, STDOUT_FILENO);
}

static int terminal_output(const struct session *session)
{
	static const int order[] = { STDOUT_FILENO, STDERR_FILENO, STDIN_FILENO };

	for (unsigned i = 0; i < 3; i++)
		if (is_terminal(session, order[i]))
			return order[i];
	return -1;
}

static struct proto_winsize window_size(const struct session *session)
{
	struct proto_winsize size = { 0 };
	int fd = terminal_output(session);

	if (fd >= 0)
		terminal_size(fd, &size.rows, &size.columns, &size.x_pixels, &size.y_pixels);
	return size;
}

/* Keys go to the guest while the program runs and the launcher is in the foreground. */
static void take_terminal(struct session *session)
{
	bool ours = is_terminal(session, STDIN_FILENO) && terminal_is_ours(STDIN_FILENO);

	if (ours)
		terminal_set_raw(STDIN_FILENO, !owns_terminal(session));
	stream_pause_input(&session->streams[TERMINAL_STREAM], !ours);
}

static bool all_drained(const struct session *session)
{
	for (unsigned i = 0; i < 4; i++)
		if (!stream_is_drained(&session->streams[i]))
			return false;
	return true;
}

static void on_drained(struct stream *stream)
{
	struct session *session = stream->context;

	if (session->ending && all_drained(session))
		loop_stop(session->loop);
}

/* Nothing more will happen but that readers take what is left. */
static void end(struct session *session, int status)
{
	if (session->ending)
		return;
	session->ending = true;
	session->status = session->timed_out ? TIMEOUT_STATUS : status;
	if (all_drained(session))
		loop_stop(session->loop);
}

/* Nobody waits for slow readers any more. */
static void end_by_force(struct session *session, int status)
{
	session->ending = true;
	session->status = status;
	loop_stop(session->loop);
}

static void on_started(void *context)
{
	struct session *session = context;

	debug("program started %.3f ms after start", host_uptime_ms());
	session->started = true;
	take_terminal(session);
}

static void stop_launcher(struct session *session)
{
	bool raw = owns_terminal(session) || is_terminal(session, STDIN_FILENO);

	terminal_restore();
	/*
	 * With the keys in the guest's hands, the stop was asked for there and the
	 * rest of our job (a pipeline, a script) has not heard of it.
	 */
	kill(raw ? 0 : getpid(), SIGSTOP);
}

static void on_stopped(void *context, unsigned signal)
{
	(void)signal;
	stop_launcher(context);
}

static void on_exited(void *context, const struct proto_exit *exit)
{
	struct session *session = context;

	debug("program ended %.3f ms after start", host_uptime_ms());
	if (exit->oom_kills)
		warn("the machine ran out of memory (%llu MiB) and killed %u process%s; "
		     "give it more with --vm-mem",
		     (unsigned long long)session->memory_size >> 20, exit->oom_kills,
		     exit->oom_kills == 1 ? "" : "es");
	end(session, exit->signal ? 128 + (int)(exit->signal & 0x7f) : (int)(exit->code & 0xff));
}

static void on_failed(void *context, unsigned status, const char *text)
{
	warn("%s", text);
	end(context, (int)status);
}

static void on_lost(void *context, const char *text)
{
	session_lost(context, text);
}

static const struct control_hooks control_hooks = {
	.started = on_started,
	.stopped = on_stopped,
	.exited = on_exited,
	.failed = on_failed,
	.lost = on_lost,
};

bool session_has_begun(const struct session *session)
{
	return session->control.greeted;
}

void session_lost(struct session *session, const char *reason)
{
	if (session->ending)
		return;
	terminal_restore();
	warn("the machine failed: %s", reason);
	if (session->say_last_words)
		session->say_last_words(session);
	end(session, LAUNCHER_FAILURE);
}

static bool is_impatient(struct session *session, int number)
{
	uint64_t now = host_realtime_ns();

	if (number != SIGINT && number != SIGTERM)
		return false;
	if (now - session->urgent_since_ns > URGENT_NS) {
		session->urgent_since_ns = now;
		session->urgent_count = 0;
	}
	return ++session->urgent_count >= URGENT_COUNT;
}

static void handle_signal(struct session *session, int number, bool from_terminal)
{
	if (number == SIGWINCH) {
		struct proto_winsize size = window_size(session);

		if (session->terminals)
			control_winsize(&session->control, &size);
		return;
	}
	if (number == SIGCONT && session->started) {
		struct proto_winsize size = window_size(session);

		take_terminal(session);
		if (session->terminals)
			control_winsize(&session->control, &size);
	}
	if (!session->started) {
		/* There is no program yet: what would end it ends the launcher. */
		if (number == SIGTSTP)
			stop_launcher(session);
		else if (number != SIGCONT)
			end_by_force(session, 128 + number);
	} else if (is_impatient(session, number)) {
		end_by_force(session, 128 + number);
	} else {
		control_signal(&session->control,
			       number == SIGTERM ? session->stop_signal : (unsigned)number,
			       from_terminal);
	}
}

static void on_signal(struct loop_source *source, unsigned events)
{
	struct session *session = source->context;
	bool from_terminal;
	int number;

	(void)events;
	while ((number = signals_read(source->fd, &from_terminal)) > 0)
		handle_signal(session, number, from_terminal);
}

static void on_timer(struct loop_source *source, unsigned events)
{
	struct session *session = source->context;

	(void)events;
	if (session->started && !session->ending && !session->timed_out) {
		session->timed_out = true;
		control_signal(&session->control, session->stop_signal, false);
		loop_timer_arm(source, TIMEOUT_GRACE_MS);
		return;
	}
	loop_timer_arm(source, 0);
	end_by_force(session, TIMEOUT_STATUS);
}

int session_prepare(struct session *session, struct loop *loop)
{
	static const int forwarded[] = {
		SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGTSTP, SIGCONT, SIGWINCH, 0,
	};

	session->loop = loop;
	session->status = LAUNCHER_FAILURE;
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (isatty(fd))
			session->terminals |= 1u << fd;
	signal(SIGPIPE, SIG_IGN);
	/* Else a launcher in the background would be stopped by restoring the terminal. */
	signal(SIGTTOU, SIG_IGN);
	session->signals = (struct loop_source){
		.fd = signals_open(forwarded), .ready = on_signal, .context = session,
	};
	return session->signals.fd < 0 ? session->signals.fd
				       : loop_add(loop, &session->signals, LOOP_READ);
}

static int open_stream(struct session *session, struct vsock *vsock, unsigned index, uint32_t port,
		       int in_fd, int out_fd)
{
	struct stream *stream = &session->streams[index];

	stream->drained = on_drained;
	stream->context = session;
	return stream_init(stream, session->loop, vsock, port, in_fd, out_fd);
}

int session_open(struct session *session, struct vsock *vsock, const char *records, size_t size)
{
	struct proto_run run = {
		.terminal = session->terminals,
		.raw_output = !owns_terminal(session),
		.winsize = window_size(session),
	};
	int error = host_random(run.seed, sizeof(run.seed));

	if (!error && session->terminals)
		error = open_stream(session, vsock, TERMINAL_STREAM, PROTO_PORT_TERMINAL,
				    is_terminal(session, STDIN_FILENO) ? STDIN_FILENO : -1,
				    terminal_output(session));
	/* In the background, reading it would stop us: take_terminal() knows when to. */
	if (!error && is_terminal(session, STDIN_FILENO))
		stream_pause_input(&session->streams[TERMINAL_STREAM], true);
	if (!error && !is_terminal(session, STDIN_FILENO))
		error = open_stream(session, vsock, STDIN_FILENO, PROTO_PORT_STDIN, STDIN_FILENO, -1);
	if (!error && !is_terminal(session, STDOUT_FILENO))
		error = open_stream(session, vsock, STDOUT_FILENO, PROTO_PORT_STDOUT, -1,
				    STDOUT_FILENO);
	if (!error && !is_terminal(session, STDERR_FILENO))
		error = open_stream(session, vsock, STDERR_FILENO, PROTO_PORT_STDERR, -1,
				    STDERR_FILENO);
	if (!error)
		error = control_init(&session->control, vsock, &run, records, size, &control_hooks,
				     session);
	return error;
}

int session_run(struct session *session)
{
	int error = 0;

	if (session->timeout_ms) {
		error = loop_timer_init(session->loop, &session->timer, on_timer, session);
		if (!error)
			loop_timer_arm(&session->timer, session->timeout_ms);
	}
	if (!error)
		error = loop_run(session->loop);
	if (error)
		die("the event loop failed: %s", strerror(-error));
	return session->status;
}
