/*
 * The algebra of verdicts: which lists of restrictions are asked when, and what follows from their
 * answers. The restrictions themselves are modules.
 */
#ifndef SESSION_POLICY_H
#define SESSION_POLICY_H

#include "session/session.h"

enum policy_event {
	POLICY_CONNECT,
	POLICY_HELO,
	POLICY_MAIL,
	POLICY_RCPT,
	POLICY_VRFY,
	POLICY_ETRN,
	POLICY_DATA,
	POLICY_END_OF_DATA
};

/*
 * Asks the lists that belong to an event. where is the command as the log shows it ("EHLO"). 0, or
 * -1 with the reply filled and logged. Waits as the restrictions do.
 */
int policy_check(ph_session *session, enum policy_event event, const char *where, ph_reply *reply);

/* Logs what was refused: "NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 554 5.7.1 …; from=<…>". */
void policy_log(ph_session *session, const char *what, const char *where, const ph_reply *reply);
/* The same with any text in place of the reply: "NOQUEUE: hold: RCPT from …". */
void policy_note(ph_session *session, const char *what, const char *where, const char *format, ...)
	PH_PRINTF(4, 5);

#endif
