#include "session/usage.h"

#include <string.h>
#include <sys/socket.h>

#include <posthouse/log.h>

#include "session/connection.h"

enum { USER_LIMIT = 100 /* connections of a user of this host */ };

/* What is counted within a session: its limit, and what is said of too many. */
static const struct event {
	size_t limit; /* the offset of its parameter */
	const char *excess, *too_much;
} events[RATE_EVENTS] = {
	[RATE_MESSAGE] = {offsetof(struct policy_settings, smtpd_client_message_rate_limit),
		"Message delivery request rate limit exceeded", "too much mail"},
	[RATE_RECIPIENT] = {offsetof(struct policy_settings, smtpd_client_recipient_rate_limit),
		"Recipient address rate limit exceeded", "too many recipients"},
};

static int64_t
unit(void)
{
	return config_settings(config_current())->anvil_rate_time_unit;
}

static bool
is_limited(const struct policy_settings *policy)
{
	return policy->smtpd_client_connection_count_limit > 0 ||
		policy->smtpd_client_connection_rate_limit > 0 ||
		policy->smtpd_client_message_rate_limit > 0 ||
		policy->smtpd_client_recipient_rate_limit > 0;
}

/* The rate counts connections that are refused for their number too. */
void
usage_begin(struct usage *usage, const struct instance *listener, const ph_address *address)
{
	const struct policy_settings *policy = listener->policy;
	int64_t most = policy->smtpd_client_connection_count_limit;
	int64_t rate = policy->smtpd_client_connection_rate_limit;
	int64_t prefix = address->family == AF_INET ? policy->smtpd_client_ipv4_prefix_length
						     : policy->smtpd_client_ipv6_prefix_length;
	unsigned total, recent;

	if (!is_limited(policy) ||
		ph_networks_match(policy->smtpd_client_event_limit_exceptions, address))
		return;
	usage->client = limits_client(listener->name, address, (unsigned)prefix);
	total = limits_enter(usage->client, most);
	usage->connected = total > 0;
	recent = limits_count(usage->client, RATE_CONNECTION, rate, unit());
	if (most > 0 && (int64_t)total > most) {
		usage->excess = "Connection concurrency limit exceeded";
		usage->count = total;
	} else if (rate > 0 && (int64_t)recent > rate) {
		usage->excess = "Connection rate limit exceeded";
		usage->count = recent;
	}
}

/* Counted as an address that holds the uid. */
void
usage_begin_user(struct usage *usage, const struct instance *listener, uint32_t uid)
{
	ph_address address = {.family = AF_UNIX};
	unsigned total;

	if (uid == 0)
		return;
	memcpy(address.bytes, &uid, sizeof(uid));
	usage->client = limits_client(listener->name, &address, sizeof(address.bytes) * 8);
	total = limits_enter(usage->client, USER_LIMIT);
	usage->connected = total > 0;
	if (total > USER_LIMIT) {
		usage->excess = "Connection concurrency limit exceeded";
		usage->count = total;
	}
}

void
usage_end(struct usage *usage)
{
	if (usage->connected)
		limits_leave(usage->client);
	usage->connected = false;
}

static void
log_excess(const char *excess, unsigned count, const struct instance *listener, const char *who)
{
	ph_log(PH_LOG_WARNING, "%s: %u from %s for service %s", excess, count, who, listener->name);
}

void
usage_log(const struct usage *usage, const struct instance *listener, const char *who)
{
	if (usage->excess != NULL)
		log_excess(usage->excess, usage->count, listener, who);
}

int
usage_count(const ph_session *session, enum rate_event event, ph_reply *reply)
{
	const struct event *known = &events[event];
	const struct usage *usage = connection_usage(session->connection);
	int64_t limit = 0;
	uint32_t count;

	if (usage == NULL || known->excess == NULL)
		return 0;
	memcpy(&limit, (const char *)session->policy + known->limit, sizeof(limit));
	count = limits_count(usage->client, event, limit, unit());
	if ((int64_t)count <= limit || limit <= 0)
		return 0;
	log_excess(known->excess, count, connection_listener(session->connection),
		ph_client_label(session));
	return session_refuse(reply, 450, "4.7.1", "Error: %s from %s", known->too_much,
		session->client_text);
}
