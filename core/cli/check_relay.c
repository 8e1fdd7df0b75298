/*
 * Listeners that relay for strangers, found by rehearsing sessions of one: the listener, the lists,
 * the restrictions and the tables are the real ones, and nobody else is asked. What needs the DNS
 * or another server has no opinion then: a stranger may be one whom it lets pass. A session that is
 * accepted all the same, to the end of its message, is told with what accepted it.
 */
#include "cli/check.h"

#include <stdio.h>
#include <string.h>

#include <posthouse/listener.h>
#include <posthouse/map.h>

#include "cli/explain.h"
#include "config/domainclass.h"
#include "config/grow.h"
#include "ground/loop.h"
#include "process/endpoints.h"
#include "process/owner.h"
#include "session/interfaces.h"
#include "session/result.h"

/* Of one table so many entries are read, and of those that permit so many are tried. */
enum { ENTRIES_READ = 1000000, ENTRIES_TRIED = 20 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What one session says, and the entry of a table that it was made for. */
struct attempt {
	const char *helo, *sender, *reverse_name;
	const char *table, *key, *value, *what; /* NULL: none; what it is an entry for */
};

struct relay_check {
	const struct config *config;
	struct problems *problems;
	ph_pool *pool;
	const struct instance *listener; /* that is being tried */
	const char *sender_domain, *recipient_domain;
	ph_address client, server;
	struct attempt *attempts;
	size_t count, room;
	const struct forgeable *kind;    /* of the table that is being read */
	const char *table;
	size_t tried, read;
};

/* ---- Who tries ------------------------------------------------------------------------------- */

/* An address of nobody's (RFC 5737) outside of mynetworks; with all of them within, the
 * first. */
static ph_address
choose_client(const struct config *config)
{
	static const char *const texts[] = {"192.0.2.1", "198.51.100.1", "203.0.113.1"};
	ph_address address = {0};

	for (size_t i = 0; i < COUNT(texts); i++)
		if (ph_address_parse(ph_span_of(texts[i]), &address) == 0 &&
			!ph_networks_match(config_settings(config)->mynetworks, &address))
			return address;
	ph_address_parse(ph_span_of(texts[0]), &address);
	return address;
}

/* Domains of nobody's (RFC 2606) that are none of ours; with all of them ours, the first. May
 * wait. */
static void
choose_domains(struct relay_check *check)
{
	static const char *const names[] = {"example.com", "example.net", "example.org",
		"stranger.example", "elsewhere.example"};
	const char *found[2] = {NULL, NULL};
	size_t count = 0;
	ph_error error;

	for (size_t i = 0; i < COUNT(names) && count < 2; i++)
		if (domain_class(config_settings(check->config), names[i], &error) == DOMAIN_FOREIGN)
			found[count++] = names[i];
	check->sender_domain = found[0] ? found[0] : names[0];
	check->recipient_domain = found[1] ? found[1] : found[0] ? found[0] : names[1];
}

/* ---- Entries that anyone can claim ----------------------------------------------------------- */

static const char *
as_sender(struct relay_check *check, ph_span key)
{
	const char *text = memory_or_die(ph_pool_copy(check->pool, key));
	const char *at = strchr(text, '@');

	if (strcmp(text, "<>") == 0)
		return "";
	if (at && at[1])
		return text;
	if (at)
		return memory_or_die(ph_pool_printf(check->pool, "%s%s", text,
			check->sender_domain));
	return memory_or_die(ph_pool_printf(check->pool, "a@%s%s", text[0] == '.' ? "a" : "",
		text));
}

static const char *
as_name(struct relay_check *check, ph_span key)
{
	return memory_or_die(ph_pool_printf(check->pool, "%s%.*s",
		key.size && key.data[0] == '.' ? "a" : "", (int)key.size, key.data));
}

static void
claim_sender(struct relay_check *check, struct attempt *attempt, ph_span key)
{
	attempt->sender = as_sender(check, key);
}

static void
claim_helo(struct relay_check *check, struct attempt *attempt, ph_span key)
{
	attempt->helo = as_name(check, key);
}

static void
claim_reverse_name(struct relay_check *check, struct attempt *attempt, ph_span key)
{
	attempt->reverse_name = as_name(check, key);
}

static const char helo_name[] = "name in HELO";

/* Tables of what a client says of itself. */
static const struct forgeable {
	const char *restriction, *what;
	void (*claim)(struct relay_check *check, struct attempt *attempt, ph_span key);
} forgeables[] = {
	{"check_helo_access", helo_name, claim_helo},
	{"check_reverse_client_hostname_access", "unverified name", claim_reverse_name},
	{"check_sender_access", "sender", claim_sender},
};

static struct attempt *
add_attempt(struct relay_check *check)
{
	check->attempts = grow(check->pool, check->attempts, check->count, &check->room,
		sizeof(*check->attempts));
	check->attempts[check->count] = (struct attempt){.helo =
		memory_or_die(ph_pool_printf(check->pool, "mail.%s", check->sender_domain)),
		.sender = memory_or_die(ph_pool_printf(check->pool, "a@%s", check->sender_domain))};
	return &check->attempts[check->count++];
}

/* A key that is no name and no address cannot be said in a session. */
static bool
can_be_said(ph_span key)
{
	for (size_t i = 0; i < key.size; i++)
		if (key.data[i] <= ' ' || key.data[i] >= 0x7f || strchr("<>\"\\", key.data[i]))
			return ph_span_equal_nocase(key, ph_span_of("<>"));
	return key.size > 0;
}

static int
take_entry(void *context, ph_span key, ph_span value)
{
	struct relay_check *check = context;
	enum result_kind kind = result_kind(value);
	struct attempt *attempt;

	if ((kind == RESULT_PERMITS || kind == RESULT_NAMES) && can_be_said(key)) {
		attempt = add_attempt(check);
		check->kind->claim(check, attempt, key);
		attempt->table = check->table;
		attempt->what = check->kind->what;
		attempt->key = memory_or_die(ph_pool_copy(check->pool, key));
		attempt->value = memory_or_die(ph_pool_copy(check->pool, value));
		check->tried++;
	}
	return check->tried == ENTRIES_TRIED || ++check->read == ENTRIES_READ;
}

static void
read_table(struct relay_check *check, const struct ph_rule *rule)
{
	const char *name = map_without_proxy(check->config, rule->argument);
	const struct instance *map = config_find(check->config, PH_CLASS_MAP, name);
	const struct ph_map_ops *ops = map ? map->ops : NULL;
	ph_error error;

	if (!ops || !ops->each || !map->opened || (ops->flags & PH_MAP_PATTERNS))
		return;
	check->table = map->name;
	check->tried = check->read = 0;
	(void)ops->each(map->self, take_entry, check, &error);
}

static void
read_tables(struct relay_check *check, const ph_rules *rules)
{
	for (size_t i = 0; rules && i < rules->count; i++) {
		const struct ph_rule *rule = &rules->items[i];

		if (rule->rules)
			read_tables(check, rule->rules);
		for (size_t j = 0; j < COUNT(forgeables) && rule->restriction; j++)
			if (strcmp(forgeables[j].restriction, rule->name) == 0) {
				check->kind = &forgeables[j];
				read_table(check, rule);
			}
	}
}

/* ---- One session ----------------------------------------------------------------------------- */

static void
no_show(void *context, const struct exchange *exchange)
{
}

/* Was its message accepted? */
static bool
play(struct relay_check *check, const struct attempt *attempt, struct story *story)
{
	const char *recipient =
		memory_or_die(ph_pool_printf(check->pool, "b@%s", check->recipient_domain));
	struct script script = {.helo = attempt->helo, .sender = attempt->sender, .size = -1,
		.recipients = {1, &recipient}, .data = true};
	struct rehearsal *rehearsal = &script.rehearsal;
	ph_error error;

	*rehearsal = (struct rehearsal){.listener = check->listener, .client = check->client,
		.server = check->server, .client_name = attempt->helo, .alone = true,
		.trail = &story->trail};
	if (attempt->reverse_name) {
		rehearsal->client_name = "unknown";
		rehearsal->reverse_name = attempt->reverse_name;
	}
	story_begin(story, check->pool);
	if (script_play(&script, story, no_show, NULL, &error) == -1)
		return false;
	return strcmp(story->now->verb, "END-OF-MESSAGE") == 0 && story->now->accepted;
}

/* ---- What accepted it ------------------------------------------------------------------------ */

/* The rule that would have refused a stranger, in a list or the classes in it; NULL: there is
 * none. */
static const struct ph_rule *
find_refuser(const ph_rules *rules, size_t first)
{
	const struct ph_rule *found = NULL;

	for (size_t i = first; i < rules->count && !found; i++) {
		const struct ph_rule *rule = &rules->items[i];

		if (i > 0 && policy_is_warning(&rules->items[i - 1]))
			continue;
		if (rule->rules)
			found = find_refuser(rule->rules, 0);
		else if (rule->restriction ? (rule->restriction->stage & PH_REFUSES_STRANGERS) != 0
			: strcmp(rule->name, "reject") == 0 || strcmp(rule->name, "defer") == 0)
			found = rule;
	}
	return found;
}

/* The restriction that permitted, the innermost that stands in a file. */
static const struct step *
find_permit(const struct steps *steps)
{
	const struct step *found = NULL;

	for (const struct step *step = steps->first; step; step = step->next) {
		const struct step *inner = find_permit(&step->steps);

		if (inner)
			found = inner;
		else if (step->kind == STEP_RULE && step->judged && step->verdict == PH_PERMIT &&
			step->file)
			found = step;
	}
	return found;
}

struct cause {
	const struct step *permit;
	const struct ph_rule *refuser; /* that was not asked, or that had no objection */
};

static struct cause
find_cause(const struct story *story)
{
	struct cause cause = {NULL, NULL};

	for (const struct exchange *e = story->exchanges; e; e = e->next)
		for (const struct story_list *list = e->lists; list && strcmp(e->verb, "RCPT") == 0;
			list = list->next) {
			const struct ph_rule *unasked = find_refuser(list->rules, list->asked);
			const struct step *permit = find_permit(&list->steps);

			if (strcmp(list->name, "smtpd_relay_restrictions") != 0 &&
				strcmp(list->name, "smtpd_recipient_restrictions") != 0)
				continue;
			if (permit && (!cause.permit || (unasked && !cause.refuser)))
				cause = (struct cause){permit, unasked};
		}
	return cause;
}

/* ---- Telling --------------------------------------------------------------------------------- */

/* "client 192.0.2.1, MAIL FROM:<a@example.com>, RCPT TO:<b@example.net>" */
static const char *
session_text(const struct relay_check *check, const struct attempt *attempt)
{
	char client[PH_ADDRESS_TEXT];
	const char *name = attempt->reverse_name
		? memory_or_die(ph_pool_printf(check->pool, " that calls itself %s",
		attempt->reverse_name)) : "";
	const char *helo = attempt->what == helo_name
		? memory_or_die(ph_pool_printf(check->pool, ", EHLO %s", attempt->helo)) : "";

	return memory_or_die(ph_pool_printf(check->pool,
		"client %s%s%s, MAIL FROM:<%s>, RCPT TO:<b@%s>",
		ph_address_text(&check->client, client), name, helo, attempt->sender,
		check->recipient_domain));
}

/* What to do about it. */
static const char *
advice(struct relay_check *check, const struct attempt *attempt, const struct cause *cause)
{
	const struct settings *settings = config_settings(check->config);

	if (cause->permit && strcmp(cause->permit->text, "permit_mynetworks") == 0 &&
		ph_networks_match(settings->mynetworks, &check->client))
		return "; mynetworks has that client: name only networks that are yours";
	if (cause->permit && attempt->key)
		return memory_or_die(ph_pool_printf(check->pool,
			", where %s has \"%s %s\": anyone can claim "
			"that %s; put reject_unauth_destination in front of it", attempt->table,
			attempt->key, attempt->value, attempt->what));
	return cause->permit ? "; put reject_unauth_destination in front of it" : "";
}

static void
tell_permit(struct relay_check *check, const struct attempt *attempt, const struct cause *cause)
{
	const struct step *permit = cause->permit;
	char text[POLICY_RULE_TEXT];

	snprintf(text, sizeof(text), "%.60s%s%.120s", permit->text, permit->argument[0] ? " " : "",
		permit->argument);
	problems_add(check->problems, permit->file, permit->line,
		"listener %s is an open relay: %s: accepted by %s%s", check->listener->name,
		session_text(check, attempt), text, advice(check, attempt, cause));
}

/* What would refuse strangers takes the domain for one of ours. */
static void
tell_domain(struct relay_check *check, const struct attempt *attempt)
{
	ph_error error;
	const char *parameter = domain_class_parameter(
		domain_class(config_settings(check->config), check->recipient_domain, &error));
	const struct setting *setting = setting_find(&check->config->set, parameter);

	if (setting)
		problems_add(check->problems, setting->file, setting->line,
			"listener %s is an open relay: %s: accepted, as %s has every domain; name those that "
			"are yours", check->listener->name, session_text(check, attempt), parameter);
	else
		problems_add(check->problems, check->listener->file, check->listener->line,
			"listener %s is an open relay: %s: accepted, as no restriction refuses it; put "
			"reject_unauth_destination into smtpd_relay_restrictions", check->listener->name,
			session_text(check, attempt));
}

/* Was the table of this attempt told of already? */
static bool
is_told(const struct attempt *attempt, const struct attempt *const *told, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (attempt->table && told[i]->table && strcmp(attempt->table, told[i]->table) == 0)
			return true;
	return false;
}

static void
tell(struct relay_check *check, const struct attempt *attempt, const struct story *story)
{
	struct cause cause = find_cause(story);

	if (cause.permit && cause.refuser)
		tell_permit(check, attempt, &cause);
	else
		tell_domain(check, attempt);
}

/* A session that is relayed without any table tells it all; else each table is told of once. */
static void
try_listener(struct relay_check *check)
{
	const struct policy_settings *policy = check->listener->policy;
	struct story *story = memory_or_die(ph_pool_alloc(check->pool, sizeof(*story)));
	const struct attempt **told;
	size_t count = 0;

	check->attempts = NULL;
	check->count = check->room = 0;
	add_attempt(check);
	read_tables(check, policy->smtpd_relay_restrictions);
	read_tables(check, policy->smtpd_recipient_restrictions);
	told = memory_or_die(ph_pool_array(check->pool, check->count, sizeof(*told)));
	for (size_t i = 0; i < check->count; i++) {
		const struct attempt *attempt = &check->attempts[i];

		if (is_told(attempt, told, count) || !play(check, attempt, story))
			continue;
		tell(check, attempt, story);
		if (i == 0)
			return;
		told[count++] = attempt;
	}
}

/* ---- permit_mx_backup ------------------------------------------------------------------------ */

static void
find_backup(void *context, const struct policy_list *list)
{
	struct problems *problems = context;

	for (size_t i = 0; i < list->rules->count; i++) {
		const struct ph_rule *rule = &list->rules->items[i];

		if (strcmp(rule->name, "permit_mx_backup") == 0)
			problems_warn(problems, rule->file, rule->line,
				"%s: permit_mx_backup relays for whoever names this host in the MX record of a "
				"domain; set permit_mx_backup_networks to the networks of those that you are a "
				"backup for", list->name);
	}
}

static void
check_backup(const struct config *config, struct problems *problems)
{
	const char *networks = config_value(config, "permit_mx_backup_networks", true);

	if (networks && !networks[0])
		policy_each(config, find_backup, problems);
}

/* ---- Beginning and end ----------------------------------------------------------------------- */

static bool
asks_policy(const struct instance *listener)
{
	return (((const struct ph_listener_ops *)listener->ops)->flags & PH_LISTENER_SMTP) != 0;
}

static void
rehearse(void *argument)
{
	struct relay_check *check = argument;
	static const enum ph_class order[] = {PH_CLASS_MAP, PH_CLASS_RESTRICTION,
		PH_CLASS_LISTENER};
	struct instance *instance;
	ph_error error;

	for (size_t c = 0; c < COUNT(order); c++)
		for (size_t i = 0; (instance = config_instance(check->config, order[c], i)); i++)
			if (instance->opened)
				(void)instance_start(instance, &error);
	choose_domains(check);
	for (size_t i = 0; (instance = config_instance(check->config, PH_CLASS_LISTENER, i)); i++) {
		check->listener = instance;
		if (asks_policy(instance) && instance->started)
			try_listener(check);
	}
	loop_stop();
}

/* What cannot be opened was told of; its lookups fail, so that it permits nobody. */
static void
open_all(const struct config *config)
{
	struct instance *instance;
	ph_error error;

	for (size_t i = 0; (instance = config_instance(config, PH_CLASS_MAP, i)); i++)
		(void)instance_open(instance, &error);
	for (size_t i = 0; (instance = config_instance(config, PH_CLASS_RESTRICTION, i)); i++)
		(void)instance_open(instance, &error);
	for (size_t i = 0; (instance = config_instance(config, PH_CLASS_LISTENER, i)); i++)
		if (asks_policy(instance))
			(void)instance_open(instance, &error);
}

static void
learn_addresses(struct relay_check *check)
{
	struct ph_endpoints endpoints;
	ph_error error;

	endpoints_collect(&endpoints, check->pool, check->config, NULL);
	for (size_t i = 0; i < endpoints.count; i++)
		if (!endpoints.items[i].is_unix) {
			check->server = endpoints.items[i].address;
			(void)interfaces_add(&check->server, &error);
		}
}

void
check_relay(const struct config *config, struct problems *problems)
{
	struct relay_check check = {.config = config, .problems = problems, .pool = ph_pool_new(0),
		.client = choose_client(config)};
	struct owner owner;
	ph_error error;

	check_backup(config, problems);
	if (!check.pool || owner_find(config_settings(config)->mail_owner, &owner, &error) == -1) {
		ph_pool_free(check.pool);
		return;
	}
	config_set_current(config);
	open_all(config);
	learn_addresses(&check);
	if (owner_become(&owner, &error) == 0 && loop_open(&error) == 0 &&
		ph_task_alive(ph_task_spawn("check", rehearse, &check)))
		loop_run();
	ph_pool_free(check.pool);
}
