/*
 * The life of a session, and what modules may ask about it. The transaction is in transaction.c.
 */
#include "session/session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ground/loop.h"
#include "session/connection.h"
#include "session/interfaces.h"
#include "session/peername.h"
#include "session/rehearsal.h"
#include "session/run.h"
#include "session/trail_log.h"
#include "session/transcript.h"

enum {
	SESSION_POOL_LIMIT = 256 * 1024,
	SCRATCH_POOL_LIMIT = 1024 * 1024,
	MESSAGE_POOL_BASE = 256 * 1024,
	MESSAGE_POOL_PER_RECIPIENT = 512
};

static const char *const command_names[COMMAND_COUNT] = {
	[COMMAND_HELO] = "helo",
	[COMMAND_EHLO] = "ehlo",
	[COMMAND_LHLO] = "lhlo",
	[COMMAND_STARTTLS] = "starttls",
	[COMMAND_AUTH] = "auth",
	[COMMAND_MAIL] = "mail",
	[COMMAND_RCPT] = "rcpt",
	[COMMAND_DATA] = "data",
	[COMMAND_BDAT] = "bdat",
	[COMMAND_RSET] = "rset",
	[COMMAND_NOOP] = "noop",
	[COMMAND_VRFY] = "vrfy",
	[COMMAND_ETRN] = "etrn",
	[COMMAND_QUIT] = "quit",
	[COMMAND_UNKNOWN] = "unknown",
};

/* ---- Life ------------------------------------------------------------------------------------ */

/* The names of a client that is made up; what was not said of them is looked up. */
static void
imagine_names(ph_session *session, const struct rehearsal *rehearsal, struct peername *names)
{
	const char *name = rehearsal->client_name;
	const char *reverse = rehearsal->reverse_name != NULL ? rehearsal->reverse_name : name;
	ph_pool *pool = ph_scratch_pool(session);

	if (reverse == NULL) {
		peername_find(pool, &session->client, names);
		return;
	}
	if (strcmp(reverse, "unknown") == 0)
		return;
	*names = (struct peername){.reverse = reverse, .reverse_found = PH_FOUND};
	if (name == NULL)
		names->forward_found = peername_verify(pool, reverse, &session->client);
	else
		names->forward_found = strcmp(name, "unknown") == 0 ? PH_NOT_FOUND : PH_FOUND;
}

/* NULL without memory. */
static void
make_label(ph_session *session)
{
	char port[8] = "";

	if (session->policy->smtpd_client_port_logging)
		(void)snprintf(port, sizeof(port), ":%u", session->client.port);
	if (asprintf(&session->label, "%s[%s]%s", ph_client_name(session), session->client_text,
		    port) == -1)
		session->label = NULL;
}

/* Looks the client's names up, and makes the label under which the log knows it. */
static void
name_client(ph_session *session)
{
	struct peername names = {.reverse_found = PH_NOT_FOUND, .forward_found = PH_NOT_FOUND};
	const struct rehearsal *rehearsal = connection_rehearsal(session->connection);

	if (rehearsal != NULL && (rehearsal->client_name || rehearsal->reverse_name))
		imagine_names(session, rehearsal, &names);
	else if (session->policy->smtpd_peername_lookup)
		peername_find(ph_scratch_pool(session), &session->client, &names);
	session->reverse_status = names.reverse_found;
	session->client_status = names.forward_found;
	if (names.reverse_found == PH_FOUND &&
		(session->reverse_name = strdup(names.reverse)) == NULL)
		session->reverse_status = PH_FAILED;
	if (names.forward_found == PH_FOUND &&
		(session->client_name = strdup(names.reverse)) == NULL)
		session->client_status = PH_FAILED;
	ph_pool_free(session->scratch_pool);
	session->scratch_pool = NULL;
	make_label(session);
}

/* Who is told how the policy decides, if anybody. */
static void
set_trail(ph_session *session)
{
	const struct rehearsal *rehearsal = connection_rehearsal(session->connection);

	session->rehearsal = rehearsal != NULL;
	if (rehearsal == NULL) {
		trail_log_begin(session);
		return;
	}
	session->trail = rehearsal->trail;
	session->login = rehearsal->login;
	session->tls = rehearsal->tls;
	session->alone = rehearsal->alone;
}

ph_session *
ph_session_begin(void *self, ph_connection *connection)
{
	const struct instance *listener = instance_of(self);
	ph_session *session = calloc(1, sizeof(*session));

	if (session == NULL)
		return NULL;
	session->connection = connection;
	session->policy = listener->policy;
	session->settings = config_settings(config_current());
	session->queue = listener->policy->queue;
	session->client = *ph_connection_client(connection);
	ph_address_text(&session->client, session->client_text);
	session->protocol = "SMTP";
	set_trail(session);
	name_client(session);
	connection_attach(connection, session);
	ph_log(PH_LOG_INFO, "connect from %s", ph_client_label(session));
	trail_client(session);
	return session;
}

static void
log_disconnect(const ph_session *session)
{
	char text[480] = "";
	size_t size = 0;
	uint32_t accepted = 0, all = 0;

	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		const struct command_count *count = &session->counts[i];

		if (count->all == 0)
			continue;
		accepted += count->accepted;
		all += count->all;
		size += (size_t)snprintf(text + size, sizeof(text) - size, " %s=%u",
			command_names[i], count->accepted);
		if (count->all > count->accepted)
			size += (size_t)snprintf(text + size, sizeof(text) - size, "/%u",
				count->all);
	}
	size += (size_t)snprintf(text + size, sizeof(text) - size, " commands=%u", accepted);
	if (all > accepted)
		snprintf(text + size, sizeof(text) - size, "/%u", all);
	ph_log(PH_LOG_INFO, "disconnect from %s%s", ph_client_label(session), text);
}

void
ph_session_end(ph_session *session)
{
	ph_session_reset(session);
	transcript_send(session);
	log_disconnect(session);
	connection_attach(session->connection, NULL);
	ph_pool_free(session->pool);
	ph_pool_free(session->message_pool);
	ph_pool_free(session->scratch_pool);
	free(session->left_by_client);
	free(session->left_by_helo);
	free(session->left_by_sender);
	free(session->client_name);
	free(session->reverse_name);
	free(session->trail_log);
	transcript_free(session->transcript);
	free(session->label);
	free(session->helo);
	free(session);
}

int
ph_session_connect(ph_session *session, ph_reply *reply)
{
	return policy_check(session, POLICY_CONNECT, "CONNECT", reply);
}

/* The name counts while the restrictions judge it, and stays only if they accept it. */
int
ph_session_helo(ph_session *session, const char *name, const char *protocol, ph_reply *reply)
{
	bool plain = strcmp(protocol, "SMTP") == 0, lmtp = strcmp(protocol, "LMTP") == 0;
	char *helo = strdup(name), *old = session->helo;
	const char *old_protocol = session->protocol;

	if (helo == NULL)
		return session_refuse(reply, 421, "4.3.0", "Error: out of memory");
	session->helo = helo;
	session->protocol = plain ? "SMTP" : lmtp ? "LMTP" : "ESMTP";
	if (policy_check(session, POLICY_HELO, plain ? "HELO" : lmtp ? "LHLO" : "EHLO", reply) == -1) {
		session->helo = old;
		session->protocol = old_protocol;
		free(helo);
		return -1;
	}
	free(old);
	ph_session_reset(session);
	return 0;
}

void
ph_session_count(ph_session *session, const char *command, bool accepted)
{
	size_t i = 0;

	while (i < COMMAND_UNKNOWN && strcmp(command_names[i], command) != 0)
		i++;
	session->counts[i].all++;
	if (accepted)
		session->counts[i].accepted++;
}

void
ph_session_log_reject(ph_session *session, const char *command, const ph_reply *reply)
{
	policy_log(session, "reject", command, reply);
}

bool
ph_session_idle(ph_session *session, bool idle)
{
	bool in_hand = ph_session_in_transaction(session);

	connection_set_idle(session->connection, idle && !in_hand);
	return !idle || in_hand || !ph_connection_draining(session->connection);
}

void
ph_session_said(ph_session *session, bool client, ph_span line)
{
	transcript_add(session, client, line);
}

bool
ph_session_soft_bounce(const ph_session *session)
{
	return session->settings->soft_bounce;
}

int64_t
ph_session_size_limit(const ph_session *session)
{
	return session->settings->message_size_limit;
}

/* ---- What modules may ask -------------------------------------------------------------------- */

const char *
ph_client_label(const ph_session *session)
{
	return session->label != NULL ? session->label : session->client_text;
}

static const char *
text_of(const char *text)
{
	return text != NULL ? text : "";
}

const ph_address *
ph_client_address(const ph_session *session)
{
	return &session->client;
}

const char *
ph_client_address_text(const ph_session *session)
{
	return session->client_text;
}

const char *
ph_client_name(const ph_session *session)
{
	return session->client_name != NULL ? session->client_name : "unknown";
}

ph_found
ph_client_name_found(const ph_session *session)
{
	return session->client_status;
}

const char *
ph_client_reverse_name(const ph_session *session)
{
	return session->reverse_name != NULL ? session->reverse_name : "unknown";
}

ph_found
ph_client_reverse_name_found(const ph_session *session)
{
	return session->reverse_status;
}

/* It is verified where, and only where, it points back. */
ph_found
ph_client_forward_found(const ph_session *session)
{
	return session->client_status;
}

const ph_address *
ph_server_address(const ph_session *session)
{
	static const ph_address none;

	return session->connection != NULL ? ph_connection_server(session->connection) : &none;
}

const char *
ph_helo(const ph_session *session)
{
	return session->helo != NULL ? session->helo : "";
}

const char *
ph_protocol(const ph_session *session)
{
	return session->protocol;
}

bool
ph_has_sender(const ph_session *session)
{
	return session->sender != NULL;
}

const char *
ph_sender(const ph_session *session)
{
	return session->sender != NULL ? session->sender : "";
}

const char *
ph_sender_domain(const ph_session *session)
{
	return ph_address_domain(ph_sender(session));
}

const char *
ph_recipient(const ph_session *session)
{
	return session->recipient != NULL ? session->recipient : "";
}

const char *
ph_recipient_domain(const ph_session *session)
{
	return ph_address_domain(ph_recipient(session));
}

size_t
ph_recipient_count(const ph_session *session)
{
	return session->recipients;
}

const char *
ph_only_recipient(const ph_session *session)
{
	return text_of(session->only_recipient);
}

int64_t
ph_message_size(const ph_session *session)
{
	return session->content_size > 0 ? session->content_size : session->announced;
}

const char *
ph_queue_id(const ph_session *session)
{
	return session->queue_id != NULL ? session->queue_id : "";
}

const char *
ph_command(const ph_session *session)
{
	return session->run != NULL ? session->run->where : "";
}

const char *
ph_etrn_domain(const ph_session *session)
{
	return session->etrn_domain != NULL ? session->etrn_domain : "";
}

const char *
ph_envelope_id(const ph_session *session)
{
	return session->parameters != NULL ? text_of(session->parameters->envid) : "";
}

/* The process, the moment and a counter: no other transaction of this host has had it. */
const char *
ph_transaction_id(const ph_session *session)
{
	static unsigned counter;
	ph_session *own = (ph_session *)session;

	if (session->transaction_id[0] == '\0')
		snprintf(own->transaction_id, sizeof(own->transaction_id), "%x.%llx.%x",
			(unsigned)getpid(), (unsigned long long)ph_wall_clock(), counter++);
	return session->transaction_id;
}

const char *
ph_sasl_username(const ph_session *session)
{
	return text_of(session->login.username);
}

const char *
ph_sasl_method(const ph_session *session)
{
	return text_of(session->login.method);
}

const char *
ph_sasl_sender(const ph_session *session)
{
	return text_of(session->login.sender);
}

const char *
ph_tls_protocol(const ph_session *session)
{
	return text_of(session->tls.protocol);
}

const char *
ph_tls_cipher(const ph_session *session)
{
	return text_of(session->tls.cipher);
}

int
ph_tls_cipher_bits(const ph_session *session)
{
	return session->tls.cipher_bits;
}

const char *
ph_ccert_subject(const ph_session *session)
{
	return text_of(session->tls.subject);
}

const char *
ph_ccert_issuer(const ph_session *session)
{
	return text_of(session->tls.issuer);
}

const char *
ph_ccert_fingerprint(const ph_session *session)
{
	return text_of(session->tls.fingerprint);
}

const char *
ph_ccert_pubkey_fingerprint(const ph_session *session)
{
	return text_of(session->tls.pubkey_fingerprint);
}

bool
ph_ccert_trusted(const ph_session *session)
{
	return session->tls.trusted;
}

bool
ph_client_in_mynetworks(const ph_session *session)
{
	return ph_networks_match(session->settings->mynetworks, &session->client);
}

bool
ph_client_is_local_interface(const ph_session *session)
{
	return interfaces_have(&session->client);
}

bool
ph_is_own_address(const ph_session *session, const ph_address *address)
{
	return interfaces_have(address) || ph_address_equal(address, ph_server_address(session));
}

bool
ph_client_pipelined(const ph_session *session)
{
	const ph_stream *stream = ph_connection_stream(session->connection);

	return (session->in_data || strcmp(session->protocol, "SMTP") == 0) &&
		ph_stream_buffered(stream).size > 0;
}

/* ---- Memory and lookups ---------------------------------------------------------------------- */

static ph_pool *
pool_of(ph_pool **pool, size_t limit)
{
	if (*pool == NULL)
		*pool = ph_pool_new(limit);
	return *pool;
}

ph_pool *
ph_scratch_pool(ph_session *session)
{
	return pool_of(&session->scratch_pool, SCRATCH_POOL_LIMIT);
}

ph_pool *
ph_message_pool(ph_session *session)
{
	size_t recipients = (size_t)session->policy->smtpd_recipient_limit;

	return pool_of(&session->message_pool,
		MESSAGE_POOL_BASE + recipients * MESSAGE_POOL_PER_RECIPIENT);
}

ph_pool *
ph_session_pool(ph_session *session)
{
	return pool_of(&session->pool, SESSION_POOL_LIMIT);
}

void **
ph_session_slot(ph_session *session, const void *owner)
{
	struct session_slot *slot = session->slots;

	while (slot != NULL && slot->owner != owner)
		slot = slot->next;
	if (slot == NULL) {
		slot = ph_pool_alloc(ph_session_pool(session), sizeof(*slot));
		if (slot == NULL)
			return NULL;
		*slot = (struct session_slot){.owner = owner, .next = session->slots};
		session->slots = slot;
	}
	return &slot->value;
}

const ph_dns_answer *
ph_dns_lookup(ph_session *session, ph_dns_type type, const char *name)
{
	const ph_dns_answer *answer = ph_dns_query(ph_scratch_pool(session), type, name);

	if (session->alone && session->run != NULL)
		session->run->asked_others = true;
	trail_dns(session, type, name, answer);
	return answer;
}

/* What every lookup for a session does: the log, the trail. */
static ph_found
looked_up(ph_session *session, const ph_map *map, const char *key, const char *const *value,
	ph_found found, const ph_error *error)
{
	if (found == PH_FAILED && !session->rehearsal)
		ph_log(PH_LOG_WARNING, "lookup of %s failed: %s", key, error->text);
	trail_map(session, map, key, found,
		found == PH_FAILED ? error->text : value ? *value : NULL);
	return found;
}

ph_found
ph_map_find(ph_session *session, const ph_map *map, const char *key, const char **value)
{
	ph_error error = {""};
	ph_found found = ph_map_lookup(ph_scratch_pool(session), map, key, value, &error);

	return looked_up(session, map, key, value, found, &error);
}

ph_found
ph_map_find_fixed(ph_session *session, const ph_map *map, const char *key, const char **value)
{
	ph_error error = {""};
	ph_found found = ph_map_lookup_fixed(ph_scratch_pool(session), map, key, value, &error);

	return looked_up(session, map, key, value, found, &error);
}

ph_found
ph_map_find_address(ph_session *session, const ph_map *map, const char *address, unsigned flags,
	const char **value)
{
	ph_error error = {""};
	ph_found found = ph_map_lookup_address(ph_scratch_pool(session), map, address, flags, value,
		NULL, &error);

	return looked_up(session, map, address, value, found, &error);
}
