#include "queue/client.h"
#include "queue/verify_client.h"
#include "queue/verify_client.h"
#include "session/run.h"
#include "session_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <posthouse/queue.h>

#include "config/mapaddress.h"
#include "config/match.h"
#include "ground/logger.h"

struct world world;

struct ph_networks {
	const char *const *items;
};
struct ph_match_list {
	const char *const *items;
};
struct ph_dns_answer {
	const struct world_record *record;
	size_t count;
	const char *reason;
	char data[256];
};
struct config {
	int unused;
};

static const struct ph_networks mynetworks = {world.mynetworks};
static const struct ph_networks explained = {world.explained};
static const struct ph_match_list mydestination = {world.mydestination};
static const struct ph_match_list relay_domains = {world.relay_domains};
static const struct ph_queue_ops queue_ops = {.size = sizeof(queue_ops)};

/* ---- The test's side -------------------------------------------------------------------------- */

static void
capture(const char *component, ph_log_level level, const char *line, void *context)
{
	size_t size = strlen(world.log);

	snprintf(world.log + size, sizeof(world.log) - size, "%s\n", line);
}

void
world_reset(void)
{
	memset(&world, 0, sizeof(world));
	world.settings.mynetworks = &mynetworks;
	world.settings.mydestination = &mydestination;
	world.settings.relay_domains = &relay_domains;
	world.settings.fast_flush_domains = &relay_domains;
	world.policy.smtpd_delay_reject = true;
	world.policy.smtpd_relay_before_recipient_restrictions = true;
	world.policy.smtpd_recipient_limit = 1000;
	world.policy.reject_code = 554;
	world.policy.defer_code = 450;
	world.policy.access_map_reject_code = 554;
	world.policy.access_map_defer_code = 450;
	world.policy.queue = "";
	world.policy.smtpd_explain_clients = &explained;
	world.queue.ops = &queue_ops;
	world.listener.name = "smtp";
	world.listener.policy = &world.policy;
	logger_capture(capture, NULL);
}

ph_session *
world_session(const char *address)
{
	ph_session *session = calloc(1, sizeof(*session));

	if (session == NULL || ph_address_parse(ph_span_of(address), &session->client) == -1)
		abort();
	session->policy = &world.policy;
	session->settings = &world.settings;
	session->queue = "";
	session->protocol = "SMTP";
	ph_address_text(&session->client, session->client_text);
	if (asprintf(&session->label, "unknown[%s]", session->client_text) == -1)
		abort();
	return session;
}

void
world_name_client(ph_session *session, const char *name)
{
	free(session->client_name);
	free(session->label);
	session->client_name = strdup(name);
	if (session->client_name == NULL ||
		asprintf(&session->label, "%s[%s]", name, session->client_text) == -1)
		abort();
}

void
world_end(ph_session *session)
{
	ph_session_end(session);
	logger_capture(NULL, NULL);
}

static const struct ph_restriction *
find_restriction(const struct ph_module *module, const char *name)
{
	const struct ph_restriction *restrictions = module->operations;

	for (size_t i = 0; i < module->operation_count; i++)
		if (strcmp(restrictions[i].name, name) == 0)
			return &restrictions[i];
	abort();
}

/* Asks it as the engine does; an event of RCPT is being judged. */
static ph_verdict
ask(const struct ph_module *module, const void *self, ph_rule *rule, ph_session *session,
	ph_reply *reply)
{
	struct instance instance = {.self = (void *)self, .module = module, .name = module->name};
	struct run run = {.session = session, .where = "RCPT", .list = LIST_RECIPIENT, .reply = reply,
		.depth = 1, .asking = 1};
	ph_pool *pool = ph_pool_new(0);
	ph_error error = {""};
	ph_verdict verdict;

	memset(reply, 0, sizeof(*reply));
	rule->instance = &instance;
	if (rule->restriction->prepare != NULL &&
		rule->restriction->prepare(self, pool, rule->argument, &rule->prepared, &error) != 0)
		abort();
	session->run = &run;
	session->verdict = reply;
	verdict = rule->restriction->check(rule, session);
	session->verdict = NULL;
	session->run = NULL;
	free(run.permit);
	free(run.reject);
	ph_pool_free(pool);
	return verdict;
}

ph_verdict
world_ask(const struct ph_module *module, const void *self, const char *name, ph_session *session,
	ph_reply *reply)
{
	return world_ask_argument(module, self, name, "", session, reply);
}

ph_verdict
world_ask_argument(const struct ph_module *module, const void *self, const char *name,
	const char *argument, ph_session *session, ph_reply *reply)
{
	ph_rule rule = {.name = name, .argument = argument, .restriction = find_restriction(module, name)};

	return ask(module, self, &rule, session, reply);
}

ph_verdict
world_ask_map(const struct ph_module *module, const void *self, const char *name, const ph_map *map,
	ph_session *session, ph_reply *reply)
{
	ph_rule rule = {.name = name, .argument = map->name, .map = map,
		.restriction = find_restriction(module, name)};

	return ask(module, self, &rule, session, reply);
}

/* ---- Configuration ---------------------------------------------------------------------------- */

const struct config *
config_current(void)
{
	static const struct config current;

	return &current;
}

const struct settings *
config_settings(const struct config *config)
{
	return &world.settings;
}

struct instance *
config_queue(const struct config *config, const char *name)
{
	return &world.queue;
}

struct instance *
instance_of(const void *self)
{
	return &world.listener;
}

const ph_rules *
rules_parse(const struct config *config, ph_pool *pool, const char *text, ph_error *error)
{
	if (world.answer == NULL)
		ph_error_set(error, "%s: no such restriction", text);
	return world.answer;
}

ph_found
verify_client_ask(ph_pool *pool, const char *address, int64_t patience, enum verify_status *status,
	char *text)
{
	snprintf(world.verify_asked, sizeof(world.verify_asked), "%s", address);
	world.verify_patience = patience;
	*status = world.verify_status;
	snprintf(text, VERIFY_TEXT_MAX + 1, "%s", world.verify_text == NULL ? "" : world.verify_text);
	return world.verified;
}

int
queue_client_sweep(const char *domain)
{
	snprintf(world.swept, sizeof(world.swept), "%s", domain);
	return world.queue_is_away ? -1 : 0;
}

const char *
ph_map_name(const ph_map *map)
{
	return map != NULL ? map->name : "";
}

const char *
ph_global(const char *name)
{
	return strcmp(name, "myhostname") == 0 ? "mail.example.com" : "";
}

bool
ph_networks_match(const ph_networks *networks, const ph_address *address)
{
	for (size_t i = 0; networks != NULL && networks->items[i] != NULL; i++) {
		ph_address one;

		if (ph_address_parse(ph_span_of(networks->items[i]), &one) == 0 &&
			ph_address_equal(&one, address))
			return true;
	}
	return false;
}

ph_found
ph_match(const ph_match_list *list, const char *name, ph_error *error)
{
	if (world.tables_fail) {
		ph_error_set(error, "the table is away");
		return PH_FAILED;
	}
	for (size_t i = 0; list->items[i] != NULL; i++)
		if (ph_strcasecmp(list->items[i], name) == 0)
			return PH_FOUND;
	return PH_NOT_FOUND;
}

ph_found
match_with_parents(const ph_match_list *list, const char *name, ph_error *error)
{
	return ph_match(list, name, error);
}

static ph_found
look_up(ph_pool *pool, const ph_map *map, const char *key, const char **value, ph_error *error)
{
	if (map == NULL)
		return PH_NOT_FOUND;
	if (map->fails) {
		ph_error_set(error, "%s: is away", map->name);
		return PH_FAILED;
	}
	for (const char *const *entry = map->entries; entry != NULL && *entry != NULL; entry += 2) {
		if (ph_strcasecmp(entry[0], key) != 0)
			continue;
		if (value != NULL)
			*value = ph_pool_strdup(pool, entry[1]);
		return PH_FOUND;
	}
	return PH_NOT_FOUND;
}

ph_found
ph_map_lookup(ph_pool *pool, const ph_map *map, const char *key, const char **value, ph_error *error)
{
	return look_up(pool, map, key, value, error);
}

ph_found
ph_map_lookup_fixed(ph_pool *pool, const ph_map *map, const char *key, const char **value,
	ph_error *error)
{
	return map != NULL && map->patterns ? PH_NOT_FOUND : look_up(pool, map, key, value, error);
}

ph_found
map_lookup_address(ph_pool *pool, const struct settings *settings, const ph_map *map,
	const char *address, unsigned flags, const char **value, const char **extension, ph_error *error)
{
	const char *user = ph_pool_copy(pool, ph_address_local_part(address));
	const char *domain = strchr(address, '@');
	ph_found found = ph_map_lookup(pool, map, address, value, error);

	if (found == PH_NOT_FOUND && (flags & PH_ADDRESS_USER) != 0)
		found = ph_map_lookup_fixed(pool, map, user, value, error);
	if (found == PH_NOT_FOUND && domain != NULL && (flags & PH_ADDRESS_DOMAIN) != 0)
		found = ph_map_lookup_fixed(pool, map, domain, value, error);
	return found;
}

ph_found
ph_map_lookup_address(ph_pool *pool, const ph_map *map, const char *address, unsigned flags,
	const char **value, const char **extension, ph_error *error)
{
	return map_lookup_address(pool, &world.settings, map, address, flags, value, extension, error);
}

bool
ph_map_is_empty(const ph_map *map)
{
	return map == NULL || map->entries == NULL;
}

/* ---- DNS -------------------------------------------------------------------------------------- */

/* false: the task was cancelled. */
static bool
wait_for_answer(void)
{
	bool answered = true;

	world.dns_asked++;
	if (++world.dns_waiting > world.dns_most)
		world.dns_most = world.dns_waiting;
	for (unsigned i = 0; i < world.dns_rounds && answered; i++)
		answered = ph_yield() == PH_WAIT_OK;
	world.dns_waiting--;
	return answered;
}

const ph_dns_answer *
ph_dns_query(ph_pool *pool, ph_dns_type type, const char *name)
{
	static const struct world_record none = {.result = PH_DNS_NXDOMAIN};
	static const struct world_record cancelled = {.result = PH_DNS_TEMPFAIL};
	ph_dns_answer *answer = ph_pool_alloc(pool, sizeof(*answer));

	answer->record = &cancelled;
	if (!wait_for_answer())
		return answer;
	answer->record = &none;
	for (size_t i = 0; i < world.dns_count; i++)
		if (ph_strcasecmp(world.dns[i].name, name) == 0) {
			static const struct world_record nodata = {.result = PH_DNS_NODATA};

			if (answer->record == &none)
				answer->record = &nodata;
			if (world.dns[i].type == type)
				answer->record = &world.dns[i];
		}
	while (answer->count < 4 && answer->record->records[answer->count] != NULL)
		answer->count++;
	return answer;
}

const ph_dns_answer *
ph_dns_reverse(ph_pool *pool, const ph_address *address)
{
	char text[PH_ADDRESS_TEXT];

	return ph_dns_query(pool, PH_DNS_PTR, ph_address_text(address, text));
}

const char *
ph_dns_reason(const ph_dns_answer *answer)
{
	return "no answer";
}

unsigned
ph_dns_preference(const ph_dns_answer *answer, size_t index)
{
	return 10;
}

ph_dns_result
ph_dns_status(const ph_dns_answer *answer)
{
	return answer->record->result;
}

size_t
ph_dns_count(const ph_dns_answer *answer)
{
	return answer->count;
}

const char *
ph_dns_name(const ph_dns_answer *answer, size_t index)
{
	return index < answer->count ? answer->record->records[index] : "";
}

ph_address
ph_dns_address(const ph_dns_answer *answer, size_t index)
{
	ph_address address = {0};

	if (index < answer->count)
		(void)ph_address_parse(ph_span_of(answer->record->records[index]), &address);
	return address;
}

/* A record as one string of a TXT record. */
ph_span
ph_dns_data(const ph_dns_answer *answer, size_t index)
{
	const char *text = ph_dns_name(answer, index);
	char *data = (char *)answer->data;

	data[0] = (char)snprintf(data + 1, sizeof(answer->data) - 1, "%s", text);
	return (ph_span){data, 1 + strlen(data + 1)};
}
