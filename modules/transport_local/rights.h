/*
 * What local delivery asks the spawner to do with the rights of a user, or with those of
 * default_privs where a target or a list comes from an alias table.
 *
 * Deliveries: rights_mailbox(), rights_file(), rights_command() each take one message on its way to
 * one target and return its letter: batches_wait() for it, read its result, batches_release() it,
 * as batches.h says. NULL: it did not leave; *why says what to tell of the recipient instead
 * (outcome PH_USER_DEFERRED or PH_USER_BOUNCED, status, text), in the form of the result that a
 * letter has in the end. A result's output is what a command wrote: rights_text() puts it behind
 * the text.
 *
 * Reading: rights_forward() and rights_include(). They wait, some milliseconds mostly.
 *
 * All of it in tasks; the texts are copied.
 */
#ifndef TRANSPORT_LOCAL_RIGHTS_H
#define TRANSPORT_LOCAL_RIGHTS_H

#include <posthouse/transport.h>

#include "batches.h"
#include "params.h"
#include "users.h"

/* One message for one target. */
struct dispatch {
	ph_delivery *delivery;  /* sender, queue ID, … */
	const char *user;       /* whose rights; NULL: default_privs */
	const char *recipient;  /* the address as Delivered-To shows it */
	const char *address;    /* the address as a command is told it */
	const char *original;   /* as X-Original-To shows it */
	const char *extension;  /* of the recipient's address, without the delimiter; "": none; NULL: what
	                         * stands behind the user's name in it */
	int fd;                 /* the content; see ph_delivery_content() */
	int64_t offset, length;
	const char *sender;     /* NULL: the message's */
};

/* Into the user's mailbox, or what stands for it: the first that is set of mailbox_command_maps (a
 * user with an entry there), mailbox_command, home_mailbox, mail_spool_directory. The user must
 * have been found, and not be root. May wait for a table. */
struct letter *rights_mailbox(struct batches *batches, const struct params *params,
	const struct dispatch *dispatch, struct ph_user_result *why);
/* What that would be, for a person: "delivers to mailbox /var/mail/user". In the pool. NULL with
 * the error: a table failed, no memory. May wait for a table. */
const char *rights_mailbox_text(ph_pool *pool, const struct params *params, const struct user *user,
	ph_error *error);
/* Into a file in mbox format, or a Maildir ("/path/"): an absolute path, or "~/path". */
struct letter *rights_file(struct batches *batches, const struct dispatch *dispatch,
	const char *path, struct ph_user_result *why);
/* To a command: what stands behind the "|". */
struct letter *rights_command(struct batches *batches, const struct params *params,
	const struct dispatch *dispatch, const char *command, struct ph_user_result *why);
/* How long a letter may take at the most: until when to wait for it. */
ph_deadline rights_deadline(const struct params *params);
/* "delivered to command: cat (it said this)": a result's text for the log. In the pool. */
const char *rights_text(ph_pool *pool, const struct ph_user_result *result);

enum file_answer {
	FILE_TEXT,    /* *text is what stands in it, in the pool */
	FILE_ABSENT,  /* there is none (none of them) that the user can see */
	FILE_REFUSED, /* it may not be used: its owner, its mode, a symbolic link, no rights to read it,
	               * larger than PH_SPAWN_TEXT_MAX: why says which, "file /x is world writable" */
	FILE_LATER    /* nothing is known: defer; why says what failed */
};

/*
 * A user's .forward: the first of the paths that is there, and no other, decides. "~/" at the start
 * of a path is the user's home. It must belong to the user or to root and be a regular file, no
 * symbolic link, that not everybody may write. *which is its place among the paths.
 */
enum file_answer rights_forward(void *self, ph_pool *pool, const char *user,
	const char *const *paths, size_t count, size_t *which, ph_span *text, ph_error *why);
/*
 * An :include: list. user: who wrote that it be included (their .forward); NULL: an alias table,
 * and the list is read with the rights of default_privs. Symbolic links are followed, and its owner
 * does not matter.
 */
enum file_answer rights_include(void *self, ph_pool *pool, const char *user, const char *path,
	ph_span *text, ph_error *why);

#endif
