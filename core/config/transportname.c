/*
 * Names of transports: which module provides one, among the loaded and among the installed.
 */
#include "config/state.h"

#include <string.h>

#include "config/nearest.h"

static const char prefix[] = "transport_";

const struct ph_transport_ops *
transport_named(const struct config *config, const char *name, const struct module **module)
{
	for (size_t i = 0; i < config->module_count; i++) {
		const struct ph_transport_ops *ops = module_transport(config->modules[i], name);

		if (!ops)
			continue;
		*module = config->modules[i];
		return ops;
	}
	return NULL;
}

const char *
transport_provider(struct config *config, const char *name, struct nearest *nearest)
{
	ph_strings names = loader_list(config->pool, config->settings.module_directory);
	unsigned flags = config->flags & CONFIG_UNTRUSTED ? LOADER_UNTRUSTED : 0;
	ph_error error;

	for (size_t i = 0; i < names.count; i++) {
		const struct module *module;
		const struct ph_transport_ops *transports;

		if (strncmp(names.items[i], prefix, sizeof(prefix) - 1) != 0 ||
			!(module = loader_load(config->settings.module_directory, names.items[i],
			flags, &error)))
			continue;
		if (module_transport(module, name))
			return names.items[i];
		transports = module->descriptor.operations;
		for (size_t j = 0; nearest && j < module->descriptor.operation_count; j++)
			nearest_try(nearest, transports[j].name);
	}
	return NULL;
}

/* Nobody should have to guess which of two modules delivers. */
void
transport_names_check(struct config *config)
{
	for (size_t i = 0; i < config->module_count; i++) {
		const struct module *module = config->modules[i], *first = NULL;
		const struct ph_transport_ops *transports = module->descriptor.operations;

		if (module->class->number != PH_CLASS_TRANSPORT)
			continue;
		for (size_t j = 0; j < module->descriptor.operation_count; j++)
			if (transport_named(config, transports[j].name, &first) && first != module)
				problems_add(config->problems, config->path, 0,
					"%s and %s both provide the transport %s: they cannot be loaded together",
					first->name, module->name, transports[j].name);
	}
}

const char *
ph_transport_name(const void *self)
{
	const struct instance *instance = instance_of(self);
	bool transport = instance && instance->module->class_number == PH_CLASS_TRANSPORT;

	return transport ? ((const struct ph_transport_ops *)instance->ops)->name : "";
}
