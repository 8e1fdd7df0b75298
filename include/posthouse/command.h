/*
 * posthouse/command.h: running a command with a message as its standard input.
 *
 * Only for deliver_as_user() of a transport, in the process that is the user; it blocks.
 */
#ifndef POSTHOUSE_COMMAND_H
#define POSTHOUSE_COMMAND_H

#include <posthouse/base.h>
#include <posthouse/transport.h>

PH_BEGIN_DECLS

enum {
	PH_COMMAND_QUOTE_FROM = 1, /* ">" before lines of the content that begin with "From " */
	PH_COMMAND_QUOTE_DOT = 2   /* a dot before lines of the content that begin with one */
};

struct ph_command {
	uint32_t size;
	uint32_t flags;
	const char *const *argv;        /* ends with NULL; argv[0] is looked up in PATH */
	const char *const *otherwise;   /* tried when there is no argv[0]; NULL: nothing is */
	const char *const *environment; /* "NAME=value", besides what the process has; ends with NULL */
	const char *directory;          /* where it runs; NULL: where the process is */
	const char *title;              /* how texts call it */
	const char *eol;                /* the end of lines, at most PH_COMMAND_EOL_MAX bytes */
	const char *head, *tail;        /* before and behind the content; lines that end with LF */
	int fd;                         /* of the content, as in deliver_as_user() */
	int64_t offset, length;
	int64_t time_limit;             /* milliseconds */
};
#define PH_COMMAND_EOL_MAX 8

/*
 * Runs it in a session of its own and waits for its end; then all processes of its group are
 * killed. What it writes is read and thrown away but for the start, which is the result's output.
 * Not all of the message need be read. The result:
 *
 * exit status 0: sent 2.0.0. Another one: what the output says, if it begins with an enhanced
 * status code of class 4 or 5; else as sysexits.h and the sendmail tradition have it (75: deferred
 * 4.3.0; 67: returned 5.1.1, …); others 5.3.0. A signal: deferred 4.3.0. The time is up: returned
 * 5.3.0. It could not be started: deferred 4.3.0.
 */
PH_API void ph_command_run(const struct ph_command *command, struct ph_user_result *result);

PH_END_DECLS

#endif
