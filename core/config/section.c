/*
 * Sections: the module that each is an instance of, and what may stand in it.
 */
#include "config/state.h"

#include <string.h>

#include "config/nearest.h"

static const struct module *
find_module(const struct config *config, const struct module_class *class, const char *name)
{
	for (size_t i = 0; i < config->module_count; i++)
		if (config->modules[i]->class == class &&
			(strcmp(config->modules[i]->short_name, name) == 0 ||
			strcmp(config->modules[i]->name, name) == 0))
			return config->modules[i];
	return NULL;
}

/* The name may be that of a type of tables, "module = pcre", or of a transport, "module = lmtp". */
static void
set_module(const struct config *config, struct section *section, const char *name)
{
	section->module = find_module(config, section->class, name);
	if (section->module)
		section->ops = section->module->descriptor.operations;
	else if (section->class->number == PH_CLASS_MAP)
		section->ops = map_type(config, name, &section->module);
	else if (section->class->number == PH_CLASS_TRANSPORT)
		section->ops = transport_named(config, name, &section->module);
}

/* The installed module that a section's "module = NAME" means; or near ones are tried. */
static const char *
find_provider(struct config *config, const struct module_class *class, const char *name,
	struct nearest *nearest)
{
	ph_strings names = loader_list(config->pool, config->settings.module_directory);
	size_t size = strlen(class->name) + 1;

	if (class->number == PH_CLASS_MAP)
		return map_type_provider(config, name, nearest);
	if (class->number == PH_CLASS_TRANSPORT)
		return transport_provider(config, name, nearest);
	for (size_t i = 0; i < names.count; i++) {
		if (module_class_of(names.items[i]) != class)
			continue;
		if (strcmp(names.items[i] + size, name) == 0)
			return names.items[i];
		nearest_try(nearest, names.items[i] + size);
	}
	return NULL;
}

static void
unknown_module(struct config *config, const struct section *section, const struct text_item *item)
{
	struct nearest nearest = nearest_to(item->text);
	const char *provider = find_provider(config, section->class, item->text, &nearest);
	char hint[160];

	if (provider) {
		problems_add(config->problems, item->file, item->line,
			"module = %s: not loaded; add load(%s)", item->text, provider);
		return;
	}
	nearest_hint(&nearest, hint, sizeof(hint));
	if (hint[0] || !config->load_failed)
		problems_add(config->problems, item->file, item->line,
			"module = %s: there is no %s_%s.so in %s%s", item->text, section->class->name,
			item->text, config->settings.module_directory, hint);
}

static void
find_section_module(struct config *config, struct section *section)
{
	const struct setting *setting = setting_find(&section->set, "module");

	if (!setting || setting->count != 1) {
		problems_add(config->problems, setting ? setting->file : section->file,
			setting ? setting->line : section->line,
			"%s %s: needs module = NAME, as in module = %s", section->class->name, section->title,
			section->class->number == PH_CLASS_MAP ? "hash"
			: section->class->number == PH_CLASS_QUEUE ? "log" : "smtp");
		return;
	}
	set_module(config, section, setting->items[0].text);
	if (!section->module)
		unknown_module(config, section, &setting->items[0]);
}

/* The rest of a name that begins with this and an underscore; NULL: it does not. */
static const char *
behind(const char *name, const char *transport)
{
	size_t size = strlen(transport);

	return strncmp(name, transport, size) == 0 && name[size] == '_' ? name + size + 1 : NULL;
}

/* Of a module with several transports: which other is this parameter for? NULL: none. */
static const struct ph_transport_ops *
other_transport(const struct section *section, const char *name)
{
	const struct ph_module *descriptor = &section->module->descriptor;
	const struct ph_transport_ops *own = section->ops, *all = descriptor->operations;

	if (section->class->number != PH_CLASS_TRANSPORT || !own)
		return NULL;
	for (size_t i = 0; i < descriptor->operation_count; i++)
		if (behind(name, all[i].name) && !behind(name, own->name))
			return &all[i];
	return NULL;
}

/* "smtp_connect_timeout" in a section of module = lmtp: it would count for nothing. */
static void
wrong_transport(struct config *config, const struct section *section, const struct setting *setting,
	const struct ph_transport_ops *other)
{
	const struct ph_transport_ops *own = section->ops;
	const struct ph_module *descriptor = &section->module->descriptor;
	const char *twin = ph_pool_printf(config->pool, "%s_%s", own->name,
		behind(setting->name, other->name));
	struct nearest nearest = nearest_to(twin ? twin : "");
	char hint[160];

	for (size_t i = 0; i < descriptor->param_count; i++)
		if (behind(descriptor->params[i].name, own->name))
			nearest_try(&nearest, descriptor->params[i].name);
	nearest_hint(&nearest, hint, sizeof(hint));
	problems_add(config->problems, setting->file, setting->line,
		"%s: is for module = %s, and counts for nothing with module = %s%s", setting->name,
		other->name, own->name, hint);
}

/* May this parameter stand in this section? */
static void
check_section_setting(struct config *config, const struct section *section,
	const struct setting *setting)
{
	const struct ph_param *param = section_param(section->class, section->module,
		setting->name);
	const struct ph_transport_ops *other =
		param ? other_transport(section, setting->name) : NULL;
	const struct ph_module *descriptor = &section->module->descriptor;
	struct nearest nearest = nearest_to(setting->name);
	char hint[160];

	if (other) {
		wrong_transport(config, section, setting, other);
		return;
	}
	if (strcmp(setting->name, "module") == 0 ||
		(param && (param->flags & (PH_PER_SECTION | PH_SECTION_ONLY))))
		return;
	if (param || parameter_find(config, setting->name)) {
		problems_add(config->problems, setting->file, setting->line,
			"%s: cannot be set for %s %s alone; set it outside of sections", setting->name,
			section->class->name, section->title);
		return;
	}
	for (size_t i = 0; i < descriptor->param_count; i++)
		nearest_try(&nearest, descriptor->params[i].name);
	for (size_t i = 0; section->class->number == PH_CLASS_LISTENER && i < policy_param_count;
		i++)
		nearest_try(&nearest, policy_params[i].name);
	nearest_hint(&nearest, hint, sizeof(hint));
	if (!hint[0])
		parameter_hint(config, setting->name, hint, sizeof(hint));
	problems_add(config->problems, setting->file, setting->line,
		"%s: %s has no such parameter%s", setting->name, section->module->name, hint);
}

void
sections_check(struct config *config)
{
	for (size_t i = 0; i < config->section_count; i++) {
		struct section *section = config->sections[i];

		find_section_module(config, section);
		for (size_t j = 0; section->module && j < section->set.count; j++)
			check_section_setting(config, section, &section->set.items[j]);
	}
}

/* Two owners of one name must mean the same kind of thing. */
void
parameters_check(struct config *config)
{
	for (size_t i = 1; i < config->parameter_count; i++) {
		const struct parameter *a = &config->parameters[i - 1], *b = &config->parameters[i];

		if (strcmp(a->param->name, b->param->name) == 0 && a->param->type != b->param->type)
			problems_add(config->problems, config->path, 0,
				"%s: %s and %s mean different things by it: they cannot be loaded together",
				b->param->name, a->owner ? a->owner->name : "the core",
				b->owner->name);
	}
}
