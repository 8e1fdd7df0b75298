/*
 * Results of the child, written down; see also <posthouse/mailbox.h>.
 */
#ifndef MAILBOX_ANSWER_H
#define MAILBOX_ANSWER_H

#include <posthouse/mailbox.h>

/* An error of the system in writing a mailbox: later, whatever it is; 4.2.2 when there is no
 * room. */
void answer_errno(struct ph_user_result *result, const char *what, const char *path, int failure);

#endif
