/*
 * Log lines: their shape, and where they go. One logger a process, used on the loop's thread.
 *
 * Classic lines have the shape of syslog and of Postfix, so that its log readers know them; a line
 * above INFO says its level, "warning: …", as theirs do.
 */
#include "ground/logger.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "ground/escape.h"
#include "ground/loop.h"
#include "ground/ring.h"

enum {
	TEXT_SIZE = 4096, /* of a message before it is escaped */
	LINE_SIZE = 8192  /* of a finished line; what is longer is cut */
};

typedef void capture_fn(const char *component, ph_log_level level, const char *line, void *context);

static struct {
	struct ring ring;
	bool open;
	bool json;
	bool fork_watched;
	pid_t pid;      /* 0: not asked yet; a child of fork() asks again */
	char path[256]; /* of a file; "" for the others */
	char name[64];
	char component[64];
	char host[64];
	int64_t utc_offset;
	int64_t offset_quarter;
	int64_t stamp_second;
	char stamp[20];
	capture_fn *capture;
	void *capture_context;
	char text[TEXT_SIZE];
	char line[LINE_SIZE];
} logger = {
	.ring = {.fd = STDERR_FILENO, .kind = RING_PIPE},
	.name = "posthouse",
	.stamp = "Jan  1 00:00:00 ",
	.offset_quarter = -1,
};

struct level {
	const char *prefix; /* in a classic line */
	const char *name;   /* in JSON */
	int priority;
};

static const struct level levels[] = {
	[PH_LOG_FATAL] = {"fatal: ", "fatal", LOG_CRIT},
	[PH_LOG_ERROR] = {"error: ", "error", LOG_ERR},
	[PH_LOG_WARNING] = {"warning: ", "warning", LOG_WARNING},
	[PH_LOG_INFO] = {"", "info", LOG_INFO},
	[PH_LOG_DEBUG] = {"", "debug", LOG_DEBUG},
};

/* ---- The shape of a line --------------------------------------------------------------------- */

static void
put_string(struct escape_out *out, const char *string)
{
	escape_raw(out, string, strlen(string));
}

static void
put_number(struct escape_out *out, unsigned number)
{
	char digits[12];
	size_t at = sizeof(digits);

	do
		digits[--at] = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	escape_raw(out, digits + at, sizeof(digits) - at);
}

static void
put_two(char *at, int number, char filler)
{
	at[0] = number < 10 ? filler : (char)('0' + number / 10 % 10);
	at[1] = (char)('0' + number % 10);
}

/* Month and day of a number of days since 1970, in the calendar of Gregory: counted in years that
 * begin in March, in eras of 400 years. */
static void
month_and_day(int64_t days, int *month, int *day)
{
	int64_t era_day = (days + 719468) % 146097;
	int64_t year = (era_day - era_day / 1460 + era_day / 36524 - era_day / 146096) / 365;
	int64_t year_day = era_day - (365 * year + year / 4 - year / 100);
	int64_t shifted = (5 * year_day + 2) / 153;

	*day = (int)(year_day - (153 * shifted + 2) / 5 + 1);
	*month = (int)(shifted < 10 ? shifted + 2 : shifted - 10); /* 0: January */
}

/* "Feb 17 18:21:11 ", in local time, made once a second. Safe in a signal handler. */
static void
put_stamp(struct escape_out *out)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int64_t now = time(NULL);
	int64_t local = now + logger.utc_offset;
	char *stamp = logger.stamp;
	int month, day;

	if (now != logger.stamp_second) {
		logger.stamp_second = now;
		month_and_day(local / 86400, &month, &day);
		memcpy(stamp, months + 3 * (ptrdiff_t)month, 3);
		put_two(stamp + 4, day, ' ');
		put_two(stamp + 7, (int)(local / 3600 % 24), '0');
		put_two(stamp + 10, (int)(local / 60 % 60), '0');
		put_two(stamp + 13, (int)(local % 60), '0');
	}
	put_string(out, stamp);
}

/* How far local time is ahead; looked up again every quarter of an hour, when it may change. */
static void
learn_offset(void)
{
	time_t now = time(NULL);
	struct tm local;

	if (now / 900 == logger.offset_quarter)
		return;
	logger.offset_quarter = now / 900;
	logger.stamp_second = -1;
	if (localtime_r(&now, &local) != NULL)
		logger.utc_offset = local.tm_gmtoff;
}

static unsigned
own_pid(void)
{
	if (logger.pid == 0)
		logger.pid = getpid();
	return (unsigned)logger.pid;
}

/* "posthouse/smtpd[123]: " */
static void
put_tag(struct escape_out *out, const char *component)
{
	put_string(out, logger.name);
	if (component[0] != '\0')
		put_string(out, "/");
	put_string(out, component);
	put_string(out, "[");
	put_number(out, own_pid());
	put_string(out, "]: ");
}

/* What stands before the text: more for a file than for a log daemon, which adds the host. */
static void
put_head(struct escape_out *out, const char *component, ph_log_level level)
{
	if (!logger.open) {
		put_string(out, logger.name);
		put_string(out, ": ");
		return;
	}
	if (logger.ring.kind == RING_SYSLOG) {
		put_string(out, "<");
		put_number(out, (unsigned)(LOG_MAIL | levels[level].priority));
		put_string(out, ">");
		put_stamp(out);
	} else {
		put_stamp(out);
		put_string(out, logger.host);
		put_string(out, " ");
	}
	put_tag(out, component);
}

static void
put_member(struct escape_out *out, const char *name, const char *value)
{
	if (value == NULL || value[0] == '\0')
		return;
	put_string(out, ",\"");
	put_string(out, name);
	put_string(out, "\":\"");
	escape_json(out, value, strlen(value));
	put_string(out, "\"");
}

/* {"time":"2018-02-17T16:21:11.000123Z", the start of an object */
static void
put_json_time(struct escape_out *out)
{
	char text[64];
	struct timespec now;
	struct tm utc;
	size_t size;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	size = strftime(text, sizeof(text), "{\"time\":\"%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(text + size, sizeof(text) - size, ".%06ldZ\"", now.tv_nsec / 1000);
	put_string(out, text);
}

/* From the host to the end of the object; its end has its place kept. */
static void
put_object(struct escape_out *out, const char *component, ph_log_level level, const char *text)
{
	const struct task_context *context = task_context();

	put_member(out, "host", logger.host);
	put_member(out, "component", component);
	put_string(out, ",\"pid\":");
	put_number(out, own_pid());
	put_member(out, "level", levels[level].name);
	if (context != NULL) {
		put_member(out, "queue_id", context->queue_id);
		put_member(out, "session", context->session);
		put_member(out, "instance", context->instance);
	}
	put_string(out, ",\"text\":\"");
	escape_json(out, text, strlen(text));
	out->cut = false;
	out->end += 4;
	put_string(out, "\"}");
}

/* Writes the finished line with its newline to logger.line; returns its size. */
static size_t
shape_line(const char *component, ph_log_level level, const char *text)
{
	struct escape_out out = {.at = logger.line, .end = logger.line + sizeof(logger.line) - 5};

	learn_offset();
	if (!logger.json || logger.ring.kind == RING_SYSLOG)
		put_head(&out, component, level);
	if (logger.json) {
		put_json_time(&out);
		put_object(&out, component, level, text);
	} else {
		put_string(&out, levels[level].prefix);
		escape_line(&out, text, strlen(text));
	}
	*out.at++ = '\n';
	return (size_t)(out.at - logger.line);
}

/* ---- The way of a line ----------------------------------------------------------------------- */

/* A child of fork() does not send what its parent has collected. */
static void
after_fork(void)
{
	logger.ring.used = 0;
	logger.ring.dropped = 0;
	logger.pid = 0;
}

/* A round that says more than the ring holds (thousands of clients go at once) writes in
 * between. */
static void
put_line(const char *component, ph_log_level level, const char *text)
{
	size_t size = shape_line(component, level, text);

	if (size > RING_SIZE - logger.ring.used)
		ring_drain(&logger.ring);
	ring_put(&logger.ring, logger.line, size);
}

/* Says how many lines were lost, as soon as there is room to say it. */
static void
report_dropped(void)
{
	uint64_t dropped = logger.ring.dropped;
	char text[80];

	if (dropped == 0 || logger.ring.used > RING_SIZE / 2)
		return;
	snprintf(text, sizeof(text),
		"%llu log lines were dropped: the log did not take them in time",
		(unsigned long long)dropped);
	logger.ring.dropped = 0;
	put_line(logger.component, PH_LOG_WARNING, text);
}

static void
capture_line(const char *component, ph_log_level level)
{
	struct escape_out out = {.at = logger.line, .end = logger.line + sizeof(logger.line) - 1};

	escape_line(&out, logger.text, strlen(logger.text));
	*out.at = '\0';
	logger.capture(component, level, logger.line, logger.capture_context);
}

void
logger_flush(void)
{
	ring_drain(&logger.ring);
	report_dropped();
}

static void flush_round(void *argument);

static void
retry(evutil_socket_t fd, short what, void *argument)
{
	ring_drain(&logger.ring);
	loop_at_round_end(flush_round, NULL);
}

/* At the end of a round. What cannot leave now is tried again soon, even if nobody logs. */
static void
flush_round(void *argument)
{
	const struct timeval soon = {.tv_usec = 100000};

	logger_flush();
	if (logger.ring.used > 0)
		event_base_once(loop_base(), -1, EV_TIMEOUT, retry, NULL, &soon);
}

static void
log_text(const char *component, ph_log_level level)
{
	if (!logger.fork_watched)
		logger.fork_watched = pthread_atfork(NULL, NULL, after_fork) == 0;
	if (logger.capture != NULL) {
		capture_line(component, level);
		return;
	}
	report_dropped();
	put_line(component, level, logger.text);
	if (loop_is_running() && level != PH_LOG_FATAL)
		loop_at_round_end(flush_round, NULL);
	else
		logger_flush();
}

/* A line to be made, as its way to the loop's stack wants it. */
struct request {
	const char *component;
	ph_log_level level;
	const char *format;
	va_list arguments;
};

static void
run_request(void *argument)
{
	struct request *request = argument;
	/* The compiler has checked the format where ph_log() was called. */
	int (*print)(char *, size_t, const char *, va_list) = vsnprintf;

	if (print(logger.text, sizeof(logger.text), request->format, request->arguments) >= 0)
		log_text(request->component, request->level);
}

/* Formatting digs deep: it would cost every session that logs a page of its own stack. */
static void
send_request(struct request *request)
{
	int saved = errno;

	if (request->level != PH_LOG_DEBUG || logger.capture != NULL)
		ph_on_loop_stack(run_request, request);
	errno = saved;
}

void
ph_log(ph_log_level level, const char *format, ...)
{
	struct request request = {.component = logger.component, .level = level, .format = format};

	va_start(request.arguments, format);
	send_request(&request);
	va_end(request.arguments);
}

void
ph_log_as(const char *component, ph_log_level level, const char *format, ...)
{
	struct request request = {.component = component, .level = level, .format = format};

	va_start(request.arguments, format);
	send_request(&request);
	va_end(request.arguments);
}

/* Does not touch the ring, which may be half changed: one line, straight to where lines go. */
void
logger_emergency(const char *text)
{
	static char line[1024];
	struct escape_out out = {.at = line, .end = line + sizeof(line) - 5};
	int fd = logger.ring.fd == -1 ? STDERR_FILENO : logger.ring.fd;

	if (!logger.json || logger.ring.kind == RING_SYSLOG)
		put_head(&out, logger.component, PH_LOG_FATAL);
	if (logger.json) {
		put_string(&out, "{\"time\":\"\"");
		put_object(&out, logger.component, PH_LOG_FATAL, text);
	} else {
		put_string(&out, text);
	}
	if (logger.ring.kind != RING_SYSLOG)
		*out.at++ = '\n';
	if (write(fd, line, (size_t)(out.at - line)) == -1)
		return; /* nobody is left to tell */
}

/* ---- Opening --------------------------------------------------------------------------------- */

static void
name_host(void)
{
	if (gethostname(logger.host, sizeof(logger.host) - 1) == -1 || logger.host[0] == '\0')
		snprintf(logger.host, sizeof(logger.host), "localhost");
	logger.host[strcspn(logger.host, ".")] = '\0';
}

static void
use_descriptor(int fd, enum ring_kind kind)
{
	if (logger.ring.fd > STDERR_FILENO && logger.ring.fd != fd)
		close(logger.ring.fd);
	logger.ring.fd = fd;
	logger.ring.kind = kind;
	logger.ring.retry_at = 0;
}

static int
open_file(const char *path, ph_error *error)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
		0640);

	if (fd == -1)
		return ph_error_set(error, "cannot open the log file %s: %s", path,
			strerror(errno));
	return fd;
}

static enum ring_kind
kind_of(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) ? RING_FILE : RING_PIPE;
}

static int
open_destination(const char *destination, ph_error *error)
{
	int fd;

	if (strcmp(destination, "stderr") == 0) {
		use_descriptor(STDERR_FILENO, kind_of(STDERR_FILENO));
	} else if (strcmp(destination, "syslog") == 0) {
		use_descriptor(ring_connect_syslog(), RING_SYSLOG);
	} else if (destination[0] == '/' && strlen(destination) < sizeof(logger.path)) {
		fd = open_file(destination, error);
		if (fd == -1)
			return -1;
		use_descriptor(fd, kind_of(fd));
	} else {
		return ph_error_set(error,
			"log destination \"%s\": expected syslog, stderr or an absolute path", destination);
	}
	snprintf(logger.path, sizeof(logger.path), "%s", destination);
	return 0;
}

int
logger_open(const char *destination, const char *name, const char *component, bool json,
	ph_error *error)
{
	bool same = logger.open && strcmp(destination, logger.path) == 0;

	if (!same) {
		logger_flush();
		if (open_destination(destination, error) == -1)
			return -1;
		logger.ring.used = 0;
	}
	name_host();
	snprintf(logger.name, sizeof(logger.name), "%s", name);
	logger_set_component(component);
	logger.json = json;
	logger.open = true;
	return 0;
}

void
logger_set_component(const char *component)
{
	snprintf(logger.component, sizeof(logger.component), "%s", component);
}

void
logger_reopen(void)
{
	ph_error error;
	int fd;

	if (!logger.open || logger.path[0] != '/')
		return;
	logger_flush();
	fd = open_file(logger.path, &error);
	if (fd == -1)
		ph_log(PH_LOG_WARNING, "%s", error.text);
	else
		use_descriptor(fd, kind_of(fd));
}

int
logger_file(void)
{
	return logger.open && logger.path[0] == '/' ? logger.ring.fd : -1;
}

void
logger_replace_file(int fd)
{
	if (logger_file() == -1)
		return;
	logger_flush();
	if (dup3(fd, logger.ring.fd, O_CLOEXEC) == -1)
		ph_log(PH_LOG_WARNING, "the log file cannot be replaced: %s", strerror(errno));
}

void
logger_close(void)
{
	logger_flush();
	use_descriptor(STDERR_FILENO, RING_PIPE);
	logger.open = false;
	logger.json = false;
	logger.path[0] = '\0';
}

void
logger_capture(capture_fn *fn, void *context)
{
	logger.capture = fn;
	logger.capture_context = context;
}
