/*
 * Maps outside of a configuration: for the commands that build and ask tables.
 */
#include "config/state.h"

#include <string.h>

#include "config/grow.h"

/* Loads the module of a type that the configuration does not load itself. */
static int
load_type(struct config *config, const char *name, ph_error *error)
{
	const struct module *module;

	for (size_t i = 0; i < config->module_count; i++)
		if (strcmp(config->modules[i]->name, name) == 0)
			return 0;
	if (!loader_is_name(name))
		return ph_error_set(error, "%s: not the name of a type of tables", name + strlen("map_"));
	module = loader_load(config->settings.module_directory, name, 0, error);
	if (!module)
		return -1;
	config->modules = grow(config->pool, config->modules, config->module_count,
		&config->module_room, sizeof(*config->modules));
	config->modules[config->module_count++] = module;
	return 0;
}

struct instance *
config_map_open(struct config *config, const char *type_colon_path, ph_error *error)
{
	/* The instance keeps it as its path. */
	const char *reference = memory_or_die(ph_pool_strdup(config->pool, type_colon_path));
	const char *colon = strchr(reference, ':');
	struct instance *instance;
	const struct ph_life *life;

	if (colon) {
		const char *name = memory_or_die(ph_pool_printf(config->pool, "map_%.*s",
			(int)(colon - reference), reference));

		if (load_type(config, name, error) == -1)
			return NULL;
	}
	instance = map_instance(config, reference, NULL, 0, error);
	life = instance ? instance->module->life : NULL;
	if (life && life->check && life->check(instance->self, error) != 0)
		return NULL;
	return instance;
}
