/*
 * Instances: a module's struct, filled, in pages of its own, and its life.
 */
#include "config/state.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/grow.h"

/* The configurations of this process: instance_of() looks through them. */
static struct config *configs;

/* In front of the instance in its pages. */
struct pages {
	size_t size;
	bool broken;
};

#define PAGES_HEAD 64

static struct pages *
pages_of(const struct instance *instance)
{
	return (struct pages *)((char *)instance->self - PAGES_HEAD);
}

void
config_enlist(struct config *config)
{
	config->next = configs;
	configs = config;
}

void
config_delist(struct config *config)
{
	struct config **link = &configs;

	while (*link && *link != config)
		link = &(*link)->next;
	if (*link)
		*link = config->next;
}

const struct module *
instance_module(const struct instance *instance)
{
	return (const struct module *)((const char *)instance->module -
		offsetof(struct module, descriptor));
}

struct instance *
instance_new(struct config *config, const struct module *module, const char *name, const char *file,
	int line)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), number = module->class->number;
	size_t size = (PAGES_HEAD + module->descriptor.instance_size + page) / page * page;
	struct instance *instance = memory_or_die(ph_pool_alloc(config->pool, sizeof(*instance)));
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memory_or_die(memory == MAP_FAILED ? NULL : memory);
	((struct pages *)memory)->size = size;
	instance->self = memory + PAGES_HEAD;
	instance->module = &module->descriptor;
	instance->ops = module->descriptor.operations;
	instance->name = memory_or_die(ph_pool_strdup(config->pool, name));
	instance->file = file;
	instance->line = line;
	instance->number = (unsigned)config->instance_count[number];
	config->instances[number] = grow(config->pool, config->instances[number],
		config->instance_count[number], &config->instance_room[number],
		sizeof(struct instance *));
	config->instances[number][config->instance_count[number]++] = instance;
	return instance;
}

void
instance_free(struct instance *instance)
{
	struct pages *pages = pages_of(instance);

	munmap(pages, pages->size);
}

void
instance_set_broken(struct instance *instance)
{
	pages_of(instance)->broken = true;
}

bool
instance_is_broken(const struct instance *instance)
{
	return pages_of(instance)->broken;
}

struct instance *
instance_of(const void *self)
{
	for (struct config *config = configs; config; config = config->next)
		for (size_t class = 1; class < CLASS_COUNT; class++)
			for (size_t i = 0; i < config->instance_count[class]; i++)
				if (config->instances[class][i]->self == self)
					return config->instances[class][i];
	return NULL;
}

const char *
ph_instance_name(const void *self)
{
	const struct instance *instance = instance_of(self);

	return instance ? instance->name : "";
}

/* ---- Life ------------------------------------------------------------------------------------ */

static const struct ph_life *
life_of(const struct instance *instance)
{
	static const struct ph_life none = {.size = sizeof(none)};

	return instance->module->life ? instance->module->life : &none;
}

/* The module's text, with the instance in front unless it names itself. */
static int
failed(const struct instance *instance, const ph_error *why, ph_error *error)
{
	if (strncmp(why->text, instance->name, strlen(instance->name)) == 0)
		return ph_error_set(error, "%s", why->text);
	return ph_error_set(error, "%s %s: %s", instance_module(instance)->class->name,
		instance->name, why->text[0] ? why->text : "failed without a reason");
}

int
instance_open(struct instance *instance, ph_error *error)
{
	ph_error why = {""};

	if (instance->opened)
		return 0;
	if (map_each_nested(instance, instance_open, error) != 0)
		return -1;
	if (life_of(instance)->open && life_of(instance)->open(instance->self, &why) != 0)
		return failed(instance, &why, error);
	instance->opened = true;
	return 0;
}

int
instance_start(struct instance *instance, ph_error *error)
{
	struct pages *pages = pages_of(instance);
	ph_error why = {""};

	if (instance->started)
		return 0;
	if (life_of(instance)->start && life_of(instance)->start(instance->self, &why) != 0)
		return failed(instance, &why, error);
	instance->started = true;
	mprotect(pages, pages->size, PROT_READ);
	return 0;
}

void
instance_stop(struct instance *instance)
{
	struct pages *pages = pages_of(instance);

	if (!instance->started)
		return;
	if (life_of(instance)->stop)
		life_of(instance)->stop(instance->self);
	mprotect(pages, pages->size, PROT_READ | PROT_WRITE);
	instance->started = false;
}

static int
close_nested(struct instance *instance, ph_error *error)
{
	instance_close(instance);
	return 0;
}

void
instance_close(struct instance *instance)
{
	if (!instance->opened)
		return;
	if (life_of(instance)->close)
		life_of(instance)->close(instance->self);
	instance->opened = false;
	map_each_nested(instance, close_nested, NULL);
}
