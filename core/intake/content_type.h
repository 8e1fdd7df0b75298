/*
 * The value of a Content-Type field (RFC 2045, 5.1): what kind of entity follows, and the
 * boundaries of its parts. Pure.
 */
#ifndef INTAKE_CONTENT_TYPE_H
#define INTAKE_CONTENT_TYPE_H

#include <posthouse/base.h>

enum content_kind {
	CONTENT_OTHER,
	CONTENT_MESSAGE,   /* message/rfc822: fields follow the blank line */
	CONTENT_MULTIPART,
	CONTENT_DIGEST     /* multipart/digest: its parts are messages unless they say something else */
};

struct content_type {
	enum content_kind kind;
	/* Of every "boundary" there is, though one is all that is allowed: a reader may take
	 * any. */
	int (*boundary)(void *context, ph_span boundary);
	void *context;
};

/* value: what stands behind the colon. Fills kind; calls boundary for those of a multipart. 0, -1:
 * no memory, or what boundary returned. */
int content_type_parse(struct content_type *type, ph_span value);

#endif
