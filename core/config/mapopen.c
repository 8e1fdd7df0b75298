/*
 * Maps outside of a configuration: for the commands that build and ask tables.
 */
#include "config/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/grow.h"

/* The reference with an absolute path, where the type takes one. */
static const char *
absolute(struct config *config, const char *reference, const char *path, const char *type,
	ph_error *error)
{
	const struct module *module;
	const struct ph_param *param;
	char *folder;

	if (path[0] == '/' || path[0] == '\0' || !map_type(config, type, &module))
		return reference;
	param = section_param(module->class, module, "path");
	if (!param || param->type != PH_PATH)
		return reference;
	folder = getcwd(NULL, 0);
	if (!folder) {
		ph_error_set(error, "%s: the working directory cannot be told: %s", reference, strerror(errno));
		return NULL;
	}
	reference = memory_or_die(ph_pool_printf(config->pool, "%s:%s/%s", type, folder, path));
	free(folder);
	return reference;
}

struct instance *
config_map_open(struct config *config, const char *type_colon_path, ph_error *error)
{
	/* The instance keeps it as its path. */
	const char *reference = memory_or_die(ph_pool_strdup(config->pool,
		map_without_proxy(config, type_colon_path)));
	const char *colon = strchr(reference, ':'), *type;
	struct instance *instance;
	const struct ph_life *life;
	ph_error why = {""};

	if (colon) {
		type = memory_or_die(ph_pool_copy(config->pool,
			(ph_span){reference, (size_t)(colon - reference)}));
		if (map_type_load(config, type, error) != 0 ||
			!(reference = absolute(config, reference, colon + 1, type, error)))
			return NULL;
	}
	instance = map_instance(config, reference, NULL, 0, error);
	life = instance ? instance->module->life : NULL;
	if (!life || !life->check || life->check(instance->self, &why) == 0)
		return instance;
	ph_error_set(error, "%s: %s", reference, why.text);
	return NULL;
}
