/*
 * posthouse/submit.h: how a program on this host hands in mail: the dialogue on the submit socket
 * in run_directory, and the files in the drop directory in queue_directory, which have the same
 * bytes. The sender's user ID comes from the kernel: the socket's peer, or the file's owner.
 *
 * Lines end in LF and have a keyword, a blank and a value:
 *
 *	posthouse-submit 1        first of all
 *	from ADDRESS              envelope sender; "from" alone: none (<>). Not there: the login name
 *	name TEXT                 the sender's full name, for a From header that is missing
 *	body 8BITMIME             (RFC 6152)
 *	ret FULL | HDRS           (RFC 3461)
 *	envid TEXT
 *	watch                     the sender is told by mail what came of the first attempt
 *	notify NUMBER             for the recipients that follow: 1 never, 2 success, 4 failure, 8 delay
 *	orcpt TYPE;XTEXT          (RFC 3461) of the next recipient, and no other
 *	to ADDRESS                once for each recipient; of the above notify and orcpt may come after it
 *	data NUMBER               followed by so many bytes of content; any number of times
 *	end                       the message is complete; without it nothing is queued
 *
 * Content has lines in LF or CR LF. The answer on the socket is one line, "250 2.0.0 text", with the
 * codes of SMTP (RFC 5321, RFC 3463); 421 means: not now, this service is closing.
 */
#ifndef POSTHOUSE_SUBMIT_H
#define POSTHOUSE_SUBMIT_H

#include <posthouse/base.h>

PH_BEGIN_DECLS

/* The socket's name in run_directory, and the directory's in queue_directory. */
#define PH_SUBMIT_SOCKET "submit"
#define PH_SUBMIT_DROP "drop"
/* The first line, which is also what a file must begin with. */
#define PH_SUBMIT_MAGIC "posthouse-submit 1\n"
/* A file that is being written, and one that could not be used, have these in their names. */
#define PH_SUBMIT_TEMPORARY ".tmp"
#define PH_SUBMIT_BAD ".bad"

enum {
	PH_SUBMIT_LINE_MAX = 2048,        /* bytes of a line with its LF */
	PH_SUBMIT_RECIPIENTS_MAX = 50000,
	PH_SUBMIT_DROP_MODE = 03733       /* of the directory: anyone adds, only its owner lists */
};

PH_END_DECLS

#endif
