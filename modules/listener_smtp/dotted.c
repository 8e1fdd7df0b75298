#include "dotted.h"

#include <string.h>

/* One call of dotted_feed(). [run, at) is content that has not been given away yet. */
struct feed {
	struct dotted *dotted;
	const char *run, *at, *end;
	dotted_emit *emit;
	void *context;
};

/* Gives bytes away, without NULs. */
static void
give(struct feed *feed, const char *data, size_t size)
{
	const char *nul;

	while (size > 0 && (nul = memchr(data, '\0', size)) != NULL) {
		size_t n = (size_t)(nul - data);

		feed->dotted->nul = true;
		if (n > 0)
			feed->emit(feed->context, (ph_span){data, n});
		data += n + 1;
		size -= n + 1;
	}
	if (size > 0)
		feed->emit(feed->context, (ph_span){data, size});
}

/* Gives away what came before upto; the next run begins at next. */
static void
give_run(struct feed *feed, const char *upto, const char *next)
{
	give(feed, feed->run, (size_t)(upto - feed->run));
	feed->run = next;
}

static void
put(struct feed *feed, const char *text)
{
	feed->emit(feed->context, (ph_span){text, strlen(text)});
}

static void
bare_cr(struct feed *feed)
{
	feed->dotted->bare_cr = true;
	put(feed, " ");
}

/* A bare LF at the place: the line ends there. */
static void
bare_lf(struct feed *feed, const char *lf)
{
	feed->dotted->bare_lf = true;
	feed->dotted->state = DOTTED_START_LF;
	put(feed, "\r\n");
	feed->at = feed->run = lf + 1;
}

/* Within a line: at the speed of memchr() up to where it ends or needs mending. */
static void
in_line(struct feed *feed)
{
	const char *lf = memchr(feed->at, '\n', (size_t)(feed->end - feed->at));
	const char *limit = lf != NULL ? lf : feed->end;
	const char *cr = memchr(feed->at, '\r', (size_t)(limit - feed->at));

	if (cr != NULL && cr + 1 == lf) {
		feed->at = lf + 1;
		feed->dotted->state = DOTTED_START;
	} else if (cr != NULL && cr + 1 == feed->end) {
		give_run(feed, cr, feed->end);
		feed->at = feed->end;
		feed->dotted->state = DOTTED_CR;
	} else if (cr != NULL) {
		give_run(feed, cr, cr + 1);
		bare_cr(feed);
		feed->at = cr + 1;
	} else if (lf != NULL) {
		give_run(feed, lf, lf + 1);
		bare_lf(feed, lf);
	} else {
		feed->at = feed->end;
	}
}

/* A CR was held back, with nothing in the run. */
static void
after_cr(struct feed *feed)
{
	if (*feed->at == '\n') {
		put(feed, "\r\n");
		feed->run = ++feed->at;
		feed->dotted->state = DOTTED_START;
	} else if (*feed->at == '\r') {
		bare_cr(feed);
		feed->run = ++feed->at;
	} else {
		bare_cr(feed);
		feed->dotted->state = DOTTED_LINE;
	}
}

static void
at_start(struct feed *feed)
{
	if (*feed->at != '.') {
		feed->dotted->state = DOTTED_LINE;
		return;
	}
	give_run(feed, feed->at, feed->at + 1);
	feed->at++;
	feed->dotted->state = feed->dotted->state == DOTTED_START ? DOTTED_DOT : DOTTED_DOT_LF;
}

/* A dot that began a line was held back. Unless it stands alone, it was stuffed. */
static void
after_dot(struct feed *feed)
{
	if (*feed->at == '\n') {
		feed->dotted->suspect = true;
		put(feed, ".");
		bare_lf(feed, feed->at);
	} else if (*feed->at == '\r') {
		feed->run = ++feed->at;
		feed->dotted->state =
			feed->dotted->state == DOTTED_DOT ? DOTTED_DOT_CR : DOTTED_DOT_LF_CR;
	} else {
		feed->dotted->state = DOTTED_LINE;
	}
}

static void
after_dot_cr(struct feed *feed)
{
	if (*feed->at != '\n') {
		feed->dotted->suspect = true;
		feed->dotted->state = DOTTED_CR;
		after_cr(feed);
		return;
	}
	feed->run = ++feed->at;
	if (feed->dotted->state == DOTTED_DOT_CR) {
		feed->dotted->state = DOTTED_END;
		return;
	}
	/* The dot stands alone behind a bare LF. */
	feed->dotted->suspect = true;
	put(feed, ".\r\n");
	feed->dotted->state = DOTTED_START;
}

static void
step(struct feed *feed)
{
	switch (feed->dotted->state) {
	case DOTTED_START:
	case DOTTED_START_LF:
		at_start(feed);
		break;
	case DOTTED_LINE:
		in_line(feed);
		break;
	case DOTTED_CR:
		after_cr(feed);
		break;
	case DOTTED_DOT:
	case DOTTED_DOT_LF:
		after_dot(feed);
		break;
	case DOTTED_DOT_CR:
	case DOTTED_DOT_LF_CR:
		after_dot_cr(feed);
		break;
	case DOTTED_END:
		break;
	}
}

size_t
dotted_feed(struct dotted *dotted, ph_span piece, dotted_emit *emit, void *context)
{
	struct feed feed = {dotted, piece.data, piece.data, piece.data + piece.size, emit, context};

	while (feed.at < feed.end && dotted->state != DOTTED_END)
		step(&feed);
	give_run(&feed, feed.at, feed.at);
	return (size_t)(feed.at - piece.data);
}
