/* Messages for the person who runs the machine: one line on stderr each. */
#ifndef SMOLPACK_LOG_H
#define SMOLPACK_LOG_H

/* What the launcher itself exits with when the machine cannot do its work. */
#define LAUNCHER_FAILURE 125

/**
 * log_shown - the byte at @at of a text from elsewhere, as a terminal may get it: '?' for what
 * could be the start of a command to it.
 */
char log_shown(const char *at);

/** log_init - name the program in every line; @name must stay valid. */
void log_init(const char *name);

/** log_enable_debug - print debug() lines from now on (--vm-debug). */
void log_enable_debug(void);

#define LOG_PRINTF(f, a) __attribute__((format(printf, f, a)))

/** die - say what failed and what to do about it, then exit with LAUNCHER_FAILURE. */
_Noreturn LOG_PRINTF(1, 2) void die(const char *format, ...);

/** warn - say what is wrong and go on. */
LOG_PRINTF(1, 2) void warn(const char *format, ...);

/** debug - tell how things go, only when asked to. */
LOG_PRINTF(1, 2) void debug(const char *format, ...);

#endif
