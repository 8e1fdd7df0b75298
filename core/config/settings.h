/*
 * The core's own parameters, as fields. settings.c has their table: names, defaults, documentation.
 * A field has the name of its parameter. Times are milliseconds, sizes bytes.
 */
#ifndef CONFIG_SETTINGS_H
#define CONFIG_SETTINGS_H

#include <posthouse/map.h>
#include <posthouse/module.h>

enum header_from_format { HEADER_FROM_STANDARD, HEADER_FROM_OBSOLETE };

/* Global ones. */
struct settings {
	/* identity */
	const char *myhostname;      /* default: the host's fully qualified name */
	const char *mydomain;        /* default: myhostname without its first label */
	const char *myorigin;        /* default $myhostname; a path: its first line (/etc/mailname) */
	const char *mail_name;       /* "Posthouse", in Received and banner */
	/* network */
	ph_strings inet_interfaces;  /* all, loopback-only, addresses, host names */
	ph_strings internal_mail_filter_classes;
	ph_strings message_drop_headers;
	const char *remote_header_rewrite_domain;
	int inet_protocols;          /* all, ipv4, ipv6 */
	const ph_networks *mynetworks;
	ph_addresses dns_servers;
	int64_t dns_timeout;
	const char *dns_trust_anchor;
	/* who we are for */
	const ph_match_list *mydestination;
	const ph_match_list *relay_domains;
	const ph_match_list *virtual_alias_domains;
	const ph_match_list *virtual_mailbox_domains;
	const ph_match_list *fast_flush_domains;
	ph_strings parent_domain_matches_subdomains; /* names of parameters */
	const ph_map *local_recipient_maps;
	const ph_map *virtual_mailbox_maps;
	const ph_map *relay_recipient_maps;
	const ph_map *relocated_maps;
	const char *relayhost;
	/* completion */
	bool append_at_myorigin;
	bool append_dot_mydomain;
	bool always_add_missing_headers;
	bool allow_percent_hack, resolve_dequoted_address, swap_bangpath;
	const char *recipient_delimiter;
	const char *empty_address_recipient;
	const char *double_bounce_sender;
	/* reports */
	int64_t delay_warning_time;    /* 0: no reports of delay */
	bool soft_bounce;
	ph_strings notify_classes;
	const char *bounce_notice_recipient, *bounce2_notice_recipient; /* that one is named 2bounce_… */
	const char *delay_notice_recipient, *error_notice_recipient;
	const char *bounce_template_file;
	const struct templates *bounce_templates; /* what that says; NULL: nothing is configured at all */
	/* rewriting; the maps are NULL only where a test left them out */
	const ph_map *canonical_maps, *sender_canonical_maps, *recipient_canonical_maps;
	ph_strings canonical_classes, sender_canonical_classes, recipient_canonical_classes;
	ph_strings masquerade_domains, masquerade_classes;
	const ph_match_list *masquerade_exceptions;
	ph_strings propagate_unmatched_extensions;
	ph_strings local_header_rewrite_clients;
	const ph_map *virtual_alias_maps;
	int64_t virtual_alias_expansion_limit, virtual_alias_recursion_limit;
	int64_t virtual_alias_address_length_limit;
	const char *always_bcc;
	const ph_map *sender_bcc_maps, *recipient_bcc_maps;
	bool enable_original_recipient;
	/* address verification */
	const char *address_verify_map;
	const char *address_verify_sender;
	int64_t address_verify_sender_ttl;
	bool address_verify_negative_cache;
	int64_t address_verify_cache_limit;
	int64_t address_verify_positive_expire_time, address_verify_positive_refresh_time;
	int64_t address_verify_negative_expire_time, address_verify_negative_refresh_time;
	int64_t address_verify_poll_count, address_verify_poll_delay;
	const char *address_verify_local_transport, *address_verify_virtual_transport;
	const char *address_verify_relay_transport, *address_verify_default_transport;
	const char *address_verify_relayhost;
	const ph_map *address_verify_transport_maps;
	const ph_map *address_verify_sender_dependent_default_transport_maps;
	const ph_map *address_verify_sender_dependent_relayhost_maps;
	int reject_tempfail_action;    /* defer_if_permit, defer */
	/* routes */
	const char *local_transport;   /* "local" or "local:nexthop"; resp. relay, default: "smtp" */
	const char *relay_transport;
	const char *default_transport;
	const char *virtual_transport;
	const ph_map *transport_maps;
	const ph_map *sender_dependent_default_transport_maps;
	const ph_map *sender_dependent_relayhost_maps;
	const char *empty_address_default_transport_maps_lookup_key; /* what the empty sender is there */
	const char *empty_address_relayhost_maps_lookup_key;
	ph_strings alias_database;     /* what newaliases builds: hash:/etc/aliases */
	/* processes and files */
	const char *mail_owner;
	const char *default_privs;
	ph_strings export_environment; /* to commands */
	const char *queue_directory;
	const char *data_directory;
	const char *run_directory;
	const char *module_directory;
	const char *mail_spool_directory;
	int64_t smtpd_processes;
	int64_t delivery_processes;
	int64_t reload_grace;
	ph_strings smtpd_restriction_classes;
	int64_t watchdog_warn_time;    /* 1s */
	int64_t watchdog_abort_time;   /* 30s */
	/* log */
	const char *syslog_name;
	const char *log_destination;
	int header_from_format;        /* enum header_from_format */
	int log_format;                /* classic, json */
	/* queue */
	int64_t queue_minfree;
	int64_t message_size_limit;
	int64_t hopcount_limit;
	int64_t minimal_backoff_time;
	int64_t maximal_backoff_time;
	int64_t maximal_queue_lifetime;
	int64_t bounce_queue_lifetime;
	int64_t bounce_size_limit;
	int64_t default_destination_concurrency_limit;
	int64_t initial_destination_concurrency;
	int64_t local_destination_concurrency_limit;
	int64_t default_destination_recipient_limit;
	ph_strings defer_transports;
	const char *default_filter_nexthop;
	int64_t qmgr_message_active_limit;
	int64_t qmgr_message_recipient_limit;
	int64_t anvil_rate_time_unit;       /* of the rates of policy_settings */
	/* who may */
	ph_strings authorized_mailq_users;  /* "static:anyone", names */
	ph_strings authorized_flush_users;
	ph_strings authorized_submit_users;
};

/* Those that each listener may set for itself: what the session in the core asks. */
struct policy_settings {
	const ph_rules *smtpd_client_restrictions;
	const ph_rules *smtpd_helo_restrictions;
	const ph_rules *smtpd_sender_restrictions;
	const ph_rules *smtpd_relay_restrictions;
	const ph_rules *smtpd_recipient_restrictions;
	const ph_rules *smtpd_data_restrictions;
	const ph_rules *smtpd_end_of_data_restrictions;
	const ph_rules *smtpd_etrn_restrictions;
	ph_strings receive_override_options;
	const char *content_filter;                  /* "transport:nexthop", as of FILTER; "": none */
	bool smtpd_delay_reject;
	bool smtpd_helo_required;
	bool smtpd_peername_lookup;
	int64_t access_map_reject_code;
	int64_t access_map_defer_code;
	int64_t reject_code;
	int64_t defer_code;
	bool smtpd_client_port_logging;
	bool smtpd_relay_before_recipient_restrictions;
	bool smtpd_reject_unlisted_recipient;
	bool smtpd_reject_unlisted_sender;
	bool show_user_unknown_table_name;
	int64_t unknown_local_recipient_reject_code;
	int64_t unknown_relay_recipient_reject_code;
	int64_t unknown_virtual_alias_reject_code;
	int64_t unknown_virtual_mailbox_reject_code;
	int64_t smtpd_recipient_limit;
	int64_t smtpd_client_connection_count_limit; /* these: 0: no limit */
	int64_t smtpd_client_connection_rate_limit;
	int64_t smtpd_client_message_rate_limit;
	int64_t smtpd_client_recipient_rate_limit;
	const ph_networks *smtpd_client_event_limit_exceptions;
	int64_t smtpd_client_ipv4_prefix_length;
	int64_t smtpd_client_ipv6_prefix_length;
	const ph_networks *smtpd_explain_clients;
	const char *queue;                           /* the storage's name; "": the first one loaded */
};

/* The tables, sorted by name; element size sizeof(struct ph_param). */
extern const struct ph_param settings_params[];
extern const size_t settings_param_count;
extern const struct ph_param policy_params[];
extern const size_t policy_param_count;

#endif
