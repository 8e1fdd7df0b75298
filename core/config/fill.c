/*
 * From texts to the fields of a struct, by type and offset.
 */
#include "config/state.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config/grow.h"
#include "config/value.h"

/* An unknown "$name" that the default itself does not have stands in a parameter that it refers to,
 * and is reported there. */
static bool
is_elsewhere(const struct ph_param *param, const char *text)
{
	size_t size = strcspn(text, ":");

	return text[0] == '$' && param->default_value &&
		!memmem(param->default_value, strlen(param->default_value), text, size);
}

void
fill_problem(const struct fill *fill, const struct ph_param *param, const struct text_item *item,
	const char *format, ...)
{
	bool placed = item && item->file;
	va_list arguments;
	char text[700];

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	fill->config->fill_problems++;
	if (!placed && is_elsewhere(param, text))
		return;
	if (param->type == PH_RESTRICTIONS)
		fill->config->rules_failed = true;
	problems_add(fill->config->problems, placed ? item->file : fill->file,
		placed ? item->line : fill->line, "%s%s: %s",
		item && item->owner ? item->owner : param->name,
		placed ? "" : " (its default)", text);
}

static void
fill_strings(const struct fill *fill, const struct text_item *items, size_t count,
	ph_strings *field)
{
	const char **list = memory_or_die(ph_pool_array(fill->config->pool, count + 1,
		sizeof(*list)));

	for (size_t i = 0; i < count; i++)
		list[i] = items[i].text;
	*field = (ph_strings){count, list};
}

static void
fill_addresses(const struct fill *fill, const struct ph_param *param, const struct text_item *items,
	size_t count, ph_addresses *field)
{
	ph_address *list = memory_or_die(ph_pool_array(fill->config->pool, count + 1,
		sizeof(*list)));
	size_t used = 0;
	ph_error error;

	for (size_t i = 0; i < count; i++) {
		if (value_address(ph_span_of(items[i].text), &list[used], &error) == 0)
			used++;
		else
			fill_problem(fill, param, &items[i], "%s", error.text);
	}
	*field = (ph_addresses){used, list};
}

static const ph_map *
fill_map(const struct fill *fill, const struct ph_param *param, const struct text_item *items,
	size_t count)
{
	struct instance **list = memory_or_die(
		ph_pool_array(fill->config->pool, count + 1, sizeof(*list)));
	bool of_map = fill->section && fill->section->class->number == PH_CLASS_MAP;
	size_t used = 0;
	ph_error error;

	for (size_t i = 0; i < count; i++) {
		list[used] = map_for(fill, &items[i], items[i].text, &error);
		if (list[used])
			used++;
		else
			fill_problem(fill, param, &items[i], "%s", error.text);
	}
	return map_make(fill->config->pool, list, used, of_map ? NULL : param->name);
}

/* The types that hold one value. */
static void
fill_scalar(const struct fill *fill, const struct ph_param *param, const struct text_item *item,
	void *field)
{
	ph_span text = ph_span_of(item->text);
	ph_error error = {""};
	int result = 0;

	switch (param->type) {
	case PH_BOOL:
		result = value_bool(text, field, &error);
		break;
	case PH_INT:
		result = value_int(text, param->min, param->max, field, &error);
		break;
	case PH_SIZE:
		result = value_size(text, param->min, param->max, field, &error);
		break;
	case PH_TIME:
		result = value_time(text, param->min, param->max, field, &error);
		break;
	case PH_ENUM:
		result = value_enum(text, param->choices, field, &error);
		break;
	case PH_PATH:
		result = value_path(text, &error);
		*(const char **)field = item->text;
		break;
	case PH_STRING:
		*(const char **)field = item->text;
		break;
	case PH_STRINGS:
	case PH_ADDRESSES:
	case PH_NETWORKS:
	case PH_MATCH_LIST:
	case PH_MAP_REF:
	case PH_RESTRICTIONS:
		break;
	}
	if (result != 0)
		fill_problem(fill, param, item, "%s", error.text);
}

static void
fill_list(const struct fill *fill, const struct ph_param *param, const struct text_item *items,
	size_t count, void *field)
{
	if (param->type == PH_STRINGS)
		fill_strings(fill, items, count, field);
	else if (param->type == PH_ADDRESSES)
		fill_addresses(fill, param, items, count, field);
	else if (param->type == PH_NETWORKS)
		*(const ph_networks **)field = networks_make(fill, param, items, count);
	else if (param->type == PH_MATCH_LIST)
		*(const ph_match_list **)field = match_make(fill, param, items, count);
	else if (param->type == PH_MAP_REF)
		*(const ph_map **)field = fill_map(fill, param, items, count);
	else
		*(const ph_rules **)field = rules_make(fill, param, items, count);
}

void
fill_field(const struct fill *fill, const struct ph_param *param, void *field)
{
	const struct text_item *items, none = {.text = ""},
		path = {.text = fill->path, .file = fill->file, .line = fill->line};
	struct text_item place = {0};
	size_t count;
	struct setting *setting;
	ph_error error;

	if (fill->path && strcmp(param->name, "path") == 0) {
		if (fill->tables)
			*(const ph_map **)field = fill->tables;
		else
			fill_scalar(fill, param, &path, field);
		return;
	}
	setting = setting_in_force(fill->config, fill->section, param, &items, &count);
	if (setting) {
		setting->used = true;
		place = (struct text_item){.file = setting->file, .line = setting->line};
	}
	if (setting && !param_is_list(param) && count > 1) {
		fill_problem(fill, param, &items[0], "takes one value, not a list");
		count = 1;
	}
	if (items_expand(fill->config, fill->section, param, items, count, &items, &count, &error) != 0) {
		/* A loop is reported where it was made; defaults make none. */
		if (setting || strncmp(error.text, "refers to itself", 16) != 0)
			fill_problem(fill, param, setting ? &place : NULL, "%s", error.text);
		count = 0;
		if (!param_is_list(param)) {
			if (param->type == PH_STRING || param->type == PH_PATH)
				*(const char **)field = "";
			return;
		}
	}
	if (param_is_list(param))
		fill_list(fill, param, items, count, field);
	else if (count || param->type == PH_STRING || param->type == PH_PATH)
		fill_scalar(fill, param, count ? &items[0] : &none, field);
	else if (setting)
		fill_problem(fill, param, &place, "has no value");
}

void
fill_struct(const struct fill *fill, const struct ph_param *params, size_t count, void *base)
{
	for (size_t i = 0; i < count; i++)
		fill_field(fill, &params[i], (char *)base + params[i].offset);
}
