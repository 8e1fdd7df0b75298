/*
 * Replies of an SMTP server (RFC 5321, 4.2), line by line.
 */
#ifndef SMTP_REPLY_H
#define SMTP_REPLY_H

#include <posthouse/base.h>

#define REPLY_MAX_LINES 100
#define REPLY_MAX_LINE 2048
#define REPLY_TEXT 512

struct reply {
	int code;              /* 0: none; class of 500 when the server made no sense */
	unsigned lines;
	char status[12];       /* the enhanced status code, "" when the server gave none */
	char text[REPLY_TEXT]; /* "550 5.1.1 no such user", lines joined by a space, control characters as "?" */
};

void reply_begin(struct reply *reply);
/* One line without its line end. 1: the reply goes on, 0: complete, -1: no SMTP reply, or too long:
 * the connection cannot be used any more. */
int reply_line(struct reply *reply, ph_span line);
/* The enhanced status code, or the plainest one of the reply's class. */
const char *reply_status(const struct reply *reply, const char *fallback_detail, char status[12]);

#endif
