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

/* Stages in the order of the calls. Each may be NULL. state is what begin() stored, NULL before.
 * All may wait. */
struct ph_filter_ops {
	uint32_t size;
	uint32_t flags;
	/* The envelope is complete and the header section was read: headers may be changed from here
	 * on to end(). */
	ph_filter_result (*header)(void *self, ph_filter_message *message, void **state);
	/* A piece of the body as it streams by, cut anywhere. */
	ph_filter_result (*body)(void *self, ph_filter_message *message, void *state, ph_span bytes);
	ph_filter_result (*end)(void *self, ph_filter_message *message, void *state);
	/* The message is done with, whatever became of it: free state. */
	void (*done)(void *self, void *state);
};

/* The session behind the message; NULL without one. */
PH_API ph_session *ph_filter_session(ph_filter_message *message);
PH_API const struct ph_intake_origin *ph_filter_origin(const ph_filter_message *message);
PH_API const char *ph_filter_queue_id(const ph_filter_message *message);
PH_API ph_pool *ph_filter_pool(ph_filter_message *message);
PH_API void ph_filter_reply(ph_filter_message *message, int code, const char *status,
	const char *format, ...) PH_PRINTF(4, 5);

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

#define PH_FILTER(...) \
	.class_number = PH_CLASS_FILTER, .class_major = PH_FILTER_MAJOR, \
	.operations = &(const struct ph_filter_ops){.size = sizeof(struct ph_filter_ops), __VA_ARGS__}, \
	.operation_count = 1, .operation_stride = sizeof(struct ph_filter_ops)

PH_END_DECLS

#endif
