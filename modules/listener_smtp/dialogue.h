/*
 * One dialogue: its state, how replies are said, and what is done for each command.
 */
#ifndef LISTENER_SMTP_DIALOGUE_H
#define LISTENER_SMTP_DIALOGUE_H

#include "command.h"
#include "listener_smtp.h"

struct dialogue {
	const struct listener_smtp *self;
	ph_connection *connection;
	ph_session *session;
	ph_stream *stream;
	ph_deadline end;     /* of the session */
	enum verb last;      /* the command in hand or before */
	unsigned errors, junk;
	int64_t overshoot;     /* recipients beyond the most that a message may have */
	const char *recipient; /* that is being judged; NULL: none is */
	const char *discarded; /* what EHLO keeps from this client; NULL: as for all */
	bool greeted;        /* a command was read */
	bool extended;       /* EHLO: may send ahead */
	bool denied;         /* the client is not welcome: it may only leave */
	bool closing;
	bool dropped;        /* closing, not by the client's wish */
};

/* ---- Replies: dialogue.c --------------------------------------------------------------------- */

/* Until when the client may take for its next step. */
ph_deadline dialogue_deadline(const struct dialogue *d);
/* One line of the server's as it is, without its line end; all of them go this way. */
void dialogue_line(struct dialogue *d, const char *line);
/* One line, a refusal with its footer. */
void dialogue_put(struct dialogue *d, const char *format, ...) PH_PRINTF(2, 3);
/* A reply of the session's; 421 and 521 end the dialogue. */
void dialogue_reply(struct dialogue *d, const ph_reply *reply);
/* A whole reply of the module's own, without its line end. */
void dialogue_say(struct dialogue *d, const char *line);
/* The last words of the server, with its name as RFC 5321, 4.2.1 asks; nothing waits any more. */
void dialogue_drop(struct dialogue *d, const char *code_and_status, const char *text);
/* "what after COMMAND from name[address]". */
void dialogue_log_end(const struct dialogue *d, const char *what);
/* A read or write did not come about: tells the client where it may still hear. */
void dialogue_give_up(struct dialogue *d, int64_t result);
/* Is the word in a list, whatever the case of its letters? */
bool dialogue_is_listed(const ph_strings *list, ph_span word);
/* Fills the refusal of what did not end as a line must. */
void dialogue_bare(
	const struct dialogue *d, const char *status, const char *what, ph_reply *refusal);
/* Does this client have to end its lines properly? */
bool dialogue_is_strict(const struct dialogue *d);

/* ---- Commands: action.c ---------------------------------------------------------------------- */

enum {
	LAST_OF_GROUP = 1, /* the client has to wait for the answer (RFC 2920, 3.1) */
	JUNK = 2           /* moves no mail */
};

struct action {
	/* Does the command and says the reply. Was it accepted? */
	bool (*run)(struct dialogue *d, const struct command *command);
	unsigned flags;
};

/* For each verb. */
extern const struct action actions[VERB_COUNT];

#endif
