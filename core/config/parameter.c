/*
 * Names of parameters, what is set under them, and their values as text.
 */
#include "config/state.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <config.h>

#include "config/grow.h"
#include "config/nearest.h"
#include "config/value.h"

/* ---- Names ----------------------------------------------------------------------------------- */

/* By name; stable, so that the core's comes first among equals. */
static int
compare(const void *a, const void *b)
{
	const struct parameter *left = a, *right = b;
	int order = strcmp(left->param->name, right->param->name);

	if (order)
		return order;
	if (!left->owner || !right->owner)
		return (left->owner != NULL) - (right->owner != NULL);
	return strcmp(left->owner->name, right->owner->name);
}

static void
add_table(struct config *config, const struct ph_param *params, size_t count,
	const struct module *owner, bool policy)
{
	for (size_t i = 0; i < count; i++)
		if (!(params[i].flags & PH_SECTION_ONLY))
			config->parameters[config->parameter_count++] =
				(struct parameter){.param = &params[i], .owner = owner,
				.policy = policy};
}

void
parameters_collect(struct config *config)
{
	size_t room = settings_param_count + policy_param_count + config->rule_class_count + 1;

	for (size_t i = 0; i < config->module_count; i++)
		room += config->modules[i]->descriptor.param_count;
	config->parameters = memory_or_die(
		ph_pool_array(config->pool, room, sizeof(*config->parameters)));
	config->parameter_count = 0;
	add_table(config, settings_params, settings_param_count, NULL, false);
	add_table(config, policy_params, policy_param_count, NULL, true);
	for (size_t i = 0; i < config->rule_class_count; i++)
		add_table(config, &config->rule_classes[i].param, 1, NULL, false);
	for (size_t i = 0; i < config->module_count; i++)
		add_table(config, config->modules[i]->descriptor.params,
			config->modules[i]->descriptor.param_count, config->modules[i], false);
	qsort(config->parameters, config->parameter_count, sizeof(*config->parameters), compare);
}

const struct parameter *
parameter_find(const struct config *config, const char *name)
{
	size_t low = 0, high = config->parameter_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(config->parameters[middle].param->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < config->parameter_count &&
		strcmp(config->parameters[low].param->name, name) == 0
		? &config->parameters[low] : NULL;
}

static bool
has_param(const struct module *module, const char *name)
{
	for (size_t i = 0; i < module->descriptor.param_count; i++)
		if (strcmp(module->descriptor.params[i].name, name) == 0)
			return true;
	return false;
}

/* The installed module that is not loaded and has it. */
static const char *
find_provider(struct config *config, const char *name)
{
	ph_strings names = loader_list(config->pool, config->settings.module_directory);
	ph_error error;

	for (size_t i = 0; i < names.count; i++) {
		const struct module *module = loader_load(config->settings.module_directory,
			names.items[i], 0, &error);

		if (module && has_param(module, name))
			return names.items[i];
	}
	return NULL;
}

const char *
parameter_hint(struct config *config, const char *name, char *text, size_t size)
{
	struct nearest nearest = nearest_to(name);
	const char *provider = find_provider(config, name);

	if (provider) {
		snprintf(text, size, "; load(%s) provides it", provider);
		return text;
	}
	for (size_t i = 0; i < config->parameter_count; i++)
		nearest_try(&nearest, config->parameters[i].param->name);
	return nearest_hint(&nearest, text, size);
}

static const struct ph_param *
find_in(const struct ph_param *params, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(params[i].name, name) == 0)
			return &params[i];
	return NULL;
}

const struct ph_param *
section_param(const struct module_class *class, const struct module *module, const char *name)
{
	const struct ph_param *param = module
		? find_in(module->descriptor.params, module->descriptor.param_count, name) : NULL;

	if (!param && class->number == PH_CLASS_LISTENER)
		param = find_in(policy_params, policy_param_count, name);
	return param;
}

struct setting *
setting_find(const struct settings_set *set, const char *name)
{
	for (size_t i = 0; i < set->count; i++)
		if (strcmp(set->items[i].name, name) == 0)
			return &set->items[i];
	return NULL;
}

/* ---- Defaults -------------------------------------------------------------------------------- */

/* The host's fully qualified name. Asked of the resolver only when the kernel's has no dot. */
static const char *
host_name(struct config *config)
{
	char name[256] = "";
	struct addrinfo hints = {.ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM},
		*found = NULL;

	if (config->myhostname)
		return config->myhostname;
	if (gethostname(name, sizeof(name) - 1) != 0 || !name[0])
		snprintf(name, sizeof(name), "localhost");
	if (!strchr(name, '.') && getaddrinfo(name, NULL, &hints, &found) == 0) {
		if (found->ai_canonname && strchr(found->ai_canonname, '.'))
			snprintf(name, sizeof(name), "%s", found->ai_canonname);
		freeaddrinfo(found);
	}
	config->myhostname = memory_or_die(strchr(name, '.') ? ph_pool_strdup(config->pool, name)
		: ph_pool_printf(config->pool, "%s.localdomain", name));
	return config->myhostname;
}

/* The text of a default. That of myhostname is asked of the system, once, when it is wanted.
 * Without a module that delivers to the users of this host there is no table of them either. */
static const char *
default_text(const struct config *config, const struct ph_param *param)
{
	if (strcmp(param->name, "local_recipient_maps") == 0 &&
		!parameter_find(config, "alias_maps"))
		return "";
	if (param->default_value)
		return param->default_value;
	return strcmp(param->name, "myhostname") == 0 ? host_name((struct config *)config) : "";
}

void
default_items(const struct config *config, const struct ph_param *param,
	const struct text_item **items, size_t *count)
{
	const char *text = default_text(config, param), *element;
	ph_span rest = ph_span_of(text);
	struct text_item *list = NULL;
	size_t room = 0;

	*count = 0;
	if (param_is_list(param)) {
		while (value_next_element(&rest, config->pool, &element)) {
			list = grow(config->pool, list, *count, &room, sizeof(*list));
			list[(*count)++] = (struct text_item){.text = element};
		}
	} else if (text[0]) {
		list = grow(config->pool, NULL, 0, &room, sizeof(*list));
		list[(*count)++] = (struct text_item){.text = text};
	}
	*items = list;
}

bool
param_is_list(const struct ph_param *param)
{
	switch (param->type) {
	case PH_STRINGS:
	case PH_ADDRESSES:
	case PH_NETWORKS:
	case PH_MATCH_LIST:
	case PH_MAP_REF:
	case PH_RESTRICTIONS:
		return true;
	case PH_BOOL:
	case PH_INT:
	case PH_SIZE:
	case PH_TIME:
	case PH_STRING:
	case PH_PATH:
	case PH_ENUM:
		return false;
	}
	return false;
}

struct setting *
setting_in_force(const struct config *config, const struct section *section,
	const struct ph_param *param, const struct text_item **items, size_t *count)
{
	struct setting *setting = section ? setting_find(&section->set, param->name) : NULL;

	if (!setting && !(param->flags & PH_SECTION_ONLY))
		setting = setting_find(&config->set, param->name);
	if (!setting) {
		default_items(config, param, items, count);
		return NULL;
	}
	*items = setting->items;
	*count = setting->count;
	return setting;
}

/* ---- Expansion ------------------------------------------------------------------------------- */

struct scope {
	const struct config *config;
	const struct section *section;
};

static const char *expand_item(struct scope *scope, const char *text,
	const struct expand_chain *chain, ph_error *error);

const char *
items_join(ph_pool *pool, const struct text_item *items, size_t count)
{
	size_t size = 1, used = 0;
	char *text;

	for (size_t i = 0; i < count; i++)
		size += strlen(items[i].text) + 2;
	text = memory_or_die(ph_pool_alloc(pool, size));
	for (size_t i = 0; i < count; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", i ? ", " : "",
			items[i].text);
	return text;
}

/* mydomain without a value: $myhostname without its first label. */
static const char *
default_domain(struct scope *scope, const struct expand_chain *chain, ph_error *error)
{
	const char *host = expand_item(scope, "$myhostname", chain, error);
	const char *dot = host ? strchr(host, '.') : NULL;

	if (!host)
		return NULL;
	return dot && dot[1] ? dot + 1 : "localdomain";
}

/* Names that are no parameters but can be referred to. */
static const char *
built_in(const struct config *config, const char *name)
{
	if (strcmp(name, "mail_version") == 0)
		return PACKAGE_VERSION;
	if (strcmp(name, "config_directory") == 0)
		return config->folder;
	return NULL;
}

static const char *
lookup(void *context, ph_pool *pool, const char *name, const struct expand_chain *chain,
	ph_error *error)
{
	struct scope *scope = context;
	const struct parameter *parameter = parameter_find(scope->config, name);
	const char *text = built_in(scope->config, name);
	const struct text_item *items;
	char hint[160];
	size_t count;

	if (text)
		return text;
	if (!parameter) {
		parameter_hint((struct config *)scope->config, name, hint, sizeof(hint));
		ph_error_set(error, "$%s: no such parameter%s", name, hint);
		return NULL;
	}
	if (!setting_in_force(scope->config, scope->section, parameter->param, &items, &count) &&
		strcmp(name, "mydomain") == 0)
		return default_domain(scope, chain, error);
	return expand_item(scope, items_join(pool, items, count), chain, error);
}

static const char *
expand_item(struct scope *scope, const char *text, const struct expand_chain *chain,
	ph_error *error)
{
	return expand_text(scope->config->pool, text, lookup, scope, chain, error);
}

/* Elements that grow. */
struct elements {
	struct text_item *items;
	size_t count, room;
};

static void
add_element(const struct config *config, struct elements *elements, const char *text,
	const struct text_item *from)
{
	elements->items = grow(config->pool, elements->items, elements->count, &elements->room,
		sizeof(*elements->items));
	elements->items[elements->count] = *from;
	elements->items[elements->count++].text = text;
}

/* An element that is one reference to a list stands for the elements of that list. */
static int
expand_elements(struct scope *scope, const struct text_item *items, size_t count,
	const struct expand_chain *chain, struct elements *out, ph_error *error)
{
	const struct config *config = scope->config;

	for (size_t i = 0; i < count; i++) {
		const struct parameter *parameter;
		const char *name, *text;

		if (expand_is_reference(config->pool, items[i].text, &name) &&
			(parameter = parameter_find(config, name)) &&
			param_is_list(parameter->param)) {
			struct expand_chain link = {.name = name, .up = chain};
			const struct text_item *inner;
			size_t inner_count, first;

			if (expand_check_loop(chain, name, error) != 0)
				return -1;
			setting_in_force(config, scope->section, parameter->param, &inner,
				&inner_count);
			first = out->count;
			if (expand_elements(scope, inner, inner_count, &link, out, error) != 0)
				return -1;
			for (; first < out->count; first++)
				if (!out->items[first].owner)
					out->items[first].owner = name;
			continue;
		}
		text = expand_item(scope, items[i].text, chain, error);
		if (!text)
			return -1;
		if (text[0])
			add_element(config, out, text, &items[i]);
	}
	return 0;
}

int
items_expand(const struct config *config, const struct section *section,
	const struct ph_param *param, const struct text_item *items, size_t count,
	const struct text_item **out, size_t *out_count, ph_error *error)
{
	struct scope scope = {config, section};
	struct expand_chain chain = {.name = param->name};
	struct elements elements = {0};
	const char *text;

	if (param->flags & PH_MACROS) {
		*out = items;
		*out_count = count;
		return 0;
	}
	if (count == 0 && strcmp(param->name, "mydomain") == 0 &&
		!setting_find(&config->set, "mydomain")) {
		text = default_domain(&scope, &chain, error);
		if (!text)
			return -1;
		add_element(config, &elements, text, &(struct text_item){0});
	} else if (expand_elements(&scope, items, count, &chain, &elements, error) != 0) {
		return -1;
	}
	*out = elements.items;
	*out_count = elements.count;
	return 0;
}

const char *
parameter_text(const struct config *config, const struct section *section,
	const struct ph_param *param, bool expanded, ph_error *error)
{
	const struct text_item *items;
	size_t count;

	setting_in_force(config, section, param, &items, &count);
	if ((expanded || (count == 0 && strcmp(param->name, "mydomain") == 0)) &&
		items_expand(config, section, param, items, count, &items, &count, error) != 0)
		return NULL;
	return items_join(config->pool, items, count);
}
