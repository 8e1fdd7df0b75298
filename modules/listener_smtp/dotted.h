/*
 * The content behind DATA: finds its end, takes the stuffed dots away, mends line ends. Pure.
 *
 * The end is CR LF . CR LF and nothing else (RFC 5321, 4.1.1.4), wherever the pieces are cut. What
 * comes out has lines in CR LF only: a bare LF becomes CR LF, a bare CR a blank, a NUL nothing;
 * that they were there is told. A lone dot on a line that a bare LF began or ended is content.
 */
#ifndef LISTENER_SMTP_DOTTED_H
#define LISTENER_SMTP_DOTTED_H

#include <posthouse/base.h>

enum dotted_state {
	DOTTED_START,       /* behind CR LF, or at the very start */
	DOTTED_START_LF,    /* behind a bare LF */
	DOTTED_LINE,        /* within a line */
	DOTTED_CR,          /* a CR within a line, held back */
	DOTTED_DOT,         /* a dot at DOTTED_START, held back */
	DOTTED_DOT_CR,      /* and a CR */
	DOTTED_DOT_LF,      /* a dot at DOTTED_START_LF, held back */
	DOTTED_DOT_LF_CR,   /* and a CR */
	DOTTED_END
};

/* Zeroed: the start of a content. */
struct dotted {
	enum dotted_state state;
	bool bare_lf, bare_cr, nul; /* there was one */
	bool suspect;               /* there was something that others might take for the end */
};

/* Where the content goes, piece by piece; it may wait. */
typedef void dotted_emit(void *context, ph_span bytes);

/*
 * Works through a piece; large runs go to emit as they stand in it. Returns how many bytes were
 * taken: all, or up to the end of the content, when the state is DOTTED_END.
 */
size_t dotted_feed(struct dotted *dotted, ph_span piece, dotted_emit *emit, void *context);

#endif
