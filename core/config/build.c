/*
 * The instances of a configuration, and the values of everything.
 */
#include "config/state.h"

#include <string.h>

#include "config/grow.h"

/* One for each section. */
static void
make_section_instances(struct config *config)
{
	for (size_t i = 0; i < config->section_count; i++) {
		struct section *section = config->sections[i];

		if (!section->module)
			continue;
		section->instance = instance_new(config, section->module, section->title,
			section->file, section->line);
		section->instance->ops = section->ops;
	}
}

/* One of each transport, unless a section has its name. */
static void
make_default_transports(struct config *config, const struct module *module)
{
	const struct ph_transport_ops *transports = module->descriptor.operations;

	for (size_t i = 0; i < module->descriptor.operation_count; i++)
		if (!config_find(config, PH_CLASS_TRANSPORT, transports[i].name))
			instance_new(config, module, transports[i].name, config->path,
				0)->ops = &transports[i];
}

/* And one of each queue, filter and restriction module. */
static void
make_default_instances(struct config *config)
{
	for (size_t i = 0; i < config->module_count; i++) {
		const struct module *module = config->modules[i];
		bool restriction = module->class->number == PH_CLASS_RESTRICTION;
		const char *name = restriction ? module->name : module->short_name;

		if (module->class->number == PH_CLASS_TRANSPORT)
			make_default_transports(config, module);
		else if (module->class->number != PH_CLASS_LISTENER &&
			module->class->number != PH_CLASS_MAP &&
			!config_find(config, module->class->number, name))
			instance_new(config, module, name, config->path, 0);
	}
}

static void
fill_instance(struct config *config, struct instance *instance, const struct section *section)
{
	const struct module *module = instance_module(instance);
	struct fill fill = {.config = config, .section = section, .file = instance->file,
		.line = instance->line};
	size_t before = config->fill_problems;
	struct policy_settings *policy;

	fill_struct(&fill, module->descriptor.params, module->descriptor.param_count,
		instance->self);
	if (module->class->number == PH_CLASS_LISTENER) {
		policy = memory_or_die(ph_pool_alloc(config->pool, sizeof(*policy)));
		fill_struct(&fill, policy_params, policy_param_count, policy);
		instance->policy = policy;
	}
	if (config->fill_problems != before)
		instance_set_broken(instance);
}

/* Maps come into being while the others are filled, with their values. */
static void
fill_instances(struct config *config)
{
	for (unsigned class = 1; class < CLASS_COUNT; class++)
		for (size_t i = 0; i < config->instance_count[class]; i++) {
			struct instance *instance = config->instances[class][i];
			const struct section *section = config_section_of(config, instance);

			if (class != PH_CLASS_MAP || section)
				fill_instance(config, instance, section);
		}
}

/* A parameter that was set but that no instance uses must be right all the same. */
static void
fill_unused(struct config *config)
{
	struct fill fill = {.config = config, .file = config->path};
	union {
		int64_t number;
		ph_strings strings;
		ph_addresses addresses;
		void *pointer;
	} field;

	for (size_t i = 0; i < config->set.count; i++) {
		const struct parameter *parameter = parameter_find(config,
			config->set.items[i].name);

		if (parameter && !config->set.items[i].used)
			fill_field(&fill, parameter->param, &field);
	}
}

/* "/etc/mailname": its first line. */
static void
read_origin(struct config *config)
{
	const struct setting *setting = setting_find(&config->set, "myorigin");
	const char *path = config->settings.myorigin;
	ph_span text;
	ph_error error;

	if (path[0] != '/')
		return;
	if (sources_read(&config->sources, path, &text, &error) != 0) {
		problems_add(config->problems, setting ? setting->file : config->path,
			setting ? setting->line : 0, "myorigin: %s", error.text);
		return;
	}
	while (text.size && strchr(" \t\r\n", text.data[0])) {
		text.data++;
		text.size--;
	}
	for (size_t i = 0; i < text.size; i++)
		if (strchr(" \t\r\n", text.data[i]))
			text.size = i;
	config->settings.myorigin = memory_or_die(ph_pool_copy(config->pool, text));
}

void
instances_build(struct config *config)
{
	struct fill fill = {.config = config, .file = config->path};

	make_section_instances(config);
	make_default_instances(config);
	fill_struct(&fill, settings_params, settings_param_count, &config->settings);
	read_origin(config);
	templates_build(config);
	fill_instances(config);
	fill_unused(config);
}
