/*
 * What is set, or defined, and used by nothing. Only what is certain: where a table or a server
 * that cannot be read might still use it, nothing is said.
 */
#include "cli/check.h"

#include <string.h>

#include <posthouse/listener.h>
#include <posthouse/map.h>

#include "config/expand.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- Who may use it -------------------------------------------------------------------------- */

/* Does "$name" stand in a value or in a default? */
static bool
set_refers(const struct settings_set *set, const char *name)
{
	for (size_t i = 0; i < set->count; i++)
		for (size_t j = 0; j < set->items[i].count; j++)
			if (expand_refers(set->items[i].items[j].text, name))
				return true;
	return false;
}

static bool
is_referred(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->section_count; i++)
		if (set_refers(&config->sections[i]->set, name))
			return true;
	for (size_t i = 0; i < config->parameter_count; i++) {
		const char *text = config->parameters[i].param->default_value;

		if (text && expand_refers(text, name))
			return true;
	}
	return set_refers(&config->set, name);
}

/* Is a value that word, or "word:…"? */
static bool
set_names(const struct settings_set *set, const char *word)
{
	size_t size = strlen(word);

	for (size_t i = 0; i < set->count; i++)
		for (size_t j = 0; j < set->items[i].count; j++) {
			const char *text = set->items[i].items[j].text;

			if (strcmp(set->items[i].name, "module") != 0 &&
				strncmp(text, word, size) == 0 &&
				(!text[size] || text[size] == ':'))
				return true;
		}
	return false;
}

static bool
is_named(const struct config *config, const char *word)
{
	for (size_t i = 0; i < config->section_count; i++)
		if (set_names(&config->sections[i]->set, word))
			return true;
	for (size_t i = 0; i < config->parameter_count; i++) {
		const char *text = config->parameters[i].param->default_value;

		if (text && strcmp(text, word) == 0)
			return true;
	}
	return set_names(&config->set, word);
}

/* ---- Tables that may name it ----------------------------------------------------------------- */

static int
has_word(void *context, ph_span key, ph_span value)
{
	const char *word = context;

	return memmem(value.data, value.size, word, strlen(word)) != NULL;
}

/* Of one that cannot be listed what it answers is not known, unless it stands in its name. */
static bool
table_may_name(struct instance *map, const char *word)
{
	const struct ph_map_ops *ops = map->ops;
	bool opened = map->opened, result;
	ph_error error;

	if (strcmp(ops->type, "static") == 0)
		return strstr(map->name, word) != NULL;
	if (!ops->each)
		return strcmp(ops->type, "unix") != 0 && strcmp(ops->type, "fail") != 0;
	if (!opened && instance_open(map, &error) != 0)
		return true;
	result = ops->each(map->self, has_word, (void *)word, &error) != 0;
	if (!opened)
		instance_close(map);
	return result;
}

/* May a table, or a server, answer with it? */
static bool
may_be_answered(const struct config *config, const char *word)
{
	struct instance *map;

	for (size_t i = 0; (map = config_instance(config, PH_CLASS_MAP, i)); i++)
		if (table_may_name(map, word))
			return true;
	return false;
}

/* ---- Lists of restrictions ------------------------------------------------------------------- */

/* What is looked for in all lists. */
struct search {
	const char *name;              /* of a rule; or NULL */
	const struct module *module;   /* of a rule; or NULL */
	bool others;                   /* any that another server answers */
	bool found;
};

static void
search_rules(struct search *search, const ph_rules *rules)
{
	for (size_t i = 0; rules && i < rules->count && !search->found; i++) {
		const struct ph_rule *rule = &rules->items[i];

		if (search->name)
			search->found = strcmp(rule->name, search->name) == 0;
		else if (search->module)
			search->found = rule->instance &&
				instance_module(rule->instance) == search->module;
		else
			search->found = rule->restriction &&
				(rule->restriction->stage & PH_ASKS_OTHERS) &&
				rule->restriction->argument == PH_ARGUMENT_STRING;
	}
}

static void
search_list(void *context, const struct policy_list *list)
{
	search_rules(context, list->rules);
}

static bool
stands_in_a_list(const struct config *config, struct search search)
{
	policy_each(config, search_list, &search);
	return search.found;
}

static void
check_classes(const struct config *config, struct problems *problems)
{
	for (size_t i = 0; i < config->rule_class_count; i++) {
		const struct rule_class *class = &config->rule_classes[i];
		const char *name = class->param.name;
		const struct setting *setting = setting_find(&config->set, name);

		if (!setting || stands_in_a_list(config, (struct search){.name = name}) ||
			stands_in_a_list(config, (struct search){.others = true}) ||
			may_be_answered(config, name))
			continue;
		problems_warn(problems, setting->file, setting->line,
			"%s: no list has this class, and no table answers with it: it is never asked; put it "
			"into a list, or delete it here and in smtpd_restriction_classes", name);
	}
}

/* ---- Parameters of restrictions -------------------------------------------------------------- */

static bool
is_asked(const struct config *config, const struct module *module)
{
	const struct ph_restriction *restrictions = module->descriptor.operations;

	if (stands_in_a_list(config, (struct search){.module = module}))
		return true;
	for (size_t i = 0; i < module->descriptor.operation_count; i++)
		if (may_be_answered(config, restrictions[i].name))
			return true;
	return false;
}

/* Does nobody ask the modules whose parameter it is? One that is anybody else's is used. */
static bool
is_idle(const struct config *config, const struct parameter *parameter)
{
	const struct parameter *end = config->parameters + config->parameter_count;
	const char *name = parameter->param->name;

	for (; parameter < end && strcmp(parameter->param->name, name) == 0; parameter++)
		if (!parameter->owner || parameter->owner->class->number != PH_CLASS_RESTRICTION ||
			is_asked(config, parameter->owner))
			return false;
	return true;
}

static void
check_idle(const struct config *config, struct problems *problems)
{
	for (size_t i = 0; i < config->set.count; i++) {
		const struct setting *setting = &config->set.items[i];
		const struct parameter *parameter = parameter_find(config, setting->name);

		if (!parameter || !parameter->owner || !is_idle(config, parameter) ||
			is_referred(config, setting->name) ||
			stands_in_a_list(config, (struct search){.others = true}))
			continue;
		problems_warn(problems, setting->file, setting->line,
			"%s: no list has a restriction of %s, whose parameter this is: it does nothing; put "
			"the restriction that you mean into a list, or delete this", setting->name,
			parameter->owner->name);
	}
}

/* ---- Parameters that need another ------------------------------------------------------------ */

static const struct {
	const char *name, *needed;
} needs[] = {
	{"canonical_classes", "canonical_maps"},
	{"empty_address_default_transport_maps_lookup_key", "sender_dependent_default_transport_maps"},
	{"empty_address_relayhost_maps_lookup_key", "sender_dependent_relayhost_maps"},
	{"masquerade_classes", "masquerade_domains"},
	{"masquerade_exceptions", "masquerade_domains"},
	{"recipient_canonical_classes", "recipient_canonical_maps"},
	{"relay_recipient_maps", "relay_domains"},
	{"relay_transport", "relay_domains"},
	{"sender_canonical_classes", "sender_canonical_maps"},
	{"smtpd_etrn_restrictions", "fast_flush_domains"},
	{"virtual_mailbox_maps", "virtual_mailbox_domains"},
	{"virtual_transport", "virtual_mailbox_domains"},
};

static void
check_needs(const struct config *config, struct problems *problems)
{
	for (size_t i = 0; i < COUNT(needs); i++) {
		const struct setting *setting = setting_find(&config->set, needs[i].name);
		const char *needed = config_value(config, needs[i].needed, true);

		if (!setting || !setting->count || !setting->items[0].text[0] || !needed ||
			needed[0] || is_referred(config, needs[i].name))
			continue;
		problems_warn(problems, setting->file, setting->line,
			"%s: does nothing, as %s is empty; set that, or delete this", needs[i].name,
			needs[i].needed);
	}
}

/* ---- Who hears of nothing -------------------------------------------------------------------- */

static bool
notifies(const struct settings *settings, const char *const *classes)
{
	for (size_t i = 0; i < settings->notify_classes.count; i++)
		for (size_t k = 0; classes[k] != NULL; k++)
			if (ph_strcasecmp(settings->notify_classes.items[i], classes[k]) == 0)
				return true;
	return false;
}

static void
check_notices(const struct config *config, struct problems *problems)
{
	static const struct {
		const char *name, *needed;
		const char *classes[5];
	} notices[] = {
		{"2bounce_notice_recipient", "2bounce", {"2bounce"}},
		{"bounce_notice_recipient", "bounce", {"bounce"}},
		{"delay_notice_recipient", "delay", {"delay"}},
		{"error_notice_recipient", "policy, protocol, resource or software",
			{"policy", "protocol", "resource", "software"}},
	};

	for (size_t i = 0; i < COUNT(notices); i++) {
		const struct setting *setting = setting_find(&config->set, notices[i].name);

		if (setting && !notifies(config_settings(config), notices[i].classes))
			problems_warn(problems, setting->file, setting->line,
				"%s: does nothing, as notify_classes has no %s; add that, or delete this",
				notices[i].name, notices[i].needed);
	}
}

/* ---- Lists that every listener has of its own ------------------------------------------------ */

/* The number of listeners that ask a policy, those without that setting of their own first. */
static size_t
count_listeners(const struct config *config, const char *name, size_t *without)
{
	const struct instance *listener;
	size_t count = 0;

	*without = 0;
	for (size_t i = 0; (listener = config_instance(config, PH_CLASS_LISTENER, i)); i++) {
		const struct ph_listener_ops *ops = listener->ops;
		const struct section *section = config_section_of(config, listener);

		if (!(ops->flags & PH_LISTENER_SMTP))
			continue;
		count++;
		*without += !section || !setting_find(&section->set, name);
	}
	return count;
}

static void
check_overridden(const struct config *config, struct problems *problems)
{
	for (size_t i = 0; i < policy_param_count; i++) {
		const char *name = policy_params[i].name;
		const struct setting *setting = setting_find(&config->set, name);
		size_t without, count = count_listeners(config, name, &without);

		if (setting && policy_params[i].type == PH_RESTRICTIONS && count && !without &&
			!is_referred(config, name))
			problems_warn(problems, setting->file, setting->line,
				"%s: does nothing, as %s has its own; delete this, or that in the section", name,
				count == 1 ? "the listener" : "every listener");
	}
}

/* ---- Sections -------------------------------------------------------------------------------- */

static void
check_sections(const struct config *config, struct problems *problems)
{
	for (size_t i = 0; i < config->section_count; i++) {
		const struct section *section = config->sections[i];
		bool map = section->class->number == PH_CLASS_MAP;

		if (!section->instance || section->referred || is_named(config, section->title) ||
			(!map && section->class->number != PH_CLASS_TRANSPORT) ||
			may_be_answered(config, section->title) ||
			stands_in_a_list(config, (struct search){.others = true}))
			continue;
		problems_warn(problems, section->file, section->line,
			map ? "map %s: no parameter and no restriction names this table; name it where it is "
			      "to be asked, or delete the section"
			    : "transport %s: no parameter and no table routes mail to it; name it in "
			      "transport_maps or the like, or delete the section", section->title);
	}
}

void
check_unused(const struct config *config, struct problems *problems)
{
	check_classes(config, problems);
	check_idle(config, problems);
	check_needs(config, problems);
	check_notices(config, problems);
	check_overridden(config, problems);
	check_sections(config, problems);
}
