/*
 * Types of tables: which module provides one, among the loaded and among the installed.
 */
#include "config/state.h"

#include <string.h>

#include "config/grow.h"
#include "config/nearest.h"
#include "config/value.h"

static const char prefix[] = "map_";

const struct ph_map_ops *
map_type(const struct config *config, const char *type, const struct module **module)
{
	for (size_t i = 0; i < config->module_count; i++) {
		const struct ph_map_ops *ops = module_map_type(config->modules[i], type);

		if (ops && module)
			*module = config->modules[i];
		if (ops)
			return ops;
	}
	return NULL;
}

/* There a process of its own reads tables for the others; here each role reads them itself. */
const char *
map_without_proxy(const struct config *config, const char *reference)
{
	static const char proxy[] = "proxy:";
	const char *rest = reference + sizeof(proxy) - 1;

	if (strncmp(reference, proxy, sizeof(proxy) - 1) != 0 || !strchr(rest, ':') ||
		map_type(config, "proxy", NULL))
		return reference;
	return rest;
}

static const struct module *
load(const struct config *config, const char *name, ph_error *error)
{
	return loader_load(config->settings.module_directory, name,
		config->flags & CONFIG_UNTRUSTED ? LOADER_UNTRUSTED : 0, error);
}

const char *
map_type_provider(struct config *config, const char *type, struct nearest *nearest)
{
	ph_strings names = loader_list(config->pool, config->settings.module_directory);
	const struct module *module;
	ph_error error;

	for (size_t i = 0; i < names.count; i++)
		if (strncmp(names.items[i], prefix, sizeof(prefix) - 1) == 0 &&
			strcmp(names.items[i] + sizeof(prefix) - 1, type) == 0)
			return names.items[i];
	for (size_t i = 0; i < names.count; i++) {
		const struct ph_map_ops *types;

		if (strncmp(names.items[i], prefix, sizeof(prefix) - 1) != 0 ||
			!(module = load(config, names.items[i], &error)))
			continue;
		if (module_map_type(module, type))
			return names.items[i];
		types = module->descriptor.operations;
		for (size_t j = 0; nearest && j < module->descriptor.operation_count; j++)
			nearest_try(nearest, types[j].type);
	}
	return NULL;
}

static int
map_type_load(struct config *config, const char *type, ph_error *error)
{
	const struct module *module;
	const char *name;

	if (map_type(config, type, NULL))
		return 0;
	name = map_type_provider(config, type, NULL);
	if (!name)
		return 0; /* who asks for it says so */
	module = load(config, name, error);
	if (!module)
		return -1;
	config->modules = grow(config->pool, config->modules, config->module_count,
		&config->module_room, sizeof(*config->modules));
	config->modules[config->module_count++] = module;
	return 0;
}

int
map_nested(const char *text, ph_span *inside)
{
	ph_span span = value_trim(ph_span_of(text));

	if (span.size < 2 || span.data[0] != '{' || span.data[span.size - 1] != '}')
		return -1;
	*inside = (ph_span){span.data + 1, span.size - 2};
	return 0;
}

static int
load_nested(struct config *config, const char *type, const char *text, ph_error *error)
{
	const struct module *module;
	const struct ph_param *param;
	const char *word;
	ph_span rest;

	if (!map_type(config, type, &module))
		return 0; /* who asks for it says so */
	param = section_param(module->class, module, "path");
	if (!param || param->type != PH_MAP_REF || map_nested(text, &rest) != 0)
		return 0;
	while (value_next_word(&rest, config->pool, &word))
		if (map_types_load(config, word, error) != 0)
			return -1;
	return 0;
}

int
map_types_load(struct config *config, const char *reference, ph_error *error)
{
	const char *colon, *type;

	reference = map_without_proxy(config, reference);
	colon = strchr(reference, ':');
	if (!colon)
		return 0;
	type = memory_or_die(ph_pool_copy(config->pool,
		(ph_span){reference, (size_t)(colon - reference)}));
	if (map_type_load(config, type, error) != 0)
		return -1;
	return load_nested(config, type, colon + 1, error);
}

/* The nearest word among the types of the loaded modules too: they need not be installed any
 * more. */
static const char *
near_type(const struct config *config, struct nearest *nearest)
{
	for (size_t i = 0; i < config->module_count; i++) {
		const struct ph_map_ops *types = config->modules[i]->descriptor.operations;

		if (config->modules[i]->class->number != PH_CLASS_MAP)
			continue;
		for (size_t j = 0; j < config->modules[i]->descriptor.operation_count; j++)
			nearest_try(nearest, types[j].type);
	}
	return nearest_result(nearest);
}

/* Types of compiled tables that other mailers have. */
static bool
is_compiled(const char *type)
{
	static const char *const types[] = {"btree", "cdb", "dbm", "lmdb", "sdbm"};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i], type) == 0)
			return true;
	return false;
}

void
map_type_explain(struct config *config, const char *reference, const char *type, ph_error *error)
{
	struct nearest nearest = nearest_to(type);
	const char *name = map_type_provider(config, type, &nearest), *best;

	if (name && config->load_failed) {
		/* It may be loaded and have failed, which was said. */
		ph_error_set(error, "%s: no table of type %s is loaded", reference, type);
		return;
	}
	if (name) {
		ph_error_set(error, "%s: no table of type %s is loaded; load(%s) provides it",
			reference, type, name);
		return;
	}
	best = near_type(config, &nearest);
	if (is_compiled(type))
		ph_error_set(error, "%s: no table of type %s is known; hash:%s is made of the same source",
			reference, type, reference + strlen(type) + 1);
	else if (best)
		ph_error_set(error, "%s: no table of type %s is known; did you mean %s?", reference,
			type, best);
	else
		ph_error_set(error, "%s: no table of type %s is known; is the package posthouse-map-%s "
			"installed, and is there load(map_%s)?", reference, type, type, type);
}

/* Nobody should have to guess which of two modules answers. */
void
map_types_check(struct config *config)
{
	for (size_t i = 0; i < config->module_count; i++) {
		const struct module *module = config->modules[i], *first = NULL;
		const struct ph_map_ops *types = module->descriptor.operations;

		if (module->class->number != PH_CLASS_MAP)
			continue;
		for (size_t j = 0; j < module->descriptor.operation_count; j++)
			if (map_type(config, types[j].type, &first) && first != module)
				problems_add(config->problems, config->path, 0,
					"%s and %s both provide tables of type %s: they cannot be loaded together",
					first->name, module->name, types[j].type);
	}
}
