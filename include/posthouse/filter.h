/*
 * posthouse/filter.h: filters stand between the end of a message and its commit, and see the
 * stages before it. The built-in steps (completing headers, Received) are filters too.
 */
#ifndef POSTHOUSE_FILTER_H
#define POSTHOUSE_FILTER_H

#include <posthouse/base.h>
#include <posthouse/intake.h>
#include <posthouse/module.h>

PH_BEGIN_DECLS

#define PH_FILTER_MAJOR 1

/* The message as a filter sees it. */
typedef struct ph_filter_message ph_filter_message;

typedef enum ph_filter_result {
	PH_FILTER_CONTINUE,
	PH_FILTER_REFUSE,  /* with ph_filter_reply(); a tempfail or a permanent refusal */
	PH_FILTER_DISCARD,
	PH_FILTER_HOLD     /* queued, not delivered until released; later filters still run */
} ph_filter_result;

enum {
	/* body() decides what goes on: only what is given to ph_body_write(). Without it all goes
	 * on. */
	PH_FILTER_WRITES_BODY = 1
};

/* Stages in the order of the calls. Each may be NULL. state is what header() stored, NULL before.
 * All may wait. */
struct ph_filter_ops {
	uint32_t size;
	uint32_t flags;
	/* The envelope is complete and the header section was read: headers may be changed from
	 * here on to end(). */
	ph_filter_result (*header)(void *self, ph_filter_message *message, void **state);
	/* A piece of the body as it streams by, cut anywhere. */
	ph_filter_result (*body)(void *self, ph_filter_message *message, void *state, ph_span bytes);
	ph_filter_result (*end)(void *self, ph_filter_message *message, void *state);
	/* The message is done with, whatever became of it: free state. */
	void (*done)(void *self, void *state);
	/* Since ABI 1.1. The body has ended, before end() of any filter: what body() kept back can
	 * be written now. */
	ph_filter_result (*body_end)(void *self, ph_filter_message *message, void *state);
};

/* The session behind the message; NULL without one. */
PH_API ph_session *ph_filter_session(ph_filter_message *message);
PH_API const struct ph_intake_origin *ph_filter_origin(const ph_filter_message *message);
PH_API const char *ph_filter_queue_id(const ph_filter_message *message);
PH_API ph_pool *ph_filter_pool(ph_filter_message *message);
PH_API void ph_filter_reply(ph_filter_message *message, int code, const char *status,
	const char *format, ...) PH_PRINTF(4, 5);
/* What the log says of the next REFUSE or DISCARD in place of "filter NAME: from=<SENDER>". */
PH_API void ph_filter_reason(ph_filter_message *message, const char *format, ...) PH_PRINTF(2, 3);
/* Mail that is nobody's to judge: a report of this host, unless internal_mail_filter_classes has
 * its kind; what was here before and is sent on; where receive_override_options has
 * no_header_body_checks. Filters of content let it pass. */
PH_API bool ph_filter_is_exempt(const ph_filter_message *message);

/* ---- Body. In body() and body_end() of a filter with PH_FILTER_WRITES_BODY: these bytes go on, to
 * the filters behind it and to the storage. May wait. 0, or -1: the message is given up, return. */
PH_API int ph_body_write(ph_filter_message *message, ph_span bytes);
/* This filter has seen enough of the body: what follows the piece in hand goes on without it. In
 * header() and body(). */
PH_API void ph_body_ignore(ph_filter_message *message);

/* What is to become of the message, whatever the result. Hold it: queued, not delivered until it is
 * released; the reason is for the log. */
PH_API void ph_filter_hold(ph_filter_message *message, const char *reason);
/* Through this transport, "transport:nexthop"; to this address in place of all recipients (the last
 * one counts); to this one as well. 0, or -1: no memory, or a control character. */
PH_API int ph_filter_route(ph_filter_message *message, const char *route);
PH_API int ph_filter_redirect(ph_filter_message *message, const char *address);
PH_API int ph_filter_bcc(ph_filter_message *message, const char *address);

/* Envelope. */
PH_API const char *ph_filter_sender(const ph_filter_message *message);
PH_API int ph_filter_set_sender(ph_filter_message *message, const char *address);
PH_API size_t ph_filter_recipient_count(const ph_filter_message *message);
PH_API const char *ph_filter_recipient(const ph_filter_message *message, size_t index);
PH_API int ph_filter_add_recipient(ph_filter_message *message, const char *address);
PH_API int ph_filter_remove_recipient(ph_filter_message *message, size_t index);

/* Headers, in order from 0. The value is everything after the colon, folded lines with their CR LF
 * inside, without the final CR LF. */
PH_API size_t ph_header_count(const ph_filter_message *message);
PH_API ph_span ph_header_name(const ph_filter_message *message, size_t index);
PH_API ph_span ph_header_value(const ph_filter_message *message, size_t index);
/* The first header of that name at or after index from; SIZE_MAX: none. */
PH_API size_t ph_header_find(const ph_filter_message *message, const char *name, size_t from);
/* Inserts before index (0: at the top; SIZE_MAX: at the end). 0 or -1. */
PH_API int ph_header_insert(ph_filter_message *message, size_t index, const char *name,
	const char *value);
PH_API int ph_header_replace(ph_filter_message *message, size_t index, const char *value);
PH_API int ph_header_remove(ph_filter_message *message, size_t index);
/* A whole field, "Name: value", as it is to stand, at that place. Lines of it after the first are
 * folded lines, whether they begin with white space or not. 0 or -1. */
PH_API int ph_header_insert_field(ph_filter_message *message, size_t index, const char *field);
/* The section was too large to be read as a whole: more of its fields are at the start of the
 * body. */
PH_API bool ph_headers_are_cut(const ph_filter_message *message);
/* The trace field that this host puts on top of all others when the message is complete, "Received:
 * …" with its line ends; it is none of the headers above. Empty: there will be none, or no
 * memory. */
PH_API ph_span ph_header_trace(ph_filter_message *message);
/* Another such field in its place (NULL: none); one more above it. 0 or -1. */
PH_API int ph_header_set_trace(ph_filter_message *message, const char *field);
PH_API int ph_header_prepend(ph_filter_message *message, const char *field);

#define PH_FILTER(...) \
	.class_number = PH_CLASS_FILTER, .class_major = PH_FILTER_MAJOR, \
	.operations = &(const struct ph_filter_ops){.size = sizeof(struct ph_filter_ops), __VA_ARGS__}, \
	.operation_count = 1, .operation_stride = sizeof(struct ph_filter_ops)

PH_END_DECLS

#endif
