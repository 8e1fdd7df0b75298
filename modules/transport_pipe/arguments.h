/*
 * The argv of a pipe transport: words with macros, and what they become for some recipients. Pure.
 */
#ifndef TRANSPORT_PIPE_ARGUMENTS_H
#define TRANSPORT_PIPE_ARGUMENTS_H

#include <posthouse/base.h>

/* What macros of one recipient stand for. */
struct arguments_recipient {
	const char *recipient, *original_recipient, *user, *mailbox, *extension, *domain;
};

/* And those of the message. */
struct arguments_message {
	const char *sender, *nexthop, *queue_id, *size, *envid;
	const char *client_address, *client_hostname, *client_helo, *client_port, *client_protocol;
	const char *sasl_username, *sasl_method, *sasl_sender;
	const struct arguments_recipient *recipients;
	size_t count;
};

/* Is every macro in the text one that is known? 0, or -1 with what is wrong. */
int arguments_check(const char *text, ph_error *error);

/*
 * Cuts the text at white space, outside of { and } around a word, and puts values in the place of $name, ${name} and $(name); "$$" is a
 * dollar sign. A value stays within its word, whatever is in it; a word with a macro of a recipient
 * comes once for each. In the pool, ended by NULL. NULL: no memory.
 */
const char *const *arguments_make(ph_pool *pool, const char *text, const struct arguments_message *message);

#endif
