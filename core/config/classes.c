/*
 * Restriction classes: lists of restrictions that the configuration names itself, each a parameter
 * of its own (smtpd_restriction_classes).
 */
#include "config/state.h"

#include <string.h>

#include <posthouse/restriction.h>

#include "config/grow.h"

#define LIST "smtpd_restriction_classes"

struct rule_class *
rule_class_find(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->rule_class_count; i++)
		if (strcmp(config->rule_classes[i].param.name, name) == 0)
			return &config->rule_classes[i];
	return NULL;
}

/* Has a loaded module a restriction of that name? There are no instances yet to ask. */
static bool
is_restriction(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->module_count; i++) {
		const struct ph_module *descriptor = &config->modules[i]->descriptor;
		const struct ph_restriction *restrictions = descriptor->operations;

		if (config->modules[i]->class->number != PH_CLASS_RESTRICTION)
			continue;
		for (size_t j = 0; j < descriptor->operation_count; j++)
			if (strcmp(restrictions[j].name, name) == 0)
				return true;
	}
	return false;
}

/* The name could be told from everything else that stands in a list. */
static bool
is_free_name(struct config *config, const struct text_item *item)
{
	const char *name = item->text;

	if (strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != strlen(name))
		problems_add(config->problems, item->file, item->line,
			LIST ": %s: a name has letters, digits, _ and -", name);
	else if (parameter_find(config, name))
		problems_add(config->problems, item->file, item->line,
			LIST ": %s is a parameter already: choose another name", name);
	else if (rule_is_known(config, name) || is_restriction(config, name))
		problems_add(config->problems, item->file, item->line,
			LIST ": %s is a restriction already: choose another name", name);
	else
		return !rule_class_find(config, name);
	return false;
}

static void
add_class(struct config *config, const struct text_item *item)
{
	struct rule_class *class = &config->rule_classes[config->rule_class_count];

	if (!is_free_name(config, item))
		return;
	class->param = (struct ph_param){.name = item->text, .type = PH_RESTRICTIONS,
		.doc = "A class of restrictions that this configuration defines."};
	class->file = item->file;
	class->line = item->line;
	config->rule_class_count++;
}

void
rule_classes_collect(struct config *config)
{
	const struct parameter *parameter = parameter_find(config, LIST);
	const struct setting *setting = setting_find(&config->set, LIST);
	const struct text_item *items;
	ph_error error;
	size_t count;

	config->rule_class_count = 0;
	if (!setting || !parameter || items_expand(config, NULL, parameter->param, setting->items,
			setting->count, &items, &count, &error) != 0)
		return;
	config->rule_classes =
		memory_or_die(ph_pool_array(config->pool, count + 1,
		sizeof(*config->rule_classes)));
	for (size_t i = 0; i < count; i++)
		add_class(config, &items[i]);
}

const ph_rules *
rule_class_rules(struct config *config, struct rule_class *class, ph_error *error)
{
	struct fill fill = {.config = config, .file = class->file, .line = class->line};

	if (class->state == CLASS_MADE)
		return class->rules;
	if (class->state == CLASS_BEING_MADE) {
		ph_error_set(error, "%s: this class of restrictions refers to itself",
			class->param.name);
		return NULL;
	}
	if (!setting_find(&config->set, class->param.name)) {
		ph_error_set(error, "%s: this class has no restrictions; write %s = {…}",
			class->param.name, class->param.name);
		return NULL;
	}
	class->state = CLASS_BEING_MADE;
	fill_field(&fill, &class->param, &class->rules);
	class->state = CLASS_MADE;
	return class->rules;
}
