/*
 * The texts of reports, as bounce_template_file has them (bounce(5)). Pure.
 *
 *	# a comment
 *	failure_template = <<EOF
 *	Charset: us-ascii
 *	From: MAILER-DAEMON (Mail Delivery System)
 *	Subject: Undelivered Mail Returned to Sender
 *	Postmaster-Subject: Postmaster Copy: Undelivered Mail
 *
 *	This is the mail system at host $myhostname.
 *	EOF
 */
#ifndef CONFIG_TEMPLATE_H
#define CONFIG_TEMPLATE_H

#include <posthouse/base.h>

enum template_kind {
	TEMPLATE_FAILURE,
	TEMPLATE_DELAY,
	TEMPLATE_SUCCESS,
	TEMPLATE_VERIFY,
	TEMPLATE_KINDS
};

struct template {
	const char *charset, *from, *subject;
	const char *postmaster_subject; /* "": the subject */
	const char *text;               /* lines that end in LF; what "$name" stood for is in place */
};

struct templates {
	struct template items[TEMPLATE_KINDS];
};

/* What a name in a text means, in the pool; NULL with the error. */
typedef const char *template_lookup_fn(void *context, ph_pool *pool, const char *name,
	ph_error *error);
/* Something is wrong in that line. */
typedef void template_problem_fn(void *context, int line, const char *text);

struct template_reader {
	ph_pool *pool;
	template_lookup_fn *lookup;
	template_problem_fn *problem;
	void *context;                  /* of both */
};

/* Replaces those templates that the text has; what it lacks of one (a header) is left as it was.
 * Everything is in the pool. 0, or -1: without memory, or after problems. */
int templates_read(const struct template_reader *reader, ph_span text, struct templates *templates);
/* The built-in ones, which are complete. Finds no problem where lookup knows myhostname,
 * maximal_queue_lifetime_days and delay_warning_time_hours. */
int templates_default(const struct template_reader *reader, struct templates *templates);

/* The size of NAME in NAME_seconds, _minutes, _hours, _days or _weeks; 0: it has no such end. */
size_t template_time_name(const char *name);
/* A time (milliseconds) in the unit with which such a name ends, rounded up. In the pool; NULL: no
 * memory. */
const char *template_time(ph_pool *pool, const char *name, int64_t milliseconds);

#endif
