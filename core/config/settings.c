/*
 * The tables of the core's own parameters: the only place where their names, defaults, ranges and
 * documentation stand. Sorted by name; a test holds that.
 */
#include "config/settings.h"

#define MINUTE (INT64_C(60) * 1000)
#define DAY (INT64_C(24) * 60 * MINUTE)
#define YEAR (365 * DAY)
#define COUNT_MAX (INT64_C(1) << 31)
#define RATE_MAX INT64_C(4000000) /* as many as are counted: RATE_LIMIT_MOST in session/rates.h */
#define SIZE_TOP (INT64_C(1) << 50)

#define SETTING(field, param_type, ...) \
	{.name = #field, .type = (param_type), .offset = offsetof(struct settings, field), __VA_ARGS__}

const struct ph_param settings_params[] = {
	{.name = "2bounce_notice_recipient",
		.type = PH_STRING,
		.offset = offsetof(struct settings, bounce2_notice_recipient),
		.default_value = "postmaster",
		.doc = "Who gets reports that cannot be delivered, with 2bounce in "
		       "$notify_classes."},
	SETTING(address_verify_cache_limit, PH_INT, .default_value = "100000", .min = 1,
		.max = 10000000,
		.doc = "The most addresses that are remembered with what their verification gave; "
		       "beyond "
		       "that the oldest that failed are forgotten."),
	SETTING(address_verify_default_transport, PH_STRING, .default_value = "$default_transport",
		.doc = "What default_transport is for probes of address verification."),
	SETTING(address_verify_local_transport, PH_STRING, .default_value = "$local_transport",
		.doc = "What local_transport is for probes of address verification."),
	SETTING(address_verify_map, PH_PATH, .default_value = "$data_directory/verify_cache",
		.doc = "The file that keeps what address verification found out; empty: it is kept "
		       "in memory, "
		       "and forgotten with a restart."),
	SETTING(address_verify_negative_cache, PH_BOOL, .default_value = "yes",
		.doc = "Remember addresses whose verification failed; no: every mail to one is a "
		       "new probe."),
	SETTING(address_verify_negative_expire_time, PH_TIME, .default_value = "3d", .min = 1000,
		.max = YEAR, .doc = "How long an address whose verification failed is remembered."),
	SETTING(address_verify_negative_refresh_time, PH_TIME, .default_value = "3h", .min = 1000,
		.max = YEAR,
		.doc = "After how long an address whose verification failed is verified again, "
		       "while what is "
		       "known of it still counts."),
	SETTING(address_verify_poll_count, PH_INT, .default_value = "3", .min = 1, .max = 1000,
		.doc = "How often, with $address_verify_poll_delay between, a verification in "
		       "progress is asked "
		       "for before the client is told to try again later; 1: it does not wait."),
	SETTING(address_verify_poll_delay, PH_TIME, .default_value = "3s", .min = 1, .max = 3600000,
		.doc = "How long a client waits for a verification in progress, for each time but "
		       "one of "
		       "$address_verify_poll_count."),
	SETTING(address_verify_positive_expire_time, PH_TIME, .default_value = "31d", .min = 1000,
		.max = YEAR,
		.doc = "How long an address that was found deliverable is remembered."),
	SETTING(address_verify_positive_refresh_time, PH_TIME, .default_value = "7d", .min = 1000,
		.max = YEAR,
		.doc = "After how long an address that was found deliverable is verified again, "
		       "while what is "
		       "known of it still counts."),
	SETTING(address_verify_relay_transport, PH_STRING, .default_value = "$relay_transport",
		.doc = "What relay_transport is for probes of address verification."),
	SETTING(address_verify_relayhost, PH_STRING, .default_value = "$relayhost",
		.doc = "What relayhost is for probes of address verification."),
	SETTING(address_verify_sender, PH_STRING, .default_value = "$double_bounce_sender",
		.doc = "The sender of probes of address verification, with @$myorigin if it has no "
		       "domain, whose "
		       "mail is accepted from everybody and who is not verified; <>: the empty "
		       "one."),
	SETTING(address_verify_sender_dependent_default_transport_maps, PH_MAP_REF,
		.default_value = "$sender_dependent_default_transport_maps",
		.doc = "What sender_dependent_default_transport_maps is for probes of address "
		       "verification."),
	SETTING(address_verify_sender_dependent_relayhost_maps, PH_MAP_REF,
		.default_value = "$sender_dependent_relayhost_maps",
		.doc = "What sender_dependent_relayhost_maps is for probes of address "
		       "verification."),
	SETTING(address_verify_sender_ttl, PH_TIME, .default_value = "0", .max = YEAR,
		.doc = "How long $address_verify_sender stays the same: then other digits are "
		       "appended to its "
		       "local part; 0: it never changes."),
	SETTING(address_verify_transport_maps, PH_MAP_REF, .default_value = "$transport_maps",
		.doc = "What transport_maps is for probes of address verification."),
	SETTING(address_verify_virtual_transport, PH_STRING, .default_value = "$virtual_transport",
		.doc = "What virtual_transport is for probes of address verification."),
	SETTING(alias_database, PH_STRINGS, .default_value = "hash:/etc/aliases",
		.doc = "The alias tables that newaliases builds."),
	SETTING(allow_percent_hack, PH_BOOL, .default_value = "no",
		.doc = "Take user%host, in a domain of $mydestination or without one, for "
		       "user@host."),
	SETTING(always_add_missing_headers, PH_BOOL, .default_value = "no",
		.doc = "Give the mail of all SMTP clients the Date, From and Message-Id that it "
		       "lacks, not only that of local_header_rewrite_clients."),
	SETTING(always_bcc, PH_STRING,
		.doc = "An address that gets a copy of every message; empty: nobody."),
	SETTING(anvil_rate_time_unit, PH_TIME, .default_value = "60s", .min = 1000, .max = 30 * DAY,
		.doc = "The time over which the rates of clients are counted "
		       "(smtpd_client_connection_rate_limit and the like)."),
	SETTING(append_at_myorigin, PH_BOOL, .default_value = "yes",
		.doc = "Complete an address without a domain with @$myorigin."),
	SETTING(append_dot_mydomain, PH_BOOL, .default_value = "no",
		.doc = "Complete a domain without a dot with .$mydomain."),
	SETTING(authorized_flush_users, PH_STRINGS, .default_value = "static:anyone",
		.doc = "The users who may flush the queue; static:anyone is everybody."),
	SETTING(authorized_mailq_users, PH_STRINGS, .default_value = "static:anyone",
		.doc = "The users who may list the queue; static:anyone is everybody."),
	SETTING(authorized_submit_users, PH_STRINGS, .default_value = "static:anyone",
		.doc = "The users who may submit mail with the sendmail command; "
		       "static:anyone is everybody."),
	SETTING(bounce_notice_recipient, PH_STRING, .default_value = "postmaster",
		.doc = "Who gets a copy of each report of failure, with bounce in "
		       "$notify_classes."),
	SETTING(bounce_queue_lifetime, PH_TIME, .default_value = "5d", .max = YEAR,
		.doc = "How long delivery of a non-delivery report is tried before it is given "
		       "up."),
	SETTING(bounce_size_limit, PH_SIZE, .default_value = "50000", .max = SIZE_TOP,
		.doc = "A message up to this size comes back whole with a report of failure, a "
		       "larger one "
		       "with its headers only."),
	SETTING(bounce_template_file, PH_STRING,
		.doc = "A file with other texts for reports (doc/REPORTS.md); empty: the built-in "
		       "ones."),
	SETTING(canonical_classes, PH_STRINGS,
		.default_value =
			"envelope_sender, envelope_recipient, header_sender, header_recipient",
		.doc = "What canonical_maps rewrites: envelope_sender, envelope_recipient, "
		       "header_sender, "
		       "header_recipient."),
	SETTING(canonical_maps, PH_MAP_REF,
		.doc = "Tables that rewrite addresses of senders and recipients, in envelope and "
		       "headers."),
	SETTING(data_directory, PH_PATH, .default_value = "$queue_directory/data",
		.doc = "The directory of files that mail_owner writes beside the queue: caches."),
	SETTING(default_destination_concurrency_limit, PH_INT, .default_value = "20", .min = 1,
		.max = 10000, .doc = "The most deliveries to one destination at the same time."),
	SETTING(default_destination_recipient_limit, PH_INT, .default_value = "50", .min = 1,
		.max = 100000, .doc = "The most recipients in one delivery."),
	SETTING(default_filter_nexthop, PH_STRING,
		.doc = "The next hop of content_filter and FILTER where they name none; empty: the "
		       "recipient's domain."),
	SETTING(default_privs, PH_STRING, .default_value = "nobody",
		.doc = "The user whose rights deliveries to files and commands of alias tables "
		       "have."),
	SETTING(default_transport, PH_STRING, .default_value = "smtp",
		.doc = "The transport, or transport:nexthop, for destinations that are neither "
		       "local nor relayed."),
	SETTING(defer_transports, PH_STRINGS,
		.doc = "Transports whose mail waits until the queue is flushed (sendmail -q, postqueue, ETRN), "
		       "as for a line that is not always up."),
	SETTING(delay_notice_recipient, PH_STRING, .default_value = "postmaster",
		.doc = "Who gets a copy of each report of delay, with delay in $notify_classes."),
	SETTING(delay_warning_time, PH_TIME, .default_value = "0h", .max = YEAR,
		.doc = "The age at which the sender of a message that is still waiting is told so, "
		       "once; "
		       "0: never."),
	SETTING(delivery_processes, PH_INT, .default_value = "1", .min = 1, .max = 256,
		.doc = "The number of processes that deliver to the network."),
	SETTING(dns_servers, PH_ADDRESSES,
		.doc = "The name servers to ask, as address or address@port; "
		       "empty: those of /etc/resolv.conf."),
	SETTING(dns_timeout, PH_TIME, .default_value = "10s", .min = 100, .max = 10 * MINUTE,
		.doc = "How long one DNS lookup may take."),
	SETTING(dns_trust_anchor, PH_PATH,
		.doc = "The file with the DNSSEC trust anchor of the root; empty: no validation."),
	SETTING(double_bounce_sender, PH_STRING, .default_value = "double-bounce",
		.doc = "The sender of notices to the postmaster; mail that comes back to it is "
		       "thrown away."),
	SETTING(empty_address_default_transport_maps_lookup_key, PH_STRING, .default_value = "<>",
		.doc = "What sender_dependent_default_transport_maps is asked for the empty "
		       "sender."),
	SETTING(empty_address_recipient, PH_STRING, .default_value = "MAILER-DAEMON",
		.doc = "Who gets mail that is addressed to the empty address."),
	SETTING(empty_address_relayhost_maps_lookup_key, PH_STRING, .default_value = "<>",
		.doc = "What sender_dependent_relayhost_maps is asked for the empty sender."),
	SETTING(enable_original_recipient, PH_BOOL, .default_value = "yes",
		.doc = "Keep the address a message was sent to beside the one it was rewritten to; "
		       "no: recipients that become the same get one copy."),
	SETTING(error_notice_recipient, PH_STRING, .default_value = "postmaster",
		.doc = "Who gets the transcripts of SMTP sessions for the other $notify_classes."),
	SETTING(export_environment, PH_STRINGS, .default_value = "TZ, LANG",
		.doc = "The environment variables that commands get to see, NAME or NAME=value, "
		       "besides those "
		       "that tell them of the user and the message."),
	SETTING(fast_flush_domains, PH_MATCH_LIST, .default_value = "$relay_domains",
		.doc = "The domains whose mail ETRN has tried at once."),
	SETTING(header_from_format, PH_ENUM, .default_value = "standard",
		.choices = "standard, obsolete",
		.doc = "How a From header that is missing is written: standard, name <user@domain>, "
		       "or obsolete, user@domain (name)."),
	SETTING(hopcount_limit, PH_INT, .default_value = "50", .min = 1, .max = 10000,
		.doc = "The most Received headers a message may have before it is returned as "
		       "looping."),
	SETTING(inet_interfaces, PH_STRINGS, .default_value = "all",
		.doc = "The addresses to receive mail on: all, loopback-only, addresses or host "
		       "names."),
	SETTING(inet_protocols, PH_ENUM, .default_value = "all", .choices = "all, ipv4, ipv6",
		.doc = "The versions of IP to use."),
	SETTING(initial_destination_concurrency, PH_INT, .default_value = "5", .min = 1,
		.max = 10000,
		.doc = "How many deliveries to one destination run at the same time at first."),
	SETTING(internal_mail_filter_classes, PH_STRINGS,
		.doc = "Mail of this host itself that filters of content see all the same: bounce "
		       "(reports to "
		       "senders), notify (reports to the postmaster). A report that a filter "
		       "refuses is sent "
		       "all the same; one that it discards is not."),
	SETTING(local_destination_concurrency_limit, PH_INT, .default_value = "128", .min = 1,
		.max = 10000,
		.doc = "The most deliveries to one local recipient at the same time; those that "
		       "wait "
		       "for one mailbox share a batch."),
	SETTING(local_header_rewrite_clients, PH_STRINGS, .default_value = "permit_inet_interfaces",
		.doc = "The SMTP clients whose headers are rewritten: permit_inet_interfaces, "
		       "permit_mynetworks, permit_sasl_authenticated; empty: none."),
	SETTING(local_recipient_maps, PH_MAP_REF,
		.default_value = "unix:passwd.byname, $alias_maps",
		.doc = "Tables of all recipients in $mydestination, by user name or address; "
		       "empty: "
		       "any, which is the default when transport_local is not loaded."),
	SETTING(local_transport, PH_STRING, .default_value = "local",
		.doc = "The transport, or transport:nexthop, for domains in $mydestination."),
	SETTING(log_destination, PH_STRING, .default_value = "syslog",
		.doc = "Where log lines go: syslog, stderr, or the absolute path of a file."),
	SETTING(log_format, PH_ENUM, .default_value = "classic", .choices = "classic, json",
		.doc = "The form of log lines: classic text or one JSON object a line."),
	SETTING(mail_name, PH_STRING, .default_value = "Posthouse",
		.doc = "The name of the mail system in Received headers and greetings."),
	SETTING(mail_owner, PH_STRING, .default_value = MAIL_OWNER,
		.doc = "The user who owns the queue and as whom most processes run."),
	SETTING(mail_spool_directory, PH_PATH, .default_value = "/var/mail",
		.doc = "The directory of the users' mailboxes."),
	SETTING(masquerade_classes, PH_STRINGS,
		.default_value = "envelope_sender, header_sender, header_recipient",
		.doc = "What masquerade_domains rewrites: envelope_sender, envelope_recipient, "
		       "header_sender, header_recipient."),
	SETTING(masquerade_domains, PH_STRINGS,
		.doc = "Domains whose subdomains are cut off from addresses, the first that fits; "
		       "!domain: not this one."),
	SETTING(masquerade_exceptions, PH_MATCH_LIST,
		.doc = "User names that masquerade_domains leaves alone."),
	SETTING(maximal_backoff_time, PH_TIME, .default_value = "4000s", .min = 1, .max = YEAR,
		.doc = "The longest time between two attempts to deliver a message."),
	SETTING(maximal_queue_lifetime, PH_TIME, .default_value = "5d", .max = YEAR,
		.doc = "How long delivery of a message is tried before it is returned."),
	SETTING(message_drop_headers, PH_STRINGS,
		.default_value = "bcc, content-length, resent-bcc, return-path",
		.doc = "The names of headers that no message keeps, in any case of letters; they "
		       "go when "
		       "header_checks have seen them."),
	SETTING(message_size_limit, PH_SIZE, .default_value = "10240000", .max = SIZE_TOP,
		.doc = "The largest message that is accepted; 0: no limit."),
	SETTING(minimal_backoff_time, PH_TIME, .default_value = "300s", .min = 1, .max = YEAR,
		.doc = "The shortest time between two attempts to deliver a message."),
	SETTING(module_directory, PH_PATH, .default_value = MODULE_DIR,
		.doc = "The directory that holds the modules."),
	SETTING(mydestination, PH_MATCH_LIST,
		.default_value = "$myhostname, localhost.$mydomain, localhost",
		.doc = "The domains whose mail is delivered here."),
	SETTING(mydomain, PH_STRING,
		.doc = "The domain of this host; default: $myhostname without its first label."),
	SETTING(myhostname, PH_STRING,
		.doc = "The name of this host in the mail system; default: its fully qualified "
		       "name."),
	SETTING(mynetworks, PH_NETWORKS, .default_value = "127.0.0.0/8, [::1]/128",
		.doc = "The networks whose clients are trusted: permit_mynetworks lets them "
		       "relay."),
	SETTING(myorigin, PH_STRING, .default_value = "$myhostname",
		.doc = "The domain of mail that is posted here; a path: the first line of that "
		       "file."),
	SETTING(notify_classes, PH_STRINGS, .default_value = "resource, software",
		.doc = "What the postmaster hears of: bounce, 2bounce, delay, policy, protocol, "
		       "resource, "
		       "software."),
	SETTING(parent_domain_matches_subdomains, PH_STRINGS,
		.default_value = "relay_domains, smtpd_access_maps",
		.doc = "The parameters in which example.com also stands for all domains below it; "
		       "in others "
		       "that is written .example.com: relay_domains, smtpd_access_maps, "
		       "transport_maps."),
	SETTING(propagate_unmatched_extensions, PH_STRINGS, .default_value = "canonical, virtual",
		.doc = "The tables whose results get the extension that their key did not have: "
		       "canonical, "
		       "virtual, generic, alias, forward (.forward files), include (:include: "
		       "files, of those)."),
	SETTING(qmgr_message_active_limit, PH_INT, .default_value = "20000", .min = 1,
		.max = COUNT_MAX, .doc = "The most messages that are scheduled at the same time."),
	SETTING(qmgr_message_recipient_limit, PH_INT, .default_value = "20000", .min = 1,
		.max = COUNT_MAX,
		.doc = "The most recipients that are scheduled at the same time."),
	SETTING(queue_directory, PH_PATH, .default_value = SPOOL_DIR,
		.doc = "The directory of the queue."),
	SETTING(queue_minfree, PH_SIZE, .default_value = "15360000", .max = SIZE_TOP,
		.doc = "With less free space than this in the queue's file system no mail is "
		       "accepted; "
		       "0: not checked."),
	SETTING(recipient_bcc_maps, PH_MAP_REF,
		.doc = "Tables of addresses that get a copy of the mail to a recipient."),
	SETTING(recipient_canonical_classes, PH_STRINGS,
		.default_value = "envelope_recipient, header_recipient",
		.doc = "What recipient_canonical_maps rewrites: envelope_recipient, "
		       "header_recipient."),
	SETTING(recipient_canonical_maps, PH_MAP_REF,
		.doc = "Tables that rewrite addresses of recipients, before canonical_maps."),
	SETTING(recipient_delimiter, PH_STRING,
		.doc = "The characters that separate a user's name from an extension (user+tag); "
		       "empty: none."),
	SETTING(reject_tempfail_action, PH_ENUM, .default_value = "defer_if_permit",
		.choices = "defer_if_permit, defer",
		.doc = "What a restriction does that cannot find out for now: defer_if_permit asks "
		       "the others "
		       "first, defer does not."),
	SETTING(relay_domains, PH_MATCH_LIST,
		.doc = "The domains that mail is relayed to for anyone; example.com means those "
		       "below it, "
		       "too ($parent_domain_matches_subdomains)."),
	SETTING(relay_recipient_maps, PH_MAP_REF,
		.doc = "Tables of all recipients in $relay_domains; empty: any."),
	SETTING(relay_transport, PH_STRING, .default_value = "smtp",
		.doc = "The transport, or transport:nexthop, for domains in $relay_domains."),
	SETTING(relayhost, PH_STRING,
		.doc = "The host that gets all mail for elsewhere: domain, host:port, [host]:port "
		       "or "
		       "[address]:port, in brackets without MX lookup; empty: direct delivery."),
	SETTING(reload_grace, PH_TIME, .default_value = "60s", .max = DAY,
		.doc = "How long sessions may go on under the old configuration after a reload."),
	SETTING(relocated_maps, PH_MAP_REF,
		.doc = "Tables of addresses whose users have moved, and where to: mail to them is "
		       "returned."),
	SETTING(remote_header_rewrite_domain, PH_STRING,
		.doc = "The domain that completes header addresses of clients which are not in "
		       "local_header_rewrite_clients; empty: their headers are not rewritten."),
	SETTING(resolve_dequoted_address, PH_BOOL, .default_value = "no",
		.doc = "Look for hosts in the quotes of a local part too: \"user@host\" in a "
		       "domain of "
		       "$mydestination is user@host."),
	SETTING(run_directory, PH_PATH, .default_value = RUN_DIR,
		.doc = "The directory of sockets and process numbers."),
	SETTING(sender_bcc_maps, PH_MAP_REF,
		.doc = "Tables of addresses that get a copy of the mail from a sender."),
	SETTING(sender_canonical_classes, PH_STRINGS,
		.default_value = "envelope_sender, header_sender",
		.doc = "What sender_canonical_maps rewrites: envelope_sender, header_sender."),
	SETTING(sender_canonical_maps, PH_MAP_REF,
		.doc = "Tables that rewrite addresses of senders, before canonical_maps."),
	SETTING(sender_dependent_default_transport_maps, PH_MAP_REF,
		.doc = "Tables of senders whose mail does not go the way of $default_transport; "
		       "DUNNO: "
		       "it does."),
	SETTING(sender_dependent_relayhost_maps, PH_MAP_REF,
		.doc = "Tables of senders whose mail goes to another host than $relayhost; DUNNO: "
		       "it does not."),
	SETTING(smtpd_processes, PH_INT, .default_value = "1", .min = 1, .max = 256,
		.doc = "The number of processes that receive mail."),
	SETTING(smtpd_restriction_classes, PH_STRINGS,
		.doc = "Names of lists of restrictions that you define, each under its name "
		       "(greylist = {…}), and that may stand in other lists and in access tables."),
	SETTING(soft_bounce, PH_BOOL, .default_value = "no",
		.doc = "Refuse nothing for good, while a configuration is tried out: the server "
		       "says 4xx "
		       "instead of 5xx, and what would be returned waits in the queue."),
	SETTING(swap_bangpath, PH_BOOL, .default_value = "no",
		.doc = "Take host!user, in a domain of $mydestination or without one, for "
		       "user@host."),
	SETTING(syslog_name, PH_STRING, .default_value = "posthouse",
		.doc = "The name in front of every log line."),
	SETTING(transport_maps, PH_MAP_REF,
		.doc = "Tables of recipients and domains with the transport and the next hop of "
		       "their mail, "
		       "whatever else is set."),
	SETTING(virtual_alias_address_length_limit, PH_INT, .default_value = "1000", .min = 1,
		.max = 100000,
		.doc = "The most bytes of an address that virtual_alias_maps makes."),
	SETTING(virtual_alias_domains, PH_MATCH_LIST, .default_value = "$virtual_alias_maps",
		.doc = "Domains in which every address is an alias of $virtual_alias_maps."),
	SETTING(virtual_alias_expansion_limit, PH_INT, .default_value = "1000", .min = 1,
		.max = 1000000,
		.doc = "The most addresses that virtual_alias_maps makes of one recipient."),
	SETTING(virtual_alias_maps, PH_MAP_REF,
		.doc = "Tables that turn a recipient into one or more others, again and again."),
	SETTING(virtual_alias_recursion_limit, PH_INT, .default_value = "1000", .min = 1,
		.max = 100000,
		.doc = "How often virtual_alias_maps may rewrite one recipient in turn."),
	SETTING(virtual_mailbox_domains, PH_MATCH_LIST, .default_value = "$virtual_mailbox_maps",
		.doc = "Domains whose mail $virtual_transport delivers."),
	SETTING(virtual_mailbox_maps, PH_MAP_REF,
		.doc = "Tables of all recipients in $virtual_mailbox_domains, with the paths of "
		       "their mailboxes "
		       "below $virtual_mailbox_base; a slash at the end makes one a Maildir; "
		       "empty: any."),
	SETTING(virtual_transport, PH_STRING, .default_value = "virtual",
		.doc = "The transport, or transport:nexthop, for domains in "
		       "$virtual_mailbox_domains."),
	SETTING(watchdog_abort_time, PH_TIME, .default_value = "30s", .max = DAY,
		.doc = "A process whose event loop stands still for so long is ended; 0: never."),
	SETTING(watchdog_warn_time, PH_TIME, .default_value = "1s", .max = DAY,
		.doc = "A task that holds up its process for so long is logged; 0: never."),
};

const size_t settings_param_count = sizeof(settings_params) / sizeof(settings_params[0]);

#define POLICY(field, param_type, ...) \
	{.name = #field, .type = (param_type), .offset = offsetof(struct policy_settings, field), \
		__VA_ARGS__}

const struct ph_param policy_params[] = {
	POLICY(access_map_defer_code, PH_INT, .flags = PH_PER_SECTION, .default_value = "450", .min = 400,
		.max = 499, .doc = "The reply code of DEFER and its like in access tables."),
	POLICY(access_map_reject_code, PH_INT, .flags = PH_PER_SECTION, .default_value = "554",
		.min = 400, .max = 599, .doc = "The reply code of REJECT in access tables."),
	POLICY(content_filter, PH_STRING, .flags = PH_PER_SECTION,
		.doc = "Where mail that enters here goes first, whoever it is for: transport:nexthop, as of the action FILTER, "
		       "which takes its place; empty: to its recipients, as for the listener to which the filter sends it back."),
	POLICY(defer_code, PH_INT, .flags = PH_PER_SECTION, .default_value = "450", .min = 400,
		.max = 499, .doc = "The reply code of the restriction defer."),
	POLICY(queue, PH_STRING, .flags = PH_SECTION_ONLY,
		.doc = "The name of the queue storage for mail that enters here; empty: the first one."),
	POLICY(receive_override_options, PH_STRINGS, .flags = PH_PER_SECTION,
		.doc = "What mail that enters here is spared, as it had it before: no_address_mappings (canonical and "
		       "virtual addresses, masquerading, copies), no_header_body_checks, no_milters, "
		       "no_unknown_recipient_checks."),
	POLICY(reject_code, PH_INT, .flags = PH_PER_SECTION, .default_value = "554", .min = 400,
		.max = 599, .doc = "The reply code of the restriction reject."),
	POLICY(show_user_unknown_table_name, PH_BOOL, .flags = PH_PER_SECTION, .default_value = "yes",
		.doc = "Name the table in the reply to unknown recipients."),
	POLICY(smtpd_client_connection_count_limit, PH_INT, .flags = PH_PER_SECTION,
		.default_value = "50", .max = COUNT_MAX,
		.doc = "The most connections from one client at the same time; 0: no limit."),
	POLICY(smtpd_client_connection_rate_limit, PH_INT, .flags = PH_PER_SECTION,
		.default_value = "0", .max = RATE_MAX,
		.doc = "The most connections from one client within $anvil_rate_time_unit; 0: no limit."),
	POLICY(smtpd_client_event_limit_exceptions, PH_NETWORKS, .flags = PH_PER_SECTION,
		.default_value = "$mynetworks",
		.doc = "The networks whose clients have no limits of connections and rates."),
	POLICY(smtpd_client_ipv4_prefix_length, PH_INT, .flags = PH_PER_SECTION,
		.default_value = "32", .min = 1, .max = 32,
		.doc = "The network of so many bits counts as one client for limits of connections and "
		       "rates: of IPv4."),
	POLICY(smtpd_client_ipv6_prefix_length, PH_INT, .flags = PH_PER_SECTION,
		.default_value = "64", .min = 1, .max = 128,
		.doc = "The network of so many bits counts as one client for limits of connections and "
		       "rates: of IPv6."),
	POLICY(smtpd_client_message_rate_limit, PH_INT, .flags = PH_PER_SECTION,
		.default_value = "0", .max = RATE_MAX,
		.doc = "The most messages that one client may offer within $anvil_rate_time_unit, accepted "
		       "or not; 0: no limit."),
	POLICY(smtpd_client_port_logging, PH_BOOL, .flags = PH_PER_SECTION, .default_value = "no",
		.doc = "Name the client's port, too, where the log names the client (RFC 6302)."),
	POLICY(smtpd_client_recipient_rate_limit, PH_INT, .flags = PH_PER_SECTION,
		.default_value = "0", .max = RATE_MAX,
		.doc = "The most recipients that one client may name within $anvil_rate_time_unit, "
		       "accepted or not; 0: no limit."),
	POLICY(smtpd_client_restrictions, PH_RESTRICTIONS, .flags = PH_PER_SECTION,
		.doc = "What is asked when a client connects."),
	POLICY(smtpd_data_restrictions, PH_RESTRICTIONS, .flags = PH_PER_SECTION,
		.doc = "What is asked at the DATA command."),
	POLICY(smtpd_delay_reject, PH_BOOL, .flags = PH_PER_SECTION, .default_value = "yes",
		.doc = "Ask the client, HELO and sender restrictions only at the RCPT command, so that "
		       "the log shows who wrote to whom."),
	POLICY(smtpd_end_of_data_restrictions, PH_RESTRICTIONS, .flags = PH_PER_SECTION,
		.doc = "What is asked at the end of the message."),
	POLICY(smtpd_etrn_restrictions, PH_RESTRICTIONS, .flags = PH_PER_SECTION,
		.doc = "What is asked at the ETRN command."),
	POLICY(smtpd_explain_clients, PH_NETWORKS, .flags = PH_PER_SECTION, .default_value = "",
		.doc = "Clients whose sessions are explained in the log: each restriction that is asked, what "
		       "it looked up and what it said, a line each."),
	POLICY(smtpd_helo_required, PH_BOOL, .flags = PH_PER_SECTION, .default_value = "no",
		.doc = "Clients must say HELO or EHLO before MAIL."),
	POLICY(smtpd_helo_restrictions, PH_RESTRICTIONS, .flags = PH_PER_SECTION,
		.doc = "What is asked at the HELO or EHLO command."),
	POLICY(smtpd_peername_lookup, PH_BOOL, .flags = PH_PER_SECTION, .default_value = "yes",
		.doc = "Look up the client's name; without it every client is unknown."),
	POLICY(smtpd_recipient_limit, PH_INT, .flags = PH_PER_SECTION, .default_value = "1000",
		.min = 1, .max = COUNT_MAX, .doc = "The most recipients of one message."),
	POLICY(smtpd_recipient_restrictions, PH_RESTRICTIONS, .flags = PH_PER_SECTION,
		.doc = "What is asked at the RCPT command, after $smtpd_relay_restrictions."),
	POLICY(smtpd_reject_unlisted_recipient, PH_BOOL, .flags = PH_PER_SECTION,
		.default_value = "yes",
		.doc = "Refuse unknown recipients at the end of $smtpd_recipient_restrictions."),
	POLICY(smtpd_reject_unlisted_sender, PH_BOOL, .flags = PH_PER_SECTION, .default_value = "no",
		.doc = "Refuse senders that would be unknown as recipients, at the end of "
		       "$smtpd_sender_restrictions."),
	POLICY(smtpd_relay_before_recipient_restrictions, PH_BOOL, .flags = PH_PER_SECTION,
		.default_value = "yes",
		.doc = "Ask $smtpd_relay_restrictions before $smtpd_recipient_restrictions, not "
		       "after them."),
	POLICY(smtpd_relay_restrictions, PH_RESTRICTIONS, .flags = PH_PER_SECTION,
		.default_value = "permit_mynetworks, permit_sasl_authenticated, "
				 "defer_unauth_destination",
		.doc = "Who may relay: asked at the RCPT command, before "
		       "$smtpd_recipient_restrictions."),
	POLICY(smtpd_sender_restrictions, PH_RESTRICTIONS, .flags = PH_PER_SECTION,
		.doc = "What is asked at the MAIL command."),
	POLICY(unknown_local_recipient_reject_code, PH_INT, .flags = PH_PER_SECTION, .default_value = "550",
		.min = 400, .max = 599,
		.doc = "The reply code for recipients in $mydestination that $local_recipient_maps does not have."),
	POLICY(unknown_relay_recipient_reject_code, PH_INT, .flags = PH_PER_SECTION, .default_value = "550",
		.min = 400, .max = 599,
		.doc = "The reply code for recipients in $relay_domains that $relay_recipient_maps does not have."),
	POLICY(unknown_virtual_alias_reject_code, PH_INT, .flags = PH_PER_SECTION, .default_value = "550",
		.min = 400, .max = 599,
		.doc = "The reply code for recipients in $virtual_alias_domains that $virtual_alias_maps does not have."),
	POLICY(unknown_virtual_mailbox_reject_code, PH_INT, .flags = PH_PER_SECTION, .default_value = "550",
		.min = 400, .max = 599,
		.doc = "The reply code for recipients in $virtual_mailbox_domains that $virtual_mailbox_maps does not have."),
};

const size_t policy_param_count = sizeof(policy_params) / sizeof(policy_params[0]);
