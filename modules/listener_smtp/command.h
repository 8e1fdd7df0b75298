/*
 * A command line of SMTP: its verb and what follows. Pure.
 */
#ifndef LISTENER_SMTP_COMMAND_H
#define LISTENER_SMTP_COMMAND_H

#include <posthouse/base.h>

enum verb {
	VERB_UNKNOWN,
	VERB_HELO,
	VERB_EHLO,
	VERB_MAIL,
	VERB_RCPT,
	VERB_DATA,
	VERB_RSET,
	VERB_NOOP,
	VERB_QUIT,
	VERB_VRFY,
	VERB_EXPN,
	VERB_HELP,
	VERB_STARTTLS, /* known, and not offered */
	VERB_AUTH,
	VERB_BDAT,
	VERB_ETRN,
	VERB_TURN,
	VERB_FORBIDDEN, /* another protocol's (GET, "Subject:"); the parser never says so */
	VERB_COUNT
};

enum command_fault {
	COMMAND_OK = 0,
	COMMAND_NUL,       /* a NUL in the line */
	COMMAND_BARE_LF,   /* ends in LF without CR; the rest is filled */
	COMMAND_BARE_CR    /* a CR within the line */
};

struct command {
	enum verb verb;
	ph_span word;     /* the verb as it came */
	ph_span argument; /* without blanks at its ends */
};

/* Takes a line with its line end apart. The spans point into the line. */
enum command_fault command_parse(ph_span line, struct command *command);

/* Is the first word of a line a header's ("Subject:"): a message without an envelope? */
bool command_is_header(ph_span word);

/* "FROM:" or "TO:" at the start of the argument of MAIL or RCPT; path is what follows. */
bool command_path(ph_span argument, const char *keyword, ph_span *path);

/* The verb in lower case as statistics name it ("mail"), "unknown" for those that are not
 * counted. */
const char *command_name(enum verb verb);
/* In upper case, for texts: "MAIL", "UNKNOWN". */
const char *command_word(enum verb verb);

#endif
