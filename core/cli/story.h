/*
 * What a rehearsed session came to: for each command the lists that were asked, each restriction in
 * them with what it looked up and what it said, and the reply. Written by the trail of the session,
 * read by the printers of "posthouse explain".
 */
#ifndef CLI_STORY_H
#define CLI_STORY_H

#include "session/run.h"

enum step_kind {
	STEP_RULE, /* a restriction, or a class of them */
	STEP_NOTE, /* text: what was looked up and what that gave, or a line for the log */
	STEP_WISH  /* text: HOLD, FILTER, …; argument: the rest of it */
};

struct steps {
	struct step *first, **end;
	size_t count;
};

struct step {
	struct step *next;
	enum step_kind kind;
	const char *text, *argument; /* of a restriction: its name and its argument, "" for none */
	const char *file;            /* NULL: a default, or an answer of a table */
	int line;
	const char *skipped;         /* why it was not asked; NULL: it was */
	bool warn;                   /* what it refuses is only logged */
	bool behind;                 /* warn_if_reject stands in front of it, not of its class */
	bool judged;                 /* it has a verdict; a class has none of its own */
	ph_verdict verdict;
	ph_reply reply;              /* code 0: none */
	struct steps steps;          /* notes, wishes, and restrictions that it had asked */
};

struct story_list {
	struct story_list *next;
	const char *name;
	const ph_rules *rules;
	size_t asked;                /* how many of the rules, in order; those behind were not */
	struct steps steps;
};

/* One command and its reply. */
struct exchange {
	struct exchange *next;
	const char *verb;            /* "RCPT", "CONNECT", "END-OF-MESSAGE" */
	const char *command;         /* "RCPT TO:<user@example.com>" */
	const char *object;          /* its address or name, "" without one */
	struct steps notes;          /* outside of lists */
	struct story_list *lists, **lists_end;
	int code;                    /* of the reply; 0: the connection ended */
	const char *status, *text;   /* "5.7.1" or ""; its first line */
	bool accepted;
	const struct step *decider;  /* the restriction that refused it; NULL: no restriction did */
	const char *decider_list;
};

/* What is to become of the message beside being delivered; NULL: nothing. */
struct story_message {
	const char *hold, *filter, *redirect;
	const char *discard;         /* the restriction that wants it thrown away */
	ph_strings bcc, prepend;
};

struct story {
	ph_pool *pool;               /* all of it */
	struct exchange *exchanges, **end, *now;
	struct story_list *list;     /* that is being asked; NULL: none */
	struct step *open[RUN_DEPTH_MAX + 2];
	unsigned depth;              /* the deepest that is open */
	struct story_message message;
	const char *client, *client_name, *reverse_name; /* of the session; names NULL: unknown */
	const char *client_text;     /* the name, or why there is none */
	struct trail trail;          /* fills it */
};

/* An empty one; the pool is the caller's, without a limit. It stays where it is. */
void story_begin(struct story *story, ph_pool *pool);
/* A command is sent; object may be "". */
void story_command(struct story *story, const char *verb, const char *command, const char *object);
/* Its reply came, without its line end: "554 5.7.1 <a@b>: no"; empty: the connection ended. */
void story_reply(struct story *story, ph_span line);
/* Anything worth telling, where the session is now. */
void story_note(struct story *story, const char *text);

/* The names of the restrictions of a list that were not asked, "a, b and 3 more"; "": none. */
const char *story_unasked(const struct story_list *list, char *text, size_t size);

#endif
