/*
 * Lists of restrictions, from their elements: "name", "name argument".
 */
#include "config/state.h"

#include <posthouse/restriction.h>

#include <string.h>

#include "config/grow.h"
#include "config/nearest.h"
#include "config/value.h"

/* Words of the policy engine itself, and what may follow them. */
static const struct word {
	const char *name;
	enum ph_argument argument;
} words[] = {
	{"permit", PH_NO_ARGUMENT},
	{"reject", PH_NO_ARGUMENT},
	{"defer", PH_NO_ARGUMENT},
	{"defer_if_permit", PH_NO_ARGUMENT},
	{"defer_if_reject", PH_NO_ARGUMENT},
	{"warn_if_reject", PH_OPTIONAL_STRING},
	{"sleep", PH_ARGUMENT_STRING},
};

/* Names that were given up long ago, and are still found in configurations. */
static const struct old_name {
	const char *old, *current;
} old_names[] = {
	{"reject_invalid_hostname", "reject_invalid_helo_hostname"},
	{"reject_non_fqdn_hostname", "reject_non_fqdn_helo_hostname"},
	{"reject_unknown_client", "reject_unknown_client_hostname"},
	{"reject_unknown_hostname", "reject_unknown_helo_hostname"},
};

/* What a bare table means in a list. */
static const struct table_check {
	const char *list, *restriction;
} table_checks[] = {
	{"smtpd_client_restrictions", "check_client_access"},
	{"smtpd_helo_restrictions", "check_helo_access"},
	{"smtpd_sender_restrictions", "check_sender_access"},
	{"smtpd_relay_restrictions", "check_recipient_access"},
	{"smtpd_recipient_restrictions", "check_recipient_access"},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct word *
find_word(const char *name)
{
	for (size_t i = 0; i < COUNT(words); i++)
		if (strcmp(words[i].name, name) == 0)
			return &words[i];
	return NULL;
}

static const struct ph_restriction *
in_module(const struct module *module, size_t i)
{
	return (const struct ph_restriction *)module->descriptor.operations + i;
}

/* Among the loaded ones; instance may be NULL. */
static const struct ph_restriction *
find_restriction(const struct config *config, const char *name, const struct instance **instance)
{
	for (size_t i = 0; config && i < config->instance_count[PH_CLASS_RESTRICTION]; i++) {
		const struct instance *candidate = config->instances[PH_CLASS_RESTRICTION][i];
		const struct module *module = instance_module(candidate);

		for (size_t j = 0; j < module->descriptor.operation_count; j++) {
			if (strcmp(in_module(module, j)->name, name) != 0)
				continue;
			if (instance)
				*instance = candidate;
			return in_module(module, j);
		}
	}
	return NULL;
}

bool
rule_is_known(const struct config *config, const char *word)
{
	return find_word(word) || find_restriction(config, word, NULL);
}

bool
rule_takes_argument(const struct config *config, const char *word)
{
	static const char *const prefixes[] = {"check_", "reject_rbl_client", "reject_rhsbl_",
		"permit_dnswl_client", "permit_rhswl_client"};
	const struct word *own = find_word(word);
	const struct ph_restriction *restriction = find_restriction(config, word, NULL);

	if (own)
		return own->argument == PH_ARGUMENT_STRING;
	if (restriction)
		return restriction->argument != PH_NO_ARGUMENT;
	for (size_t i = 0; i < COUNT(prefixes); i++)
		if (strncmp(word, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

/* ---- One element -------------------------------------------------------------------------------- */

struct making {
	const struct fill *fill;
	const struct ph_param *param;
	const struct text_item *item;
	struct ph_rule *items;
	size_t count, room;
};

/* The installed module that would provide it. */
static const char *
find_provider(struct config *config, const char *name)
{
	ph_strings names = loader_list(config->pool, config->settings.module_directory);
	ph_error error;

	for (size_t i = 0; i < names.count; i++) {
		const struct module *module;

		if (strncmp(names.items[i], "restriction_", 12) != 0)
			continue;
		module = loader_load(config->settings.module_directory, names.items[i], 0, &error);
		for (size_t j = 0; module && j < module->descriptor.operation_count; j++)
			if (strcmp(in_module(module, j)->name, name) == 0)
				return names.items[i];
	}
	return NULL;
}

static void
unknown(struct making *making, const char *name)
{
	struct config *config = making->fill->config;
	struct nearest nearest = nearest_to(name);
	const char *provider = find_provider(config, name);
	char hint[160];

	if (provider) {
		fill_problem(making->fill, making->param, making->item,
			"%s: no such restriction is loaded; load(%s) provides it", name, provider);
		return;
	}
	for (size_t i = 0; i < COUNT(words); i++)
		nearest_try(&nearest, words[i].name);
	for (size_t i = 0; i < config->instance_count[PH_CLASS_RESTRICTION]; i++) {
		const struct module *module = instance_module(config->instances[PH_CLASS_RESTRICTION][i]);

		for (size_t j = 0; j < module->descriptor.operation_count; j++)
			nearest_try(&nearest, in_module(module, j)->name);
	}
	nearest_hint(&nearest, hint, sizeof(hint));
	/* It may be in the module that is missing, which was reported. */
	if (!hint[0])
		snprintf(hint, sizeof(hint), "; no installed module provides it");
	if (nearest_result(&nearest) || !config->load_failed)
		fill_problem(making->fill, making->param, making->item, "%s: no such restriction%s", name,
			hint);
}

/* Is the argument what the restriction takes? 0 or -1. */
static int
check_argument(struct making *making, enum ph_argument kind, const char *name, const char *argument)
{
	struct config *config = making->fill->config;
	const char *first;
	ph_span rest = ph_span_of(argument);

	if (kind == PH_NO_ARGUMENT && argument[0]) {
		if (value_next_word(&rest, config->pool, &first) && rule_is_known(config, first))
			fill_problem(making->fill, making->param, making->item,
				"\"%s %s\": two restrictions in one element; a comma goes between them", name,
				argument);
		else
			fill_problem(making->fill, making->param, making->item,
				"%s takes no argument, but \"%s\" follows", name, argument);
		return -1;
	}
	if ((kind == PH_ARGUMENT_STRING || kind == PH_ARGUMENT_MAP) && !argument[0]) {
		fill_problem(making->fill, making->param, making->item, "%s needs %s: '%s %s'", name,
			kind == PH_ARGUMENT_MAP ? "a table" : "an argument", name,
			kind == PH_ARGUMENT_MAP ? "type:path" : "ARGUMENT");
		return -1;
	}
	return 0;
}

static struct ph_rule *
new_rule(struct making *making, const char *name, const char *argument)
{
	const struct text_item *item = making->item;

	making->items = grow(making->fill->config->pool, making->items, making->count, &making->room,
		sizeof(*making->items));
	making->items[making->count] = (struct ph_rule){.name = name, .argument = argument,
		.file = item->file ? item->file : making->fill->file,
		.line = item->file ? item->line : making->fill->line};
	return &making->items[making->count++];
}

static void
add_word(struct making *making, const struct word *word, const char *argument)
{
	int64_t wait = 0;
	ph_error error;

	if (check_argument(making, word->argument, word->name, argument) != 0)
		return;
	if (strcmp(word->name, "sleep") == 0 &&
		value_time(ph_span_of(argument), 0, 3600000, &wait, &error) != 0) {
		fill_problem(making->fill, making->param, making->item, "sleep: %s", error.text);
		return;
	}
	new_rule(making, word->name, argument)->number = (wait + 999) / 1000;
}

static void
add_restriction(struct making *making, const struct ph_restriction *restriction,
	const struct instance *instance, const char *name, const char *argument)
{
	struct config *config = making->fill->config;
	struct instance *map = NULL;
	struct ph_rule *rule;
	ph_error error;

	if (check_argument(making, (enum ph_argument)restriction->argument, name, argument) != 0)
		return;
	if (restriction->argument == PH_ARGUMENT_MAP) {
		map = map_instance(config, argument, making->item->file ? making->item->file
			: making->fill->file, making->item->line, &error);
		if (!map) {
			fill_problem(making->fill, making->param, making->item, "%s: %s", name, error.text);
			return;
		}
	}
	rule = new_rule(making, name, argument);
	rule->restriction = restriction;
	rule->instance = instance;
	rule->map = map_make(config, &map, map ? 1 : 0);
}

/* The current name of an old one, with a warning. */
static const char *
current_name(struct making *making, const char *name)
{
	for (size_t i = 0; i < COUNT(old_names); i++) {
		if (strcmp(old_names[i].old, name) != 0)
			continue;
		problems_warn(making->fill->config->problems, making->item->file, making->item->line,
			"%s: %s is now called %s", making->param->name, name, old_names[i].current);
		return old_names[i].current;
	}
	return name;
}

static const char *
table_check(const struct ph_param *param)
{
	for (size_t i = 0; i < COUNT(table_checks); i++)
		if (strcmp(table_checks[i].list, param->name) == 0)
			return table_checks[i].restriction;
	return NULL;
}

static void
add_table(struct making *making, const char *table)
{
	const char *name = table_check(making->param);
	const struct instance *instance = NULL;
	const struct ph_restriction *restriction =
		name ? find_restriction(making->fill->config, name, &instance) : NULL;

	if (!name)
		fill_problem(making->fill, making->param, making->item,
			"%s: say what is looked up in the table, for example 'check_client_access %s'", table,
			table);
	else if (!restriction)
		unknown(making, name);
	else
		add_restriction(making, restriction, instance, name, table);
}

static void
add_element(struct making *making, const char *text)
{
	ph_pool *pool = making->fill->config->pool;
	size_t size = strcspn(text, " \t\r\n");
	const char *name = memory_or_die(ph_pool_copy(pool, (ph_span){text, size}));
	const char *argument =
		memory_or_die(ph_pool_copy(pool, value_trim(ph_span_of(text + size))));
	const struct word *word = find_word(name);
	const struct instance *instance = NULL;
	const struct ph_restriction *restriction;

	if (word && strcmp(name, "warn_if_reject") == 0) {
		add_word(making, word, "");
		if (argument[0])
			add_element(making, argument);
		return;
	}
	if (word) {
		add_word(making, word, argument);
		return;
	}
	if (strchr(name, ':') && !argument[0]) {
		add_table(making, name);
		return;
	}
	name = current_name(making, name);
	restriction = find_restriction(making->fill->config, name, &instance);
	if (restriction)
		add_restriction(making, restriction, instance, name, argument);
	else
		unknown(making, name);
}

const ph_rules *
rules_make(const struct fill *fill, const struct ph_param *param, const struct text_item *items,
	size_t count)
{
	struct making making = {.fill = fill, .param = param};
	ph_rules *rules = memory_or_die(ph_pool_alloc(fill->config->pool, sizeof(*rules)));

	for (size_t i = 0; i < count; i++) {
		making.item = &items[i];
		add_element(&making, items[i].text);
	}
	*rules = (ph_rules){.count = making.count, .items = making.items};
	return rules;
}
