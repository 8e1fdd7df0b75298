/*
 * The lists of a policy, for the checks that read all of them.
 */
#include "cli/check.h"

#include <stdio.h>
#include <string.h>

#include <posthouse/listener.h>

static void
each_of_listener(const struct instance *listener,
	void (*fn)(void *context, const struct policy_list *list), void *context)
{
	for (size_t i = 0; i < policy_param_count; i++) {
		const char *field = (const char *)listener->policy + policy_params[i].offset;
		struct policy_list list = {.name = policy_params[i].name, .listener = listener};

		if (policy_params[i].type != PH_RESTRICTIONS)
			continue;
		list.rules = *(const ph_rules *const *)(const void *)field;
		if (list.rules)
			fn(context, &list);
	}
}

void
policy_each(const struct config *config, void (*fn)(void *context, const struct policy_list *list),
	void *context)
{
	const struct instance *listener;

	for (size_t i = 0; (listener = config_instance(config, PH_CLASS_LISTENER, i)); i++) {
		const struct ph_listener_ops *ops = listener->ops;

		if (ops->flags & PH_LISTENER_SMTP)
			each_of_listener(listener, fn, context);
	}
	for (size_t i = 0; i < config->rule_class_count; i++) {
		const struct rule_class *class = &config->rule_classes[i];
		struct policy_list list = {.name = class->param.name, .rules = class->rules};

		if (class->rules)
			fn(context, &list);
	}
}

bool
policy_is_warning(const struct ph_rule *rule)
{
	return !rule->restriction && !rule->rules && strcmp(rule->name, "warn_if_reject") == 0;
}

const char *
policy_rule_text(const struct ph_rule *rule, char text[POLICY_RULE_TEXT])
{
	const char *argument = rule->argument ? rule->argument : "";

	snprintf(text, POLICY_RULE_TEXT, "%.60s%s%.120s", rule->name, argument[0] ? " " : "",
		argument);
	return text;
}

const char *
policy_place(const struct ph_rule *rule, const struct ph_rule *from, char text[POLICY_PLACE_TEXT])
{
	if (!rule->file)
		snprintf(text, POLICY_PLACE_TEXT, "the default");
	else if (from->file && strcmp(rule->file, from->file) == 0)
		snprintf(text, POLICY_PLACE_TEXT, "line %d", rule->line);
	else
		snprintf(text, POLICY_PLACE_TEXT, "line %d of %.120s", rule->line, rule->file);
	return text;
}
