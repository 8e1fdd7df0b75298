/*
 * The ESMTP parameters behind the path of MAIL and RCPT (RFC 5321, 4.1.2; RFC 1870; RFC 6152). Pure.
 */
#ifndef LISTENER_SMTP_PARAMS_H
#define LISTENER_SMTP_PARAMS_H

#include <posthouse/intake.h>

/* What came with MAIL. */
struct mail_params {
	struct ph_mail_parameters envelope;
	int64_t size; /* announced; 0: none; INT64_MAX for what no 64 bits can hold */
};

/* Parse the rest of a MAIL or RCPT command. 0, or -1 with the reply: 501 for what is malformed or
 * stands twice, 555 for what was not offered. */
int params_mail(ph_span text, struct mail_params *params, ph_reply *reply);
int params_rcpt(ph_span text, struct ph_rcpt_parameters *params, ph_reply *reply);

#endif
