/*
 * Lists of restrictions, from their elements: "name", "name argument".
 */
#include "config/state.h"

#include <posthouse/restriction.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config/grow.h"
#include "config/nearest.h"
#include "config/value.h"

/* Words of the policy engine itself: nobody is asked for them. */
const struct ph_restriction rule_words[] = {
	{.name = "permit", .doc = "Permits whatever comes, as far as this list goes."},
	{.name = "reject", .doc = "Refuses whatever comes, with $reject_code."},
	{.name = "defer", .doc = "Refuses whatever comes for now, with $defer_code."},
	{.name = "defer_if_permit",
		.doc = "Goes on, but what a later restriction permits is refused for now."},
	{.name = "defer_if_reject",
		.doc = "Goes on, but what a later restriction of the list refuses is refused for now."},
	{.name = "warn_if_reject", .argument = PH_OPTIONAL_STRING,
		.example = "warn_if_reject reject_unknown_client_hostname",
		.doc = "Makes the next restriction only log what it would refuse."},
	{.name = "sleep", .argument = PH_ARGUMENT_STRING, .example = "sleep 1",
		.doc = "Waits that many seconds, and goes on; other sessions do not notice."},
};
const size_t rule_word_count = sizeof(rule_words) / sizeof(rule_words[0]);

/* What a bare table means in a list. */
static const struct table_check {
	const char *list, *restriction;
} table_checks[] = {
	{"smtpd_client_restrictions", "check_client_access"},
	{"smtpd_helo_restrictions", "check_helo_access"},
	{"smtpd_sender_restrictions", "check_sender_access"},
	{"smtpd_relay_restrictions", "check_recipient_access"},
	{"smtpd_recipient_restrictions", "check_recipient_access"},
	{"smtpd_etrn_restrictions", "check_etrn_access"},
};

/* What a table may answer: no more than has a place in the memory of one restriction, even when
 * answers lead to answers. */
enum { ANSWER_MAX = 2000, ANSWER_RULES_MAX = 64 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct ph_restriction *
find_word(const char *name)
{
	for (size_t i = 0; i < rule_word_count; i++)
		if (strcmp(rule_words[i].name, name) == 0)
			return &rule_words[i];
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
	return find_word(word) || find_restriction(config, word, NULL) ||
		(config && rule_class_find(config, word));
}

bool
rule_takes_argument(const struct config *config, const char *word)
{
	static const char *const prefixes[] = {"check_", "reject_rbl_client", "reject_rhsbl_",
		"permit_dnswl_client", "permit_rhswl_client"};
	const struct ph_restriction *own = find_word(word);
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

/* ---- One element ----------------------------------------------------------------------------- */

/* A list being made: of the configuration, or of what a table answered while running. */
struct making {
	struct config *config;
	ph_pool *pool;
	const struct fill *fill;       /* of the configuration */
	const struct ph_param *param;
	const struct text_item *item;
	ph_error *error;               /* while running: the first problem; else NULL */
	bool failed;
	struct ph_rule *items;
	size_t count, room;
};

static void problem(struct making *making, const char *format, ...) PH_PRINTF(2, 3);

static void
problem(struct making *making, const char *format, ...)
{
	va_list arguments;
	char text[600];

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (!making->error)
		fill_problem(making->fill, making->param, making->item, "%s", text);
	else if (!making->failed)
		ph_error_set(making->error, "%s", text);
	making->failed = true;
}

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

/* The nearest spelling among all that is known. */
static struct nearest
nearest_rule(const struct config *config, const char *name)
{
	struct nearest nearest = nearest_to(name);

	for (size_t i = 0; i < rule_word_count; i++)
		nearest_try(&nearest, rule_words[i].name);
	for (size_t i = 0; i < config->instance_count[PH_CLASS_RESTRICTION]; i++) {
		const struct module *module =
			instance_module(config->instances[PH_CLASS_RESTRICTION][i]);

		for (size_t j = 0; j < module->descriptor.operation_count; j++)
			nearest_try(&nearest, in_module(module, j)->name);
	}
	for (size_t i = 0; i < config->rule_class_count; i++)
		nearest_try(&nearest, config->rule_classes[i].param.name);
	return nearest;
}

static void
unknown(struct making *making, const char *name)
{
	struct nearest nearest = nearest_rule(making->config, name);
	const char *provider = making->error ? NULL : find_provider(making->config, name);
	char hint[160];

	if (provider) {
		problem(making, "%s: no such restriction is loaded; load(%s) provides it", name,
			provider);
		return;
	}
	nearest_hint(&nearest, hint, sizeof(hint));
	/* It may be in the module that is missing, which was reported. */
	if (!hint[0])
		snprintf(hint, sizeof(hint), "; no installed module provides it");
	if (nearest_result(&nearest) || !making->config->load_failed)
		problem(making, "%s: no such restriction%s", name, hint);
}

/* Is the argument what the restriction takes? example: how it is used; NULL: none is known. 0 or
 * -1. */
static int
check_argument(struct making *making, enum ph_argument kind, const char *name, const char *example,
	const char *argument)
{
	const char *first;
	ph_span rest = ph_span_of(argument);

	if (kind == PH_NO_ARGUMENT && argument[0]) {
		if (value_next_word(&rest, making->pool, &first) &&
			rule_is_known(making->config, first))
			problem(making, "\"%s %s\": two restrictions in one element; a comma goes between them",
				name, argument);
		else
			problem(making, "%s takes no argument, but \"%s\" follows", name, argument);
		return -1;
	}
	if ((kind == PH_ARGUMENT_STRING || kind == PH_ARGUMENT_MAP) && !argument[0]) {
		const char *what = kind == PH_ARGUMENT_MAP ? "a table" : "an argument";

		if (example != NULL)
			problem(making, "%s needs %s, as in '%s'", name, what, example);
		else
			problem(making, "%s needs %s: '%s %s'", name, what, name,
				kind == PH_ARGUMENT_MAP ? "type:path" : "ARGUMENT");
		return -1;
	}
	return 0;
}

static const char *
file_of(const struct making *making)
{
	if (making->item && making->item->file)
		return making->item->file;
	return making->fill ? making->fill->file : NULL;
}

static int
line_of(const struct making *making)
{
	if (making->item && making->item->file)
		return making->item->line;
	return making->fill ? making->fill->line : 0;
}

static struct ph_rule *
new_rule(struct making *making, const char *name, const char *argument)
{
	making->items = grow(making->pool, making->items, making->count, &making->room,
		sizeof(*making->items));
	making->items[making->count] = (struct ph_rule){.name = name, .argument = argument,
		.file = file_of(making), .line = line_of(making)};
	return &making->items[making->count++];
}

static void
add_word(struct making *making, const struct ph_restriction *word, const char *argument)
{
	int64_t wait = 0;
	ph_error error;

	if (check_argument(making, (enum ph_argument)word->argument, word->name, word->example,
		    argument) != 0)
		return;
	if (strcmp(word->name, "sleep") == 0 &&
		value_time(ph_span_of(argument), 0, 3600000, &wait, &error) != 0) {
		problem(making, "sleep: %s", error.text);
		return;
	}
	new_rule(making, word->name, argument)->number = (wait + 999) / 1000;
}

static void
add_class(struct making *making, struct rule_class *class, const char *argument)
{
	const ph_rules *rules;
	ph_error error = {""};

	if (check_argument(making, PH_NO_ARGUMENT, class->param.name, NULL, argument) != 0)
		return;
	rules = rule_class_rules(making->config, class, &error);
	if (rules)
		new_rule(making, class->param.name, "")->rules = rules;
	else
		problem(making, "%s", error.text);
}

/* The table of an argument. While running nothing is opened any more: it must be in use already. */
static const ph_map *
argument_map(struct making *making, const char *name, const char *argument)
{
	struct config *config = making->config;
	struct instance *instance = NULL;
	ph_error error = {""};

	if (!making->error) {
		instance = map_for(making->fill, making->item, argument, &error);
		if (!instance)
			problem(making, "%s: %s", name, error.text);
		return instance ? map_make(config->pool, &instance, 1, NULL) : NULL;
	}
	argument = map_without_proxy(config, argument);
	for (size_t i = 0; i < config->instance_count[PH_CLASS_MAP]; i++)
		if (strcmp(config->instances[PH_CLASS_MAP][i]->name, argument) == 0)
			instance = config->instances[PH_CLASS_MAP][i];
	if (!instance || !instance->opened) {
		problem(making, "%s %s: the table is not open; name it in a class of "
			"smtpd_restriction_classes, and the class here", name, argument);
		return NULL;
	}
	return map_make(making->pool, &instance, 1, NULL);
}

/* 0 or -1. */
static int
prepare(struct making *making, const struct ph_restriction *restriction, struct ph_rule *rule)
{
	const void *self = rule->instance ? rule->instance->self : NULL;
	ph_error error = {"is not what it takes"};

	if (!restriction->prepare || restriction->prepare(self, making->pool, rule->argument,
		&rule->prepared, &error) == 0)
		return 0;
	problem(making, "%s %s: %s", rule->name, rule->argument, error.text);
	return -1;
}

static void
warn_of_old_name(struct making *making, const struct ph_restriction *restriction)
{
	if (restriction->instead && !making->error)
		problems_warn(making->config->problems, file_of(making), line_of(making),
			"%s: %s was given up; write %s", making->param->name, restriction->name,
			restriction->instead);
}

static void
add_restriction(struct making *making, const struct ph_restriction *restriction,
	const struct instance *instance, const char *name, const char *argument)
{
	const ph_map *map = NULL;
	struct ph_rule *rule;

	if (check_argument(making, (enum ph_argument)restriction->argument, name,
		    restriction->example, argument) != 0)
		return;
	warn_of_old_name(making, restriction);
	if (restriction->argument == PH_ARGUMENT_MAP &&
		!(map = argument_map(making, name, argument)))
		return;
	rule = new_rule(making, name, argument);
	rule->restriction = restriction;
	rule->instance = instance;
	rule->map = map ? map : map_make(making->pool, NULL, 0, NULL);
	if (prepare(making, restriction, rule) != 0)
		making->count--;
}

static const char *
table_check(const struct ph_param *param)
{
	for (size_t i = 0; param && i < COUNT(table_checks); i++)
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
		name ? find_restriction(making->config, name, &instance) : NULL;

	if (!name)
		problem(making, "%s: say what is looked up in the table, for example "
			"'check_client_access %s'", table, table);
	else if (!restriction)
		unknown(making, name);
	else
		add_restriction(making, restriction, instance, name, table);
}

/* "type:path"; in braces, "inline:{ a = b }", there may be blanks. */
static bool
is_table(const char *name, const char *argument)
{
	const char *colon = strchr(name, ':');

	return colon && (!argument[0] || colon[1] == '{');
}

static void
add_element(struct making *making, const char *text)
{
	ph_pool *pool = making->pool;
	size_t size = strcspn(text, " \t\r\n");
	const char *name = memory_or_die(ph_pool_copy(pool, (ph_span){text, size}));
	const char *argument =
		memory_or_die(ph_pool_copy(pool, value_trim(ph_span_of(text + size))));
	const struct ph_restriction *word = find_word(name);
	struct rule_class *class = rule_class_find(making->config, name);
	const struct instance *instance = NULL;
	const struct ph_restriction *restriction =
		find_restriction(making->config, name, &instance);

	if (word && strcmp(name, "warn_if_reject") == 0) {
		add_word(making, word, "");
		if (argument[0])
			add_element(making, argument);
	} else if (word) {
		add_word(making, word, argument);
	} else if (class) {
		add_class(making, class, argument);
	} else if (is_table(name, argument)) {
		add_table(making, memory_or_die(ph_pool_copy(pool, value_trim(ph_span_of(text)))));
	} else if (restriction) {
		add_restriction(making, restriction, instance, name, argument);
	} else {
		unknown(making, name);
	}
}

/* ---- Lists ----------------------------------------------------------------------------------- */

const ph_rules *
rules_make(const struct fill *fill, const struct ph_param *param, const struct text_item *items,
	size_t count)
{
	struct making making =
		{.config = fill->config, .pool = fill->config->pool, .fill = fill, .param = param};
	ph_rules *rules = memory_or_die(ph_pool_alloc(fill->config->pool, sizeof(*rules)));

	for (size_t i = 0; i < count; i++) {
		making.item = &items[i];
		add_element(&making, items[i].text);
	}
	*rules = (ph_rules){.count = making.count, .items = making.items};
	return rules;
}

/* The next restriction of "name, name argument name": a name takes the word behind it when it has
 * an argument. false: none is left. */
static bool
next_element(struct making *making, ph_span *rest, const char **element)
{
	const char *name, *argument;

	if (!value_next_word(rest, making->pool, &name))
		return false;
	*element = name;
	if (rule_takes_argument(making->config, name) &&
		value_next_word(rest, making->pool, &argument))
		*element = memory_or_die(ph_pool_printf(making->pool, "%s %s", name, argument));
	return true;
}

const ph_rules *
rules_parse(const struct config *config, ph_pool *pool, const char *text, ph_error *error)
{
	struct making making = {.config = (struct config *)config, .pool = pool, .error = error};
	ph_rules *rules = memory_or_die(ph_pool_alloc(pool, sizeof(*rules)));
	ph_span rest = ph_span_of(text);
	const char *element;

	if (rest.size > ANSWER_MAX)
		problem(&making, "the answer is too long: %zu bytes", rest.size);
	for (size_t i = 0; !making.failed && next_element(&making, &rest, &element); i++) {
		if (i == ANSWER_RULES_MAX)
			problem(&making, "the answer names more than %d restrictions",
				ANSWER_RULES_MAX);
		else
			add_element(&making, element);
	}
	*rules = (ph_rules){.count = making.count, .items = making.items};
	return making.failed ? NULL : rules;
}
