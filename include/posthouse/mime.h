/*
 * posthouse/mime.h: the structure of a message as it streams by: which bytes are header fields, of
 * the message, of a part or of a message inside, and which are lines of a body (RFC 2045, 2046).
 *
 * Every byte that is fed is given to one of the functions, in order: what is passed on as it was
 * given makes the same message. It does not matter how the bytes are cut.
 */
#ifndef POSTHOUSE_MIME_H
#define POSTHOUSE_MIME_H

#include <posthouse/base.h>

PH_BEGIN_DECLS

/* Where a field stands. */
enum ph_mime_place {
	PH_MIME_PRIMARY = 1, /* at the start of the message */
	PH_MIME_PART,        /* at the start of a part of a multipart entity */
	PH_MIME_NESTED       /* at the start of a message/rfc822 entity */
};

/* What a stranger may have us keep. */
struct ph_mime_limits {
	uint32_t size;     /* sizeof(struct ph_mime_limits) */
	uint32_t nesting;  /* multipart entities inside each other */
	size_t boundary;   /* bytes of a boundary that are compared */
	size_t header;     /* bytes of a field that are kept */
	size_t line;       /* bytes of a body's line that are given at once */
};

/*
 * All may wait. A result other than 0 ends ph_mime_feed() with it. Spans hold until the function
 * returns.
 */
struct ph_mime_ops {
	uint32_t size;
	uint32_t reserved;
	/* A field with its folded lines and line ends; its first limits.header bytes, when it is
	 * longer. */
	int (*header)(void *context, enum ph_mime_place place, ph_span field);
	/* More of the field that header() was given. */
	int (*header_rest)(void *context, ph_span bytes);
	/* A line of a body with its line end, or limits.line bytes of a longer one; blank lines
	 * behind fields and boundaries too. offset: where it begins in this body. */
	int (*body)(void *context, ph_span line, int64_t offset);
	/* More multipart entities in each other than limits.nesting: what is inside this one is not
	 * looked for. Called once, before header() with that field. */
	int (*too_deep)(void *context, ph_span field);
};

typedef struct ph_mime ph_mime;

/* limits and ops are copied. At first it is in the header section of the message. NULL: no
 * memory. */
PH_API ph_mime *ph_mime_new(const struct ph_mime_limits *limits, const struct ph_mime_ops *ops,
	void *context);
/* NULL: nothing. */
PH_API void ph_mime_free(ph_mime *mime);

/* A field of the message's own section that the caller has read: header() is not called. 0, -1: no
 * memory, or what too_deep() returned. */
PH_API int ph_mime_field(ph_mime *mime, ph_span field);
/* That section and the blank line behind it are read: the body follows. */
PH_API void ph_mime_fields_end(ph_mime *mime);

/* A piece of the message, cut anywhere; its end. 0, -1: no memory, or what a function returned. */
PH_API int ph_mime_feed(ph_mime *mime, ph_span bytes);
PH_API int ph_mime_end(ph_mime *mime);
/* It is in a body, at the start of a line, and no more fields can come. */
PH_API bool ph_mime_is_flat(const ph_mime *mime);

/* Is it a field that describes an entity: Content-Type and its kin, MIME-Version? */
PH_API bool ph_mime_describes(ph_span field);

PH_END_DECLS

#endif
