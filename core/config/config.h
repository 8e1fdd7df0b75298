/*
 * A configuration in force: the core's settings, the loaded modules and their instances.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdio.h>

#include <posthouse/module.h>

#include "config/settings.h"

/* One module's instance, made by the configuration. */
struct instance {
	void *self;                     /* the module's struct; what its functions get */
	const struct ph_module *module;
	const void *ops;                /* module->operations, padded with zeros to the core's size */
	const char *name;               /* "smtp", "submission", "hash:/etc/aliases", "restriction_helo" */
	const char *file;               /* where it was configured; NULL: made by default */
	int line;
	const struct policy_settings *policy; /* listeners only */
	unsigned number;                /* among the instances of its class, from 0, in file order */
	bool opened, started;
	bool visited;                   /* on the way down through tables that are made of others */
};

/* Everything that a check found, one line each: "file:line: text". */
struct problems;
struct problems *problems_new(void);
void problems_add(struct problems *problems, const char *file, int line, const char *format, ...)
	PH_PRINTF(4, 5);
/* The same as a warning: shown, but the configuration stands. */
void problems_warn(struct problems *problems, const char *file, int line, const char *format, ...)
	PH_PRINTF(4, 5);
size_t problems_count(const struct problems *problems); /* without warnings */
/* Calls fn for each in the order of files and lines. */
void problems_each(const struct problems *problems,
	void (*fn)(void *context, bool warning, const char *line), void *context);
void problems_print(const struct problems *problems, FILE *out);
void problems_free(struct problems *problems);

struct config;

/* Texts of all files of a configuration, as they were read: what a new generation can be started
 * from when the files have changed since. */
int config_snapshot(const struct config *config, int fd, ph_error *error);

/* Reads, loads, fills and checks (ph_life.check of each instance). NULL when there are problems
 * other than warnings; all of them are in problems. snapshot_fd: a snapshot, or -1. */
struct config *config_load(const char *path, int snapshot_fd, struct problems *problems);
void config_free(struct config *config);
const char *config_path(const struct config *config);

const struct settings *config_settings(const struct config *config);
/* The instances of a class, by number; NULL behind the last. */
struct instance *config_instance(const struct config *config, enum ph_class class_number, size_t i);
/* By name within a class; NULL: none. For a transport also "" → NULL. */
struct instance *config_find(const struct config *config, enum ph_class class_number,
	const char *name);
/* The storage that a listener's or the default queue name means; never NULL in a loaded config. */
struct instance *config_queue(const struct config *config, const char *name);
/* The value of a parameter as text, "$name" expanded or not; NULL: no such parameter. */
const char *config_value(const struct config *config, const char *name, bool expanded);

/* The configuration of this process, which ph_global() and others use. Set once after loading. */
void config_set_current(const struct config *config);
const struct config *config_current(void);

/* Life. open: once, 0 or -1 with the error naming the instance. close undoes what was done. */
int instance_open(struct instance *instance, ph_error *error);
int instance_start(struct instance *instance, ph_error *error);
void instance_stop(struct instance *instance);
void instance_close(struct instance *instance);
struct instance *instance_of(const void *self);
/* Opens every map instance, and the restriction and filter instances; closes them. */
int config_open_maps(const struct config *config, ph_error *error);
void config_close_maps(const struct config *config);

/* Opens the tables of one map. 0 or -1. */
int map_open_tables(const ph_map *map, ph_error *error);

/* What a table of a parameter had for a key. */
struct map_answer {
	const char *parameter, *table, *key; /* "alias_maps", "hash:/etc/aliases" */
	ph_found found;                      /* PH_FOUND or PH_FAILED */
	const char *text;                    /* the value, or why it failed; NULL: it was not asked for */
};
typedef void map_watch_fn(void *context, const struct map_answer *answer);
/* Has it called for each lookup that finds something or fails: for a command that explains. Texts
 * are gone when it returns. NULL: no more. */
void map_set_watch(map_watch_fn *fn, void *context);

/* The map that "type:path" means, for a command: the type's module is loaded if the configuration
 * does not load it, and a path is taken from the working directory. It is checked, not opened:
 * build() it, or instance_open() it. NULL with the error. Lives as long as the configuration. */
struct instance *config_map_open(struct config *config, const char *type_colon_path,
	ph_error *error);

/* ---- Rules: what a parameter of type PH_RESTRICTIONS holds ----------------------------------- */

struct ph_restriction;

/* One element of a restrictions list, resolved: a module's restriction or, with restriction NULL, a
 * restriction class (rules is its list) or a word of the core's own ("permit", "reject", "defer",
 * "warn_if_reject", …). */
struct ph_rule {
	const char *name;
	const char *argument;              /* "" without one */
	const struct ph_restriction *restriction;
	const struct instance *instance;   /* the module's; NULL for the core's own words */
	const ph_map *map;                 /* with PH_ARGUMENT_MAP */
	const char *file;
	int line;
	int64_t number;                    /* argument of sleep: seconds */
	const void *prepared;              /* what the restriction made of its argument */
	const struct ph_rules *rules;      /* of a restriction class */
};

struct ph_rules {
	size_t count;
	const struct ph_rule *items;
};

/* The restrictions that a text names, as a table answers it: "permit_mynetworks, reject". Tables in
 * it must be open already: named in the configuration too. All in the pool; NULL with the error. */
const ph_rules *rules_parse(const struct config *config, ph_pool *pool, const char *text,
	ph_error *error);

#endif
