/*
 * Maps outside of a configuration: for the commands that build and ask tables.
 */
#include "config/state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/grow.h"
#include "config/value.h"

/* "type:path" with the path from the working directory. NULL with the error. */
static const char *
from_here(struct config *config, const char *reference, const char *path, ph_error *error)
{
	char *folder = getcwd(NULL, 0);

	if (!folder) {
		ph_error_set(error, "%s: the working directory cannot be told: %s", reference,
			strerror(errno));
		return NULL;
	}
	reference = memory_or_die(ph_pool_printf(config->pool, "%.*s%s/%s", (int)(path - reference),
		reference, folder, path));
	free(folder);
	return reference;
}

static const char *absolute(struct config *config, const char *reference, ph_error *error);

/* The same for each table in the braces; as it is when nothing was to be done. */
static const char *
absolute_nested(struct config *config, const char *reference, const char *text, ph_error *error)
{
	const char *result =
		memory_or_die(ph_pool_printf(config->pool, "%.*s{", (int)(text - reference),
		reference)), *between = "", *word;
	bool changed = false;
	ph_span rest;

	if (map_nested(text, &rest) != 0)
		return reference; /* who makes it says so */
	while (value_next_word(&rest, config->pool, &word)) {
		const char *table = absolute(config, word, error);

		if (!table)
			return NULL;
		changed = changed || table != word;
		result = memory_or_die(ph_pool_printf(config->pool, "%s%s{%s}", result, between,
			table));
		between = ", ";
	}
	return changed ? memory_or_die(ph_pool_printf(config->pool, "%s}", result)) : reference;
}

/* The reference with absolute paths, where the types take some. NULL with the error. */
static const char *
absolute(struct config *config, const char *reference, ph_error *error)
{
	const char *colon = strchr(reference, ':'), *type;
	const struct module *module;
	const struct ph_param *param;

	if (!colon)
		return reference;
	type = memory_or_die(ph_pool_copy(config->pool,
		(ph_span){reference, (size_t)(colon - reference)}));
	if (!map_type(config, type, &module))
		return reference;
	param = section_param(module->class, module, "path");
	if (param && param->type == PH_MAP_REF)
		return absolute_nested(config, reference, colon + 1, error);
	if (!param || param->type != PH_PATH || colon[1] == '/' || colon[1] == '\0')
		return reference;
	return from_here(config, reference, colon + 1, error);
}

/* With the tables that it is made of. */
static int
check(struct instance *instance, ph_error *error)
{
	const struct ph_life *life = instance->module->life;
	ph_error why = {""};

	if (map_each_nested(instance, check, error) != 0)
		return -1;
	if (!life || !life->check || life->check(instance->self, &why) == 0)
		return 0;
	return ph_error_set(error, "%s: %s", instance->name, why.text);
}

struct instance *
config_map_open(struct config *config, const char *type_colon_path, ph_error *error)
{
	/* The instance keeps it as its path. */
	const char *reference = memory_or_die(ph_pool_strdup(config->pool,
		map_without_proxy(config, type_colon_path)));
	struct instance *instance;

	if (map_types_load(config, reference, error) != 0 ||
		!(reference = absolute(config, reference, error)) ||
		!(instance = map_instance(config, reference, NULL, 0, error)))
		return NULL;
	return check(instance, error) == 0 ? instance : NULL;
}
