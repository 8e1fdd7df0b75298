/*
 * Lists of mailboxes as people and programs write them in To, Cc, Bcc and on command lines
 * (RFC 5322, 3.4, with the obsolete forms): comments, quoted strings, groups, routes, folded lines.
 */
#ifndef INTAKE_MAILBOX_LIST_H
#define INTAKE_MAILBOX_LIST_H

#include <posthouse/base.h>

/* One address, "local-part@domain" or "local-part", with quotes only where they are needed. It
 * lives in the pool. A result other than 0 ends the walk. */
typedef int mailbox_fn(void *context, const char *address);

/*
 * Calls found for each address of the list; an empty list, or a group without members, is fine.
 * 0; the result of found that ended it; or -1 with the error (the first element that is no
 * address, or no memory). Pure but for the pool.
 */
int mailbox_list_parse(ph_pool *pool, ph_span text, mailbox_fn *found, void *context,
	ph_error *error);

/*
 * "joe jane" are two addresses where administrators and programs write them, though RFC 5322 has
 * commas: the text with commas for blanks. Where it has names, quotes or comments it stays as it is.
 */
ph_span mailbox_list_commas(ph_pool *pool, const char *text);

/* As mailbox_list_parse() with the bytes that the address was read from: they begin and end with it, and have its
 * route and the comments within. */
typedef int mailbox_source_fn(void *context, const char *address, ph_span source);

/* The same for a header as it came in: elements that are no addresses are passed over. 0; the
 * result of found that ended it; or -1 without memory. */
int mailbox_list_scan(ph_pool *pool, ph_span text, mailbox_source_fn *found, void *context);

/* The next comment in the bytes of an address, with its brackets; source goes on behind it. */
bool mailbox_next_comment(ph_span *source, ph_span *comment);

#endif
