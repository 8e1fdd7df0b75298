/*
 * The ESMTP parameters behind the path of MAIL and RCPT (RFC 5321, 4.1.2; RFC 1870; RFC 3461;
 * RFC 6152). Pure.
 */
#ifndef LISTENER_SMTP_PARAMS_H
#define LISTENER_SMTP_PARAMS_H

#include <posthouse/intake.h>

/* What came with MAIL. */
struct mail_params {
	struct ph_mail_parameters envelope;
	int64_t size; /* announced; 0: none; INT64_MAX for what no 64 bits can hold */
};

struct params_setting {
	ph_pool *pool; /* for what is decoded */
	bool dsn;      /* DSN was offered */
};

/* Parse the rest of a MAIL or RCPT command. 0, or -1 with the reply: 501 for what is malformed,
 * stands twice, or is of DSN where that is not offered; 555 for what is unknown. */
int params_mail(const struct params_setting *setting, ph_span text, struct mail_params *params,
	ph_reply *reply);
int params_rcpt(const struct params_setting *setting, ph_span text,
	struct ph_rcpt_parameters *params, ph_reply *reply);

#endif
