/*
 * posthouse explain: its options, the rehearsal itself, and how it is shown.
 */
#ifndef CLI_EXPLAIN_H
#define CLI_EXPLAIN_H

#include "cli/outlook.h"
#include "cli/story.h"
#include "queue/resolve.h"
#include "session/rehearsal.h"

/* What is rehearsed; texts are the command line's. */
struct script {
	struct rehearsal rehearsal;
	const char *helo;      /* NULL: none is said */
	const char *sender;    /* NULL: no mail; "": the empty one */
	const char *etrn;      /* NULL: none */
	ph_strings recipients;
	int64_t size;          /* announced; -1: none */
	bool data;             /* up to the end of the message */
};

/* The command at work. */
struct explain {
	const struct config *config;
	const char *configuration;  /* its path */
	struct script script;
	struct story story;
	struct resolver resolver;
	struct outlook_maker maker;
	int spawner_fd;             /* -1: none is needed */
	ph_strings unreadable;      /* tables, each with why */
	bool json;
	int status;                 /* exit code */
};

/* What is asked beside a session; NULL: the defaults. */
struct explain_options {
	const char *config, *listener;
};

/* Fills the script and how it is shown. 0, or an exit code: it was said what is wrong. */
int explain_read_options(struct explain *explain, struct explain_options *options, int argc,
	char **argv);

/* Has the session played, in a task; calls show for each command when its reply has come. 0, or -1
 * with the error. */
int script_play(const struct script *script, struct story *story,
	void (*show)(void *context, const struct exchange *exchange), void *context,
	ph_error *error);

/* What would become of the mail of this recipient, the wishes of the message apart; in a task. */
const struct outlook *explain_outlook(struct explain *explain, const char *address);
/* What the tables of copies would add; its targets are the copies. NULL: none. In a task. */
const struct outlook *explain_copies(struct explain *explain);

/* sendmail -bv: prints what would become of mail from a sender (NULL: the empty one) to addresses;
 * nothing is sent. An exit code: EX_NOUSER when some of it would come back, EX_TEMPFAIL when some
 * would wait. */
int explain_addresses(const char *config, const char *sender, const ph_strings *addresses);

/* As text: what it is about, one command, the result. */
void explain_text_head(const struct explain *explain);
void explain_text_exchange(const struct explain *explain, const struct exchange *exchange);
void explain_text_result(struct explain *explain);
/* As one JSON object; in a task. */
void explain_json(struct explain *explain);

#endif
