/*
 * The client's side of <posthouse/submit.h>: hands a message to the daemon, or leaves it in the
 * drop directory. No loop, no tasks.
 */
#ifndef CLI_SUBMIT_H
#define CLI_SUBMIT_H

#include <posthouse/intake.h>
#include <posthouse/submit.h>

/* Bytes that grow; freed with buffer_free(). All zero: empty. */
struct buffer {
	char *data;
	size_t size, room;
};
int buffer_add(struct buffer *buffer, const void *data, size_t size);
/* Room for size more bytes behind the last; NULL: no memory. */
char *buffer_reserve(struct buffer *buffer, size_t size);
void buffer_free(struct buffer *buffer);

/* Somebody who is to get it. */
struct outgoing_recipient {
	const char *address;
	uint32_t notify;        /* as in ph_rcpt_parameters; 0: as the message has it */
	const char *orcpt;      /* as SMTP has it: "rfc822;a+2Bb@example.com"; NULL: not given */
};

/* A message to be submitted. Texts belong to the caller; NULL: not given. */
struct outgoing {
	const char *from;       /* NULL: the login name; "": <> */
	const char *name;
	const char *body;       /* "8BITMIME" */
	const char *ret;        /* "FULL", "HDRS" */
	const char *envid;
	bool watch;             /* a report of the first attempt is wanted */
	uint32_t notify;        /* as in ph_rcpt_parameters */
	struct outgoing_recipient *recipients;
	size_t recipient_count, recipient_room;
	ph_span content;        /* lines in LF or CR LF */
};

/* Adds a recipient; the list is on the heap. 0 or -1 (memory). */
int outgoing_add(struct outgoing *outgoing, const struct outgoing_recipient *recipient);
int outgoing_add_recipient(struct outgoing *outgoing, const char *address);
void outgoing_forget(struct outgoing *outgoing);
/* What stands before and after the content. 0 or -1 (memory). */
int outgoing_frame(const struct outgoing *outgoing, struct buffer *head);

enum submit_result {
	SUBMIT_FAILED = -1, /* neither; the error tells */
	SUBMIT_ANSWERED,    /* the daemon's answer is in reply, good or bad */
	SUBMIT_DROPPED      /* nobody listens: it lies in the drop directory, synced */
};
enum submit_result submit_outgoing(const struct outgoing *outgoing, const char *run_directory,
	const char *queue_directory, ph_reply *reply, ph_error *error);

#endif
