/*
 * What the rest of the house asks of a configuration.
 */
#include "config/state.h"

#include <stdlib.h>
#include <string.h>

#include <posthouse/restriction.h>

#include "config/files.h"

static const struct config *current;

void
config_free(struct config *config)
{
	if (!config)
		return;
	if (current == config)
		current = NULL;
	config_delist(config);
	for (size_t class = 1; class < CLASS_COUNT; class++)
		for (size_t i = 0; i < config->instance_count[class]; i++)
			instance_free(config->instances[class][i]);
	ph_pool_free(config->pool);
}

int
config_snapshot(const struct config *config, int fd, ph_error *error)
{
	return sources_write_snapshot(&config->sources, fd, error);
}

const char *
config_path(const struct config *config)
{
	return config->path;
}

const struct settings *
config_settings(const struct config *config)
{
	return &config->settings;
}

struct instance *
config_instance(const struct config *config, enum ph_class class_number, size_t i)
{
	return i < config->instance_count[class_number] ? config->instances[class_number][i] : NULL;
}

struct instance *
config_find(const struct config *config, enum ph_class class_number, const char *name)
{
	for (size_t i = 0; i < config->instance_count[class_number]; i++)
		if (strcmp(config->instances[class_number][i]->name, name) == 0)
			return config->instances[class_number][i];
	return NULL;
}

struct instance *
config_queue(const struct config *config, const char *name)
{
	struct instance *found = name && name[0] ? config_find(config, PH_CLASS_QUEUE, name) : NULL;

	return found ? found : config_instance(config, PH_CLASS_QUEUE, 0);
}

/* "listener/submission/port". */
static const struct section *
find_section(const struct config *config, const char *path, const char **name)
{
	for (size_t i = 0; i < config->section_count; i++) {
		const struct section *section = config->sections[i];
		size_t class = strlen(section->class->name), title = strlen(section->title);

		if (strncmp(path, section->class->name, class) == 0 && path[class] == '/' &&
			strncmp(path + class + 1, section->title, title) == 0 &&
			path[class + 1 + title] == '/') {
			*name = path + class + title + 2;
			return section;
		}
	}
	return NULL;
}

/* Asked for at any time, so it is made once. */
static const char *
global_value(const struct config *config, const char *name, bool expanded)
{
	struct parameter *parameter = (struct parameter *)parameter_find(config, name);
	ph_error error;

	if (!parameter)
		return NULL;
	if (expanded && strcmp(name, "myorigin") == 0 && config->settings.myorigin)
		return config->settings.myorigin;
	if (!parameter->text[expanded])
		parameter->text[expanded] =
			parameter_text(config, NULL, parameter->param, expanded, &error);
	return parameter->text[expanded];
}

const char *
config_value(const struct config *config, const char *name, bool expanded)
{
	const struct section *section = strchr(name, '/') ? find_section(config, name, &name)
		: NULL;
	const struct ph_param *param =
		section ? section_param(section->class, section->module, name) : NULL;
	ph_error error;

	if (!section)
		return global_value(config, name, expanded);
	return param ? parameter_text(config, section, param, expanded, &error) : NULL;
}

void
config_set_current(const struct config *config)
{
	current = config;
}

const struct config *
config_current(void)
{
	return current;
}

const char *
ph_global(const char *name)
{
	const char *value = current ? config_value(current, name, true) : NULL;

	return value ? value : "";
}

bool
config_has_module(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->module_count; i++)
		if (strcmp(config->modules[i]->name, name) == 0)
			return true;
	return false;
}

const struct section *
config_section_of(const struct config *config, const struct instance *instance)
{
	for (size_t i = 0; i < config->section_count; i++)
		if (config->sections[i]->instance == instance)
			return config->sections[i];
	return NULL;
}

/* ---- Instances that serve others ------------------------------------------------------------- */

static const enum ph_class helpers[] = {PH_CLASS_MAP, PH_CLASS_RESTRICTION, PH_CLASS_FILTER};

#define HELPERS (sizeof(helpers) / sizeof(helpers[0]))

int
config_open_maps(const struct config *config, ph_error *error)
{
	for (size_t i = 0; i < HELPERS; i++)
		for (size_t j = 0; j < config->instance_count[helpers[i]]; j++)
			if (instance_open(config->instances[helpers[i]][j], error) != 0)
				return -1;
	return 0;
}

void
config_close_maps(const struct config *config)
{
	for (size_t i = HELPERS; i-- > 0;)
		for (size_t j = config->instance_count[helpers[i]]; j-- > 0;)
			instance_close(config->instances[helpers[i]][j]);
}
