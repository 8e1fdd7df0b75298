/*
 * What control.c and show.c share: a visitor of run_directory/control, and how it is answered.
 */
#ifndef QUEUE_VISITOR_H
#define QUEUE_VISITOR_H

#include "queue/manager.h"

struct visitor {
	struct manager *manager;
	struct channel *channel;
	uid_t uid;
	bool gone;
	TAILQ_ENTRY(visitor) link;
};

/* rights.c */
/* Root or mail_owner? */
bool visitor_is_operator(const struct visitor *visitor);
/* An operator, or one of these users? May wait. */
bool visitor_is_authorized(const struct visitor *visitor, const ph_strings *users);

/* control.c, show.c */
/* One frame of an answer; may wait. -1: the client is gone. */
int visitor_answer(struct visitor *visitor, unsigned type, ph_span payload);
/* The last frame: a code of sysexits.h, a text, how many messages it was about. */
void visitor_end(struct visitor *visitor, int code, const char *text, uint64_t count);
/* A picture of the message that does not change while it is sent, with a body. NULL: it cannot be
 * read. The caller's, for message_free(). */
struct message *visitor_picture(struct manager *manager, const struct message *message,
	ph_pool *pool);
/* The name of the queue that it would be in, as mailq's readers know them. */
const char *visitor_queue_name(const struct message *message);
/* What is known of addresses that were verified: CONTROL_VERIFY_LIST, CONTROL_VERIFY_DELETE. */
void visitor_list_verified(struct visitor *visitor, const char *what);
void visitor_delete_verified(struct visitor *visitor, const char *what);
/* Sends the envelope and content of a message; what: SHOW_… */
void visitor_show(struct visitor *visitor, struct message *message, unsigned what);

#endif
