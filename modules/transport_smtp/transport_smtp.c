/*
 * transport_smtp: the SMTP client, which is the LMTP client too.
 */
#include "cache.h"
#include "transaction.h"

#include <posthouse/checks.h>
#include <posthouse/log.h>
#include <posthouse/transport.h>

#include <stdio.h>
#include <string.h>

#define FIELD(name) offsetof(struct smtp_instance, smtp.name)
#define SECOND INT64_C(1000)
#define DAY (86400 * SECOND)

/*
 * What both clients have, each for itself: the name behind "smtp_", which is also the field's, and behind
 * "lmtp_"; the type; the defaults of both; the least, the most, the choices; what it is.
 */
#define BOTH(X) \
	X(address_preference, address_preference, PH_ENUM, "any", "any", 0, 0, "any, ipv4, ipv6", \
		"The address family that is tried first within one preference of mail exchangers.") \
	X(bind_address, bind_address, PH_STRING, "", "", 0, 0, NULL, \
		"The IPv4 address that connections come from; empty: the system chooses.") \
	X(bind_address6, bind_address6, PH_STRING, "", "", 0, 0, NULL, \
		"The IPv6 address that connections come from; empty: the system chooses.") \
	X(body_checks, body_checks, PH_MAP_REF, "", "", 0, 0, NULL, \
		"Tables that the lines of bodies are looked up in when mail leaves, with the action for " \
		"those that match.") \
	X(connect_timeout, connect_timeout, PH_TIME, "30s", "0s", 0, DAY, NULL, \
		"How long to wait for a connection to one address; 0: as long as the system tries.") \
	X(connection_cache_time_limit, connection_cache_time_limit, PH_TIME, "2s", "2s", 0, 3600 * SECOND, NULL, \
		"How long an unused connection is kept for the next message; 0 closes it after each.") \
	X(connection_reuse_count_limit, connection_reuse_count_limit, PH_INT, "0", "0", 0, INT32_MAX, NULL, \
		"The most transactions on one connection; 0 means no limit.") \
	X(data_done_timeout, data_done_timeout, PH_TIME, "600s", "600s", SECOND, DAY, NULL, \
		"How long to wait for the reply to the end of the message (RFC 5321, 4.5.3.2.6), with LMTP " \
		"for each of them.") \
	X(data_init_timeout, data_init_timeout, PH_TIME, "120s", "120s", SECOND, DAY, NULL, \
		"How long to wait for the reply to DATA.") \
	X(data_xfer_timeout, data_xfer_timeout, PH_TIME, "180s", "180s", SECOND, DAY, NULL, \
		"How long sending a piece (256 KiB) of a message's content may take.") \
	X(fallback_relay, fallback_relay, PH_STRINGS, "", "", 0, 0, NULL, \
		"Next hops that are tried, one after the other, for mail whose own next hop is not found, or cannot take " \
		"it now.") \
	X(generic_maps, generic_maps, PH_MAP_REF, "", "", 0, 0, NULL, \
		"Tables that rewrite addresses of this site in envelope and headers of mail that leaves.") \
	X(header_checks, header_checks, PH_MAP_REF, "", "", 0, 0, NULL, \
		"The same as smtp_body_checks for the headers of a message when it leaves.") \
	X(helo_name, lhlo_name, PH_STRING, "$myhostname", "$myhostname", 0, 0, NULL, \
		"The name given with EHLO and HELO, or with LHLO.") \
	X(helo_timeout, lhlo_timeout, PH_TIME, "300s", "300s", SECOND, DAY, NULL, \
		"How long to wait for the greeting, and for the reply to EHLO or LHLO.") \
	X(host_lookup, host_lookup, PH_STRINGS, "dns", "dns", 0, 0, NULL, \
		"How addresses of hosts are found: dns, native (the system's hosts file and name services), " \
		"or both in that order.") \
	X(mail_timeout, mail_timeout, PH_TIME, "300s", "300s", SECOND, DAY, NULL, \
		"How long to wait for the reply to MAIL.") \
	X(mime_header_checks, mime_header_checks, PH_MAP_REF, "", "", 0, 0, NULL, \
		"The same as smtp_body_checks for headers that describe an entity, and those of parts.") \
	X(mx_address_limit, mx_address_limit, PH_INT, "5", "5", 0, 1000, NULL, \
		"The most addresses of mail exchangers, or of an LMTP host, that one delivery tries; 0 means no limit.") \
	X(mx_session_limit, mx_session_limit, PH_INT, "2", "2", 0, 1000, NULL, \
		"The most sessions (greeting received) that one delivery tries; 0 means no limit.") \
	X(nested_header_checks, nested_header_checks, PH_MAP_REF, "", "", 0, 0, NULL, \
		"The same as smtp_body_checks for the other headers of attached messages.") \
	X(rcpt_timeout, rcpt_timeout, PH_TIME, "300s", "300s", SECOND, DAY, NULL, \
		"How long to wait for the reply to RCPT.") \
	X(rset_timeout, rset_timeout, PH_TIME, "20s", "20s", SECOND, DAY, NULL, \
		"How long to wait for the reply to RSET.") \
	X(skip_5xx_greeting, skip_5xx_greeting, PH_BOOL, "yes", "yes", 0, 0, NULL, \
		"Whether a server that greets with 5xx is passed over for the next one instead of failing " \
		"the mail.") \
	X(tcp_port, tcp_port, PH_INT, "25", "24", 1, 65535, NULL, \
		"The port for next hops that name none.")

#define OF_SMTP(name, lmtp_name, type, value, lmtp_value, min, max, choices, doc) \
	{"smtp_" #name, type, PH_PER_SECTION, offsetof(struct smtp_instance, smtp.smtp_##name), value, min, max, \
		choices, doc},
#define OF_LMTP(name, lmtp_name, type, value, lmtp_value, min, max, choices, doc) \
	{"lmtp_" #lmtp_name, type, PH_PER_SECTION, offsetof(struct smtp_instance, lmtp.smtp_##name), lmtp_value, \
		min, max, choices, "smtp_" #name " of the LMTP client."},

static const struct ph_param params[] = {
	{"ignore_mx_lookup_error", PH_BOOL, PH_PER_SECTION, FIELD(ignore_mx_lookup_error), "no", 0, 0, NULL,
		"Whether a domain whose mail exchangers cannot be looked up is tried at its own address, "
		"against the standard; off: its mail waits."},
	{"header_size_limit", PH_SIZE, 0, FIELD(header_size_limit), "102400", 256, 1 << 20, NULL,
		"So many bytes of a header are looked at; what is behind them stays as it is."},
	{"mime_boundary_length_limit", PH_SIZE, 0, FIELD(mime_boundary_length_limit), "2048", 70, 1 << 16,
		NULL, "So many bytes of a multipart entity's boundary are compared."},
	{"mime_nesting_limit", PH_INT, 0, FIELD(mime_nesting_limit), "100", 1, 1000, NULL,
		"Messages with more multipart entities inside each other are refused, where there are checks."},
	{"smtp_mx_loopback", PH_BOOL, PH_PER_SECTION, FIELD(smtp_mx_loopback), "no", 0, 0, NULL,
		"Whether mail exchangers may have loopback addresses; off, since such a record only makes "
		"mail loop."},
	BOTH(OF_SMTP)
	BOTH(OF_LMTP)
};

static int
parse_hop(const struct smtp_settings *settings, bool lmtp, const char *text, struct nexthop *hop, ph_error *error)
{
	return (lmtp ? nexthop_parse_lmtp : nexthop_parse)(text, (uint16_t)settings->smtp_tcp_port, hop, error);
}

static int
check_fallback(const struct smtp_settings *settings, const char *protocol, ph_error *error)
{
	struct nexthop hop;
	ph_error why;

	for (size_t i = 0; i < settings->smtp_fallback_relay.count; i++)
		if (parse_hop(settings, strcmp(protocol, "lmtp") == 0, settings->smtp_fallback_relay.items[i], &hop, &why) == -1)
			return ph_error_set(error, "%s_fallback_relay: %s", protocol, why.text);
	return 0;
}

/* The names in texts are those of SMTP or of LMTP. */
static int
check_one(const struct smtp_settings *settings, const char *protocol, ph_error *error)
{
	ph_address address;

	if (settings->smtp_bind_address[0] != '\0' &&
		(ph_address_parse(ph_span_of(settings->smtp_bind_address), &address) == -1 ||
			strchr(settings->smtp_bind_address, ':') != NULL))
		return ph_error_set(error, "%s_bind_address: \"%s\" is no IPv4 address", protocol,
			settings->smtp_bind_address);
	if (settings->smtp_bind_address6[0] != '\0' &&
		(ph_address_parse(ph_span_of(settings->smtp_bind_address6), &address) == -1 ||
			strchr(settings->smtp_bind_address6, ':') == NULL))
		return ph_error_set(error, "%s_bind_address6: \"%s\" is no IPv6 address", protocol,
			settings->smtp_bind_address6);
	for (size_t i = 0; i < settings->smtp_host_lookup.count; i++)
		if (strcmp(settings->smtp_host_lookup.items[i], "dns") != 0 &&
			strcmp(settings->smtp_host_lookup.items[i], "native") != 0)
			return ph_error_set(error,
				"%s_host_lookup: \"%s\" is neither dns nor native", protocol,
				settings->smtp_host_lookup.items[i]);
	return check_fallback(settings, protocol, error);
}

static bool
is_lmtp(const void *self)
{
	return strcmp(ph_transport_name(self), "lmtp") == 0;
}

/* Those that count of the two that an instance has. */
static struct smtp_settings *
settings_of(void *self)
{
	struct smtp_instance *instance = self;

	return is_lmtp(self) ? &instance->lmtp : &instance->smtp;
}

static int
check(void *self, ph_error *error)
{
	return check_one(settings_of(self), ph_transport_name(self), error);
}

/* smtp_header_checks and the like; other tables have addresses. */
static int
check_entry(void *self, const char *parameter, ph_span value, ph_error *error)
{
	if (strstr(parameter, "_checks") == NULL)
		return 0;
	return ph_check_entry(value, PH_CHECK_ON_DELIVERY |
		(strstr(parameter, "_body_checks") != NULL ? 0 : PH_CHECK_IN_HEADER), error);
}

static int
start(void *self, ph_error *error)
{
	const struct smtp_settings *both = &((struct smtp_instance *)self)->smtp;
	struct smtp_settings *settings = settings_of(self);
	const char *propagate = ph_global("propagate_unmatched_extensions");

	settings->lmtp = is_lmtp(self);
	settings->header_size_limit = both->header_size_limit;
	settings->mime_boundary_length_limit = both->mime_boundary_length_limit;
	settings->mime_nesting_limit = both->mime_nesting_limit;
	settings->generic_extension = propagate != NULL && strstr(propagate, "generic") != NULL;
	settings->cache = cache_new(settings->smtp_connection_cache_time_limit);
	return settings->cache != NULL ? 0 : ph_error_set(error, "out of memory");
}

static void
stop(void *self)
{
	cache_free(settings_of(self)->cache);
}

struct attempt {
	const struct smtp_settings *settings;
	ph_delivery *delivery;
	struct pending *pending;
	size_t count;
	const char *hop; /* the next hop in hand */
	bool final;      /* no other host is to be tried */
	bool said;       /* the server of a kept connection had its say; this was it: */
	ph_address used;
	struct reply reply;
	char text[REPLY_TEXT + 400];
};

static bool
all_done(const struct attempt *a)
{
	for (size_t i = 0; i < a->count; i++)
		if (!a->pending[i].done)
			return false;
	return true;
}

static bool
last_use(const struct smtp_settings *settings, const struct client *client)
{
	return settings->smtp_connection_reuse_count_limit > 0 &&
		client->transactions >= settings->smtp_connection_reuse_count_limit;
}

static enum outcome
use(struct attempt *a, struct client *client)
{
	enum outcome outcome;

	a->said = true;
	a->used = client->address;
	ph_delivery_connected(a->delivery);
	outcome = transaction_run(client, a->delivery, a->pending, a->count);
	a->final |= outcome == OUTCOME_FINAL;
	if (last_use(a->settings, client))
		client_close(client);
	else
		cache_give(a->settings->cache, a->hop, client);
	return outcome;
}

/* Kept connections first; each may have died meanwhile. true: the delivery is over. */
static bool
use_kept(struct attempt *a)
{
	struct client *client;

	while ((client = cache_take(a->settings->cache, a->hop)) != NULL) {
		switch (use(a, client)) {
		case OUTCOME_STALE:
			a->said = false;
			continue;
		case OUTCOME_FINAL:
			return true;
		case OUTCOME_DONE:
			return all_done(a);
		}
	}
	return false;
}

static void
bounce_all(struct attempt *a, const char *status, const char *relay, const char *text)
{
	for (size_t i = 0; i < a->count; i++)
		if (!a->pending[i].done)
			ph_delivery_bounce(a->delivery, a->pending[i].index, status, relay, "%s",
				text);
}

/* The connection could not be had: notes why. true: the server's word is final. */
static bool
not_connected(struct attempt *a)
{
	char own[12];
	const char *status = a->reply.code != 0 ? reply_status(&a->reply, "0.0", own) : "4.4.1";

	if (a->reply.code / 100 == 5 && (!a->settings->smtp_skip_5xx_greeting ||
		strcmp(a->reply.status, "5.4.6") == 0)) {
		bounce_all(a, status, "none", a->text);
		return true;
	}
	transaction_fail(a->delivery, a->pending, a->count, status, NULL, a->text);
	return false;
}

/* Tries the hosts in turn. Returns whether any of them could be talked to. */
static bool
try_hosts(struct attempt *a, const struct hosts *hosts)
{
	const struct smtp_settings *settings = a->settings;
	const bool said = a->said;
	const ph_address used = a->used;
	int64_t addresses = 0, sessions = said;

	for (size_t i = 0; i < hosts->count && !all_done(a) && !ph_task_cancelled(); i++) {
		struct client *client;

		if (said && (hosts->items[i].path != NULL ||
			ph_address_equal(&used, &hosts->items[i].address)))
			continue;
		if (settings->smtp_mx_address_limit > 0 &&
			++addresses > settings->smtp_mx_address_limit)
			break;
		client = client_open(settings, &hosts->items[i], &a->reply, a->text,
			sizeof a->text);
		if (client == NULL && not_connected(a))
			return true;
		if (client != NULL && use(a, client) == OUTCOME_FINAL)
			return true;
		if (client != NULL || a->reply.code != 0)
			if (++sessions == settings->smtp_mx_session_limit)
				return true;
	}
	return sessions > 0;
}

static void
defer_rest(struct attempt *a)
{
	for (size_t i = 0; i < a->count; i++)
		if (!a->pending[i].done)
			ph_delivery_defer(a->delivery, a->pending[i].index, a->pending[i].status,
				a->pending[i].relay != NULL ? a->pending[i].relay : "none", "%s",
				a->pending[i].text != NULL ? a->pending[i].text : "out of memory");
}

/* Nobody could be talked to, and why: of the first recipient that is left. */
static void
give_up(struct attempt *a)
{
	size_t i = 0;

	while (a->pending[i].done)
		i++;
	ph_delivery_dead(a->delivery, a->pending[i].status[0] != '\0' ? a->pending[i].status : "4.4.1", "none", "%s",
		a->pending[i].text != NULL ? a->pending[i].text : "delivery was interrupted");
}

/* Tries the hosts of a next hop. last: there is no other one. Returns whether the rest is to be deferred, as somebody
 * could be talked to; else it is to be known that nobody could. */
static bool
try_hop(struct attempt *a, bool last)
{
	struct nexthop *hop = ph_pool_alloc(ph_delivery_pool(a->delivery), sizeof *hop);
	struct hosts *hosts = ph_pool_alloc(ph_delivery_pool(a->delivery), sizeof *hosts);
	ph_error *error = ph_pool_alloc(ph_delivery_pool(a->delivery), sizeof *error);

	if (hop == NULL || hosts == NULL || error == NULL) {
		transaction_fail(a->delivery, a->pending, a->count, "4.3.0", NULL, "out of memory");
		a->final = true;
		return true;
	}
	if (parse_hop(a->settings, a->settings->lmtp, a->hop, hop, error) == -1) {
		ph_log(PH_LOG_WARNING, "%s: %s", ph_delivery_queue_id(a->delivery), error->text);
		bounce_all(a, "5.4.4", "none", error->text);
		return true;
	}
	hosts_find(a->settings, ph_delivery_pool(a->delivery), hop, hosts);
	a->final = hosts->refused;
	if (hosts->count > 0)
		return try_hosts(a, hosts);
	if (hosts->permanent && (last || hosts->refused))
		bounce_all(a, hosts->status, "none", hosts->reason);
	else
		transaction_fail(a->delivery, a->pending, a->count, hosts->status, NULL,
			hosts->reason);
	return true;
}

/* The next hop, and those of smtp_fallback_relay while somebody is left. */
static void
deliver_by_hops(struct attempt *a)
{
	const ph_strings *fallback = &a->settings->smtp_fallback_relay;
	bool defer = false;

	for (size_t i = 0; i <= fallback->count && !a->final && !all_done(a) && !ph_task_cancelled(); i++) {
		a->hop = i == 0 ? ph_delivery_nexthop(a->delivery) : fallback->items[i - 1];
		a->said = false;
		if (use_kept(a) || try_hop(a, i == fallback->count))
			defer = true;
	}
	if (defer)
		defer_rest(a);
	else if (!all_done(a))
		give_up(a);
}

static void
deliver(const struct smtp_settings *settings, ph_delivery *delivery)
{
	ph_pool *pool = ph_delivery_pool(delivery);
	struct attempt *a = ph_pool_alloc(pool, sizeof *a);

	if (a == NULL)
		return;
	a->settings = settings;
	a->delivery = delivery;
	a->count = ph_delivery_count(delivery);
	a->pending = ph_pool_array(pool, a->count, sizeof a->pending[0]);
	if (a->pending == NULL)
		return;
	for (size_t i = 0; i < a->count; i++)
		a->pending[i].index = i;
	deliver_by_hops(a);
}

static void
deliver_smtp(void *self, ph_delivery *delivery)
{
	const struct smtp_instance *instance = self;

	deliver(&instance->smtp, delivery);
}

static void
deliver_lmtp(void *self, ph_delivery *delivery)
{
	const struct smtp_instance *instance = self;

	deliver(&instance->lmtp, delivery);
}

static const struct ph_transport_ops transports[] = {
	{.size = sizeof transports[0], .flags = PH_TRANSPORT_PROBES, .deliver = deliver_smtp, .name = "smtp"},
	{.size = sizeof transports[0], .flags = PH_TRANSPORT_PROBES, .deliver = deliver_lmtp, .name = "lmtp"},
};

PH_MODULE(transport_smtp, "1.0", "delivers mail to other hosts by SMTP, to mailbox servers by LMTP",
	PH_INSTANCE(struct smtp_instance, params),
	PH_LIFE(.check = check, .check_entry = check_entry, .start = start, .stop = stop),
	PH_TRANSPORT_TABLE(transports));
