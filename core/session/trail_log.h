/*
 * The trail of a session in the log, one line a step: smtpd_explain_clients.
 */
#ifndef SESSION_TRAIL_LOG_H
#define SESSION_TRAIL_LOG_H

#include "session/session.h"

/* Has the session's steps logged from now on when its client is one of smtpd_explain_clients. The
 * session owns it (session->trail_log). No memory: they are not logged. */
void trail_log_begin(ph_session *session);

#endif
