/*
 * The SMTP listener's instance: its parameters.
 */
#ifndef LISTENER_SMTP_LISTENER_SMTP_H
#define LISTENER_SMTP_LISTENER_SMTP_H

#include <posthouse/listener.h>

enum bare_newline {
	BARE_NEWLINE_NO,
	BARE_NEWLINE_NORMALIZE,
	BARE_NEWLINE_YES, /* Postfix's name for normalize */
	BARE_NEWLINE_REJECT
};

struct listener_smtp {
	int64_t port;
	const char *banner;
	int64_t timeout;
	int64_t session_deadline;
	int64_t min_data_rate;
	int64_t soft_error_limit, hard_error_limit, error_sleep_time;
	int64_t junk_command_limit;
	int64_t line_length_limit;
	int forbid_bare_newline;
	int64_t bare_newline_reject_code;
	int64_t recipient_overshoot_limit;
	const ph_networks *bare_newline_exclusions;
	bool forbid_unauth_pipelining;
	bool disable_vrfy;
	bool strict_envelopes;
	bool allow_min_user;
	bool resolve_numeric_domain;
	ph_strings discard_ehlo_keywords;
	const ph_map *discard_ehlo_maps;
	const char *reject_footer;
	const ph_map *reject_footer_maps;
	ph_strings forbidden_commands, noop_commands;
	const char *hostname; /* myhostname; set when it starts */
};

/* smtp.c: the dialogue on one connection. */
void smtp_serve(void *self, ph_connection *connection);

#endif
