/*
 * Where log lines go. Lines collect in a bounded ring and leave at the end of a loop round, or at
 * once in a process without a loop.
 */
#ifndef GROUND_LOGGER_H
#define GROUND_LOGGER_H

#include <posthouse/log.h>

/*
 * destination: "syslog", "stderr", or an absolute path (opened to append, mode 0640). name is
 * syslog_name; component the role ("smtpd"). json: one object a line. Before it is called, lines
 * go to standard error. Called again after a fork, with the new component: keeps the descriptor.
 */
int logger_open(const char *destination, const char *name, const char *component, bool json,
	ph_error *error);
void logger_set_component(const char *component);
/* A line at once, from a signal handler: nothing is locked or allocated. What the ring holds goes
 * first where that is safe. Printable ASCII only. */
void logger_emergency(const char *text);
/* Opens a log file again, after rotation. */
void logger_reopen(void);
/* The descriptor of the log file, -1 when the log goes elsewhere; and another one in its place,
 * which somebody with the rights to open it has sent (duplicated: the caller closes fd). */
int logger_file(void);
void logger_replace_file(int fd);
void logger_flush(void);
void logger_close(void);
/* Lines of a test, escaped, without head and "warning: ": NULL ends it. */
void logger_capture(void (*fn)(const char *component, ph_log_level level, const char *line,
	void *context), void *context);

#endif
