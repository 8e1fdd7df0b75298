/*
 * Does anybody have this address? Asked of the tables that rewrite addresses, of those that say
 * that mail to it goes nowhere, and of the table of its class.
 */
#include <posthouse/restriction.h>

#include <string.h>

#include "config/routes.h"
#include "ground/statuscode.h"
#include "session/destination.h"

struct question {
	ph_session *session;
	const char *address;
	bool sender;
	enum domain_class class;
};

/* The table of a class, and what is said of those who are not in it. */
static const struct class_table {
	enum domain_class class;
	size_t maps; /* in the settings */
	size_t code; /* in the policy */
	const char *name;
} tables[] = {
	{DOMAIN_LOCAL, offsetof(struct settings, local_recipient_maps),
		offsetof(struct policy_settings, unknown_local_recipient_reject_code),
		"local recipient table"},
	{DOMAIN_VIRTUAL_ALIAS, offsetof(struct settings, virtual_alias_maps),
		offsetof(struct policy_settings, unknown_virtual_alias_reject_code),
		"virtual alias table"},
	{DOMAIN_VIRTUAL_MAILBOX, offsetof(struct settings, virtual_mailbox_maps),
		offsetof(struct policy_settings, unknown_virtual_mailbox_reject_code),
		"virtual mailbox table"},
	{DOMAIN_RELAY, offsetof(struct settings, relay_recipient_maps),
		offsetof(struct policy_settings, unknown_relay_recipient_reject_code),
		"relay recipient table"},
};

static const struct class_table *
table_of(enum domain_class class)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (tables[i].class == class)
			return &tables[i];
	return NULL;
}

static const ph_map *
maps_of(const struct question *question, const struct class_table *table)
{
	const char *at = (const char *)question->session->settings + table->maps;

	return *(const ph_map *const *)(const void *)at;
}

/* ---- Refusals -------------------------------------------------------------------------------- */

static ph_verdict
later(const struct question *question)
{
	return ph_defer(question->session, 451, "4.3.0", "<%s>: Temporary lookup failure",
		question->address);
}

static ph_verdict
refuse(const struct question *question, int code, const char *status, const char *why)
{
	return ph_refuse(question->session, code, status, "<%s>: %s address rejected: %s",
		question->address, question->sender ? "Sender" : "Recipient", why);
}

static ph_verdict
unknown(const struct question *question, const struct class_table *table)
{
	const struct policy_settings *policy = question->session->policy;
	const char *at = (const char *)policy + table->code, *why = "User unknown";
	int64_t code = *(const int64_t *)(const void *)at;

	if (policy->show_user_unknown_table_name)
		why = ph_pool_printf(ph_scratch_pool(question->session), "User unknown in %s",
			table->name);
	return refuse(question, (int)code, question->sender ? "5.1.0" : "5.1.1",
		why != NULL ? why : "User unknown");
}

/* ---- Tables ---------------------------------------------------------------------------------- */

/* Does a table rewrite it? Then it is somebody's. */
static ph_found
is_rewritten(const struct question *question)
{
	const struct settings *settings = question->session->settings;
	const ph_map *const maps[] = {
		question->sender ? settings->sender_canonical_maps
			: settings->recipient_canonical_maps,
		settings->canonical_maps, settings->virtual_alias_maps};
	ph_found found = PH_NOT_FOUND;

	for (size_t i = 0; found == PH_NOT_FOUND && i < sizeof(maps) / sizeof(maps[0]); i++)
		if (!ph_map_is_empty(maps[i]))
			found = ph_map_find_address(question->session, maps[i], question->address,
				PH_ADDRESS_USER | PH_ADDRESS_DOMAIN, NULL);
	return found;
}

/* The names of users and aliases: without the domain, which is ours in one way or another; tables
 * of patterns are asked for them too. */
static ph_found
has_user(const struct question *question, const ph_map *map)
{
	const char *delimiters = question->session->settings->recipient_delimiter;
	ph_span local = ph_address_local_part(question->address);
	ph_span user = ph_address_user(question->address, delimiters);
	ph_pool *pool = ph_scratch_pool(question->session);
	const char *name = ph_pool_copy(pool, local);
	ph_found found = name == NULL ? PH_FAILED : ph_map_find(question->session, map, name, NULL);

	if (found != PH_NOT_FOUND || user.size == local.size)
		return found;
	name = ph_pool_copy(pool, user);
	return name == NULL ? PH_FAILED : ph_map_find(question->session, map, name, NULL);
}

static ph_found
is_listed(const struct question *question, const struct class_table *table)
{
	const ph_map *maps = maps_of(question, table);
	bool local = question->class == DOMAIN_LOCAL;
	ph_found found = local ? has_user(question, maps) : PH_NOT_FOUND;

	if (found != PH_NOT_FOUND || ph_address_domain(question->address)[0] == '\0')
		return found;
	return ph_map_find_address(question->session, maps, question->address,
		PH_ADDRESS_DOMAIN | (local ? 0 : PH_ADDRESS_USER), NULL);
}

/* ---- Nowhere to go --------------------------------------------------------------------------- */

static ph_verdict
ask_relocated(const struct question *question)
{
	ph_session *session = question->session;
	const ph_map *map = session->settings->relocated_maps;
	const char *value, *why;

	if (ph_map_is_empty(map))
		return PH_DUNNO;
	switch (ph_map_find_address(session, map, question->address,
		PH_ADDRESS_USER | PH_ADDRESS_DOMAIN, &value)) {
	case PH_NOT_FOUND:
		return PH_DUNNO;
	case PH_FAILED:
		return later(question);
	case PH_FOUND:
		break;
	}
	why = ph_pool_printf(ph_scratch_pool(session), "User has moved to %s", value);
	return refuse(question, 550, "5.1.6", why != NULL ? why : "User has moved");
}

/* "error:5.1.2 text", "retry:text" of transport_maps. */
static ph_verdict
ask_transport(const struct question *question)
{
	ph_session *session = question->session;
	ph_error error = {""};
	const char *domain = ph_address_domain(question->address);
	struct routes routes = {.settings = session->settings, .pool = ph_scratch_pool(session),
		.address = question->address,
		.domain = *domain != '\0' ? domain : session->settings->myhostname,
		.error = &error};
	ph_found found = routes_transport(&routes);
	char status[12] = "";
	bool retry;

	if (!ph_map_is_empty(session->settings->transport_maps))
		ph_explain(session, "transport_maps for %s: %s", question->address,
			found == PH_FOUND ? routes.value : found == PH_FAILED ? error.text
			: "nothing");
	if (found != PH_FOUND)
		return found == PH_FAILED ? later(question) : PH_DUNNO;
	retry = strncmp(routes.value, "retry:", 6) == 0;
	if (!retry && strncmp(routes.value, "error:", 6) != 0)
		return PH_DUNNO;
	routes.value += 6;
	routes.value += statuscode_read(routes.value, status, sizeof(status));
	return refuse(question, retry ? 450 : 550,
		status[0] != '\0' ? status : question->sender ? "5.1.0" : "5.1.1",
		*routes.value != '\0' ? routes.value : "Address is undeliverable");
}

/* ---- Asking ---------------------------------------------------------------------------------- */

/* Is there anything that could speak against it? */
static bool
is_open(const struct question *question, const struct class_table *table)
{
	const struct settings *settings = question->session->settings;

	return ph_map_is_empty(settings->relocated_maps) &&
		ph_map_is_empty(settings->transport_maps) &&
		(table == NULL || (table->class != DOMAIN_VIRTUAL_ALIAS &&
		ph_map_is_empty(maps_of(question,
			table))));
}

static ph_verdict
ask(const struct question *question)
{
	const struct class_table *table = table_of(question->class);
	ph_verdict verdict;
	ph_found found;

	if (is_open(question, table))
		return PH_DUNNO;
	if ((found = is_rewritten(question)) != PH_NOT_FOUND)
		return found == PH_FAILED ? later(question) : PH_DUNNO;
	if ((verdict = ask_transport(question)) != PH_DUNNO ||
		(verdict = ask_relocated(question)) != PH_DUNNO || table == NULL)
		return verdict;
	if (question->class == DOMAIN_VIRTUAL_ALIAS)
		return unknown(question, table);
	if (ph_map_is_empty(maps_of(question, table)))
		return PH_DUNNO;
	found = is_listed(question, table);
	if (found == PH_FAILED)
		return later(question);
	return found == PH_FOUND ? PH_DUNNO : unknown(question, table);
}

/* Mail that was asked about where it came in first. */
static bool
is_spared(ph_session *session)
{
	const ph_strings *options = &session->policy->receive_override_options;

	for (size_t i = 0; i < options->count; i++)
		if (ph_strcasecmp(options->items[i], "no_unknown_recipient_checks") == 0) {
			ph_explain(session, "receive_override_options: %s", options->items[i]);
			return true;
		}
	return false;
}

ph_verdict
ph_refuse_unlisted(ph_session *session, const char *address, bool sender)
{
	struct question question = {.session = session, .address = address, .sender = sender};

	if (address[0] == '\0' || is_spared(session) || destination_hides_a_route(session, address))
		return PH_DUNNO;
	question.class = destination_class(session, ph_address_domain(address));
	return question.class == DOMAIN_FAILED ? later(&question) : ask(&question);
}
