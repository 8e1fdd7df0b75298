/*
 * listener_smtp: the SMTP server (RFC 5321). The parameters and the descriptor; a session begins in
 * smtp.c.
 */
#include "footer.h"
#include "listener_smtp.h"

#define FIELD(name) offsetof(struct listener_smtp, name)

static const struct ph_param params[] = {
	{"allow_min_user", PH_BOOL, PH_PER_SECTION, FIELD(allow_min_user), "no", 0, 0, NULL,
		"Take addresses that begin with a hyphen, which a program may take for an option."},
	{"disable_vrfy_command", PH_BOOL, PH_PER_SECTION, FIELD(disable_vrfy), "no", 0, 0, NULL,
		"Refuse the VRFY command."},
	{"line_length_limit", PH_SIZE, PH_PER_SECTION, FIELD(line_length_limit), "2048", 512, 16384,
		NULL, "The longest command line, with its line end."},
	{"port", PH_INT, PH_SECTION_ONLY, FIELD(port), "25", 0, 65535, NULL,
		"The TCP port; 0: a free one, which is written to run_directory/NAME.port."},
	{"resolve_numeric_domain", PH_BOOL, PH_PER_SECTION, FIELD(resolve_numeric_domain), "no", 0,
		0, NULL, "Take user@192.0.2.1 for user@[192.0.2.1]; it is malformed otherwise."},
	{"smtpd_banner", PH_STRING, PH_PER_SECTION, FIELD(banner), "$myhostname ESMTP $mail_name",
		0, 0, NULL,
		"What the server says of itself in its greeting; begins with its host name."},
	{"smtpd_discard_ehlo_keyword_address_maps", PH_MAP_REF, PH_PER_SECTION,
		FIELD(discard_ehlo_maps), NULL, 0, 0, NULL,
		"Tables of client addresses with the extensions that are not announced to them, in "
		"place of smtpd_discard_ehlo_keywords."},
	{"smtpd_discard_ehlo_keywords", PH_STRINGS, PH_PER_SECTION, FIELD(discard_ehlo_keywords),
		"", 0, 0, NULL, "Extensions that are not announced in the answer to EHLO."},
	{"smtpd_error_sleep_time", PH_TIME, PH_PER_SECTION, FIELD(error_sleep_time), "1s", 0, 60000,
		NULL,
		"How long a client with more than smtpd_soft_error_limit errors waits for each "
		"refusal."},
	{"smtpd_forbid_bare_newline", PH_ENUM, PH_PER_SECTION, FIELD(forbid_bare_newline),
		"normalize", 0, 0, "no, normalize, yes, reject",
		"What becomes of lines that do not end in CR LF: mended, or the message refused."},
	{"smtpd_forbid_bare_newline_exclusions", PH_NETWORKS, PH_PER_SECTION,
		FIELD(bare_newline_exclusions), "$mynetworks", 0, 0, NULL,
		"Clients whose bare line ends are mended and never refused."},
	{"smtpd_forbid_bare_newline_reject_code", PH_INT, PH_PER_SECTION,
		FIELD(bare_newline_reject_code), "550", 500, 599, NULL,
		"The reply code of smtpd_forbid_bare_newline = reject; 521 disconnects, too."},
	{"smtpd_forbid_unauth_pipelining", PH_BOOL, PH_PER_SECTION, FIELD(forbid_unauth_pipelining),
		"yes", 0, 0, NULL,
		"Disconnect clients that send ahead where they must wait for an answer."},
	{"smtpd_forbidden_commands", PH_STRINGS, PH_PER_SECTION, FIELD(forbidden_commands),
		"CONNECT, GET, HEAD, OPTIONS, POST, PUT", 0, 0, NULL,
		"Disconnect clients that say one of these; and those that send headers for "
		"commands."},
	{"smtpd_hard_error_limit", PH_INT, PH_PER_SECTION, FIELD(hard_error_limit), "20", 1,
		1000000, NULL,
		"Disconnect a client after that many errors without a delivered message."},
	{"smtpd_junk_command_limit", PH_INT, PH_PER_SECTION, FIELD(junk_command_limit), "100", 1,
		1000000, NULL, "So many NOOP, VRFY, RSET and HELP count as no errors."},
	{"smtpd_min_data_rate", PH_INT, PH_PER_SECTION, FIELD(min_data_rate), "500", 1, 1000000000,
		NULL, "Content has to come at that many bytes a second, beyond smtpd_timeout."},
	{"smtpd_noop_commands", PH_STRINGS, PH_PER_SECTION, FIELD(noop_commands), "", 0, 0, NULL,
		"Commands that do nothing, as NOOP."},
	{"smtpd_recipient_overshoot_limit", PH_INT, PH_PER_SECTION,
		FIELD(recipient_overshoot_limit), "1000", 0, 1000000, NULL,
		"So many recipients beyond smtpd_recipient_limit are refused without being "
		"errors."},
	{"smtpd_reject_footer", PH_STRING, PH_PER_SECTION | PH_MACROS, FIELD(reject_footer), "", 0,
		0, NULL,
		"What stands below every refusal; names in it are expanded, \\n begins a line, \\c "
		"at its start goes on in the refusal's."},
	{"smtpd_reject_footer_maps", PH_MAP_REF, PH_PER_SECTION, FIELD(reject_footer_maps), NULL, 0,
		0, NULL,
		"Tables of refusals with what stands below them, in place of smtpd_reject_footer."},
	{"smtpd_session_deadline", PH_TIME, PH_PER_SECTION, FIELD(session_deadline), "1d", 1000,
		INT64_C(1000) * 86400 * 30, NULL, "The longest that one session may last."},
	{"smtpd_soft_error_limit", PH_INT, PH_PER_SECTION, FIELD(soft_error_limit), "10", 1,
		1000000, NULL,
		"Refusals are delayed after that many errors without a delivered message."},
	{"smtpd_timeout", PH_TIME, PH_PER_SECTION, FIELD(timeout), "300s", 1000,
		INT64_C(1000) * 86400, NULL,
		"How long the server waits for a command, or for more content."},
	{"strict_rfc821_envelopes", PH_BOOL, PH_PER_SECTION, FIELD(strict_envelopes), "no", 0, 0,
		NULL,
		"Require addresses in MAIL and RCPT to be in angle brackets and well-formed."},
};

static int
check(void *self, ph_error *error)
{
	const struct listener_smtp *smtp = self;
	ph_error why = {""};

	if (footer_check(smtp->reject_footer, &why) == -1)
		return ph_error_set(error, "smtpd_reject_footer: %s", why.text);
	return 0;
}

static int
start(void *self, ph_error *error)
{
	struct listener_smtp *smtp = self;

	smtp->hostname = ph_global("myhostname");
	return 0;
}

static int
endpoints(void *self, ph_endpoints *list, ph_error *error)
{
	const struct listener_smtp *smtp = self;

	return ph_endpoint_inet(list, NULL, (uint16_t)smtp->port, error);
}

PH_MODULE(listener_smtp, "1.0", "accepts mail over SMTP",
	PH_INSTANCE(struct listener_smtp, params), PH_LIFE(.check = check, .start = start),
	PH_LISTENER(.flags = PH_LISTENER_SMTP, .endpoints = endpoints, .serve = smtp_serve));
