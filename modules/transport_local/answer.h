/*
 * Results of the child, written down.
 */
#ifndef TRANSPORT_LOCAL_ANSWER_H
#define TRANSPORT_LOCAL_ANSWER_H

#include <posthouse/transport.h>

void answer(struct ph_user_result *result, int outcome, const char *status, const char *format, ...)
	PH_PRINTF(4, 5);
/* An error of the system in writing a mailbox: later, whatever it is; 4.2.2 when there is no room. */
void answer_errno(struct ph_user_result *result, const char *what, const char *path, int failure);

#endif
