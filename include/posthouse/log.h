/*
 * posthouse/log.h: one line for the log.
 *
 * The log knows which session, message and module instance the running task works for and adds
 * them. A call never blocks: lines go out through a bounded ring, and what did not fit is counted
 * and reported. Control characters and non-UTF-8 bytes in the finished line are escaped.
 */
#ifndef POSTHOUSE_LOG_H
#define POSTHOUSE_LOG_H

#include <posthouse/base.h>

PH_BEGIN_DECLS

typedef enum ph_log_level {
	PH_LOG_FATAL,   /* the process cannot go on; the caller ends it */
	PH_LOG_ERROR,   /* something was not done that had to be */
	PH_LOG_WARNING, /* an administrator should look */
	PH_LOG_INFO,    /* mail is flowing */
	PH_LOG_DEBUG    /* for tests, which capture the log; nowhere else is it shown */
} ph_log_level;

/* One line, without a newline at its end, under the component of the running process. The log adds
 * "fatal: ", "error: ", "warning: " by itself. */
PH_API void ph_log(ph_log_level level, const char *format, ...) PH_PRINTF(2, 3);

/* The same under another component's name ("cleanup", "pickup", "qmgr"), as log readers expect
 * the lines of a classic mail system to be signed. */
PH_API void ph_log_as(const char *component, ph_log_level level, const char *format, ...)
	PH_PRINTF(3, 4);

PH_END_DECLS

#endif
