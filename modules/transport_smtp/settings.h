/*
 * The instance of transport_smtp: its parameters, and what it keeps while it runs. The names are those
 * of SMTP; for LMTP the same fields are filled from lmtp_… parameters.
 */
#ifndef SMTP_SETTINGS_H
#define SMTP_SETTINGS_H

#include <posthouse/base.h>
#include <posthouse/map.h>
#include <posthouse/module.h>

struct connection_cache;

struct smtp_settings {
	const char *smtp_helo_name;
	const char *smtp_bind_address;
	const char *smtp_bind_address6;
	ph_strings smtp_host_lookup;
	int smtp_address_preference; /* any, ipv4, ipv6 */
	int64_t smtp_tcp_port;
	int64_t smtp_mx_address_limit;
	int64_t smtp_mx_session_limit;
	bool smtp_skip_5xx_greeting;
	bool smtp_mx_loopback;
	bool ignore_mx_lookup_error;
	int64_t smtp_connect_timeout;
	int64_t smtp_helo_timeout;
	int64_t smtp_mail_timeout;
	int64_t smtp_rcpt_timeout;
	int64_t smtp_data_init_timeout;
	int64_t smtp_data_xfer_timeout;
	int64_t smtp_data_done_timeout;
	int64_t smtp_rset_timeout;
	int64_t smtp_connection_cache_time_limit;
	int64_t smtp_connection_reuse_count_limit;
	const ph_map *smtp_generic_maps;
	const ph_map *smtp_header_checks, *smtp_mime_header_checks, *smtp_nested_header_checks;
	const ph_map *smtp_body_checks;
	int64_t header_size_limit, mime_nesting_limit, mime_boundary_length_limit;
	bool generic_extension; /* propagate_unmatched_extensions has "generic" */
	struct connection_cache *cache; /* made by start */
	bool lmtp;              /* LHLO, no MX lookup, a reply for each recipient (RFC 2033) */
};

/* Every instance has both: which of them counts is for the transport's name, smtp or lmtp, to say. */
struct smtp_instance {
	struct smtp_settings smtp, lmtp;
};

#endif
