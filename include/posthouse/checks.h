/*
 * posthouse/checks.h: what a table of header or body checks answers (header_checks(5)).
 */
#ifndef POSTHOUSE_CHECKS_H
#define POSTHOUSE_CHECKS_H

#include <posthouse/base.h>

PH_BEGIN_DECLS

enum ph_check_action {
	PH_CHECK_DUNNO = 1, /* and OK */
	PH_CHECK_BCC,       /* text: an address */
	PH_CHECK_DISCARD,
	PH_CHECK_FILTER,    /* text: transport:destination */
	PH_CHECK_HOLD,
	PH_CHECK_IGNORE,    /* the field or line goes, and nothing is logged */
	PH_CHECK_INFO,
	PH_CHECK_PASS,      /* nothing more of this message is checked */
	PH_CHECK_PREPEND,   /* text: the field or line before this one */
	PH_CHECK_REDIRECT,  /* text: an address */
	PH_CHECK_REJECT,    /* code, status and text are the reply */
	PH_CHECK_REPLACE,   /* text: the field or line in place of this one */
	PH_CHECK_STRIP,     /* the field or line goes */
	PH_CHECK_WARN
};

/* Where the answer is to be obeyed. */
enum {
	PH_CHECK_IN_HEADER = 1,  /* what is put in place must be "Name: value" */
	PH_CHECK_ON_DELIVERY = 2 /* the message is on its way out: only actions that change its text */
};

/* Its layout is fixed: it will not grow. */
struct ph_check {
	enum ph_check_action action;
	int code;         /* of a REJECT: 550 or 450 */
	char status[12];  /* "5.7.1" */
	const char *text; /* behind the action, "" without one; part of what was parsed, or static */
};

/*
 * Reads an answer: an action, without regard to case, and a text. where: flags from above. 0, or -1
 * with an error that says what to write instead. Pure.
 */
PH_API int ph_check_parse(const char *answer, unsigned where, struct ph_check *check, ph_error *error);
/* The same for an entry of a table: what a pattern puts in for "$1" is not known, and so what
 * stands behind the action is not judged where there is a "$". 0 or -1. */
PH_API int ph_check_entry(ph_span value, unsigned where, ph_error *error);
/* The action as the log has it: "reject", "warning". */
PH_API const char *ph_check_log_word(enum ph_check_action action);
/*
 * The key for a field or a line: without its last line end, lines of a field with "\n" between
 * them, up to a NUL. At most most bytes. NULL: no memory.
 */
PH_API const char *ph_check_key(ph_pool *pool, ph_span bytes, size_t most);
/* A field that is put in place, "Name: value", with line ends: lines after the first are folded
 * ones, whether they begin with white space or not. The empty span: no memory. */
PH_API ph_span ph_check_field(ph_pool *pool, const char *text);

PH_END_DECLS

#endif
