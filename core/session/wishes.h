/*
 * What policy wants done with the message in hand: see ph_message_hold() and its neighbours.
 */
#ifndef SESSION_WISHES_H
#define SESSION_WISHES_H

#include "session/session.h"

/* Hands the wishes to the intake of the message, which is complete. */
void wishes_grant(ph_session *session);

#endif
