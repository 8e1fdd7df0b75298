/*
 * A configuration from the inside: what the files of this room share, and what the commands that
 * show and edit parameters need beyond config.h.
 */
#ifndef CONFIG_STATE_H
#define CONFIG_STATE_H

#include <posthouse/restriction.h>

#include "config/config.h"
#include "config/expand.h"
#include "config/loader.h"
#include "config/parse.h"
#include "config/sources.h"

#define CLASS_COUNT (PH_CLASS_TRANSPORT + 1)

/* What is set under one name, in one section or outside of all. */
struct setting {
	const char *name;
	const struct text_item *items;
	size_t count;
	bool braced;
	const char *file;
	int line;
	bool used;      /* an instance took it, and reported what is wrong with it */
};

struct settings_set {
	struct setting *items;
	size_t count, room;
};

/* "listener submission { … }". */
struct section {
	const struct module_class *class;
	const char *title;
	const char *file;
	int line;
	const struct module *module; /* NULL: missing or unknown; a problem was added */
	const void *ops;             /* of the type that was named, among the module's */
	struct settings_set set;
	struct instance *instance;
	bool referred;               /* a parameter or a restriction names this map */
};

/* A name that can be set outside of sections, and whose it is. */
struct parameter {
	const struct ph_param *param;
	const struct module *owner; /* NULL: the core */
	bool policy;                /* of the core's policy table: a listener may set it */
	const char *text[2];        /* its value, unexpanded and expanded, once it was asked for */
};

/* A list of restrictions that the configuration names itself. */
struct rule_class {
	struct ph_param param;
	const char *file;              /* where it was named */
	int line;
	enum { CLASS_NEW, CLASS_BEING_MADE, CLASS_MADE } state;
	const ph_rules *rules;
};

struct config {
	ph_pool *pool;
	const char *path;
	const char *folder;
	struct sources sources;
	struct settings settings;
	unsigned flags;                /* CONFIG_... */
	const struct module **modules; /* in the order of load() */
	size_t module_count, module_room;
	bool load_failed;
	bool rules_failed;             /* a list of restrictions is not what it should be */
	size_t fill_problems;          /* wrong values so far */
	struct parameter *parameters;  /* by name; the core's first, then in the order of load() */
	size_t parameter_count;
	struct settings_set set;       /* outside of sections */
	struct rule_class *rule_classes;
	size_t rule_class_count;
	struct section **sections;
	size_t section_count, section_room;
	struct instance **instances[CLASS_COUNT];
	size_t instance_count[CLASS_COUNT], instance_room[CLASS_COUNT];
	const char *myhostname;        /* the host's own name, once it was asked for */
	struct problems *problems;     /* while it is loaded */
	struct config *next;           /* the configurations of this process */
};

enum {
	CONFIG_UNTRUSTED = 1, /* load modules whoever may write them: a tool for its own user */
	CONFIG_DEFAULTS = 2   /* no file is read; no module is loaded */
};

/*
 * config_load() without its last word: the configuration is there even when there are problems
 * (instances then may lack their values). text, unless its data are NULL, stands for the file.
 */
struct config *config_read(const char *path, ph_span text, int snapshot_fd, unsigned flags,
	struct problems *problems);

/* Problems of this file come behind those of the files named before (problems.c). */
void problems_file(struct problems *problems, const char *file);

bool config_has_module(const struct config *config, const char *name);
/* The section that an instance was made of; NULL: none. */
const struct section *config_section_of(const struct config *config,
	const struct instance *instance);

/* ---- Parameters (parameter.c) */
void parameters_collect(struct config *config);
/* By name among those that may stand outside of sections; NULL: none. */
const struct parameter *parameter_find(const struct config *config, const char *name);
/* "; did you mean X?", "; load(M) provides it", or "". Returns text. */
const char *parameter_hint(struct config *config, const char *name, char *text, size_t size);
struct setting *setting_find(const struct settings_set *set, const char *name);
/* In a module's table; NULL. Of a listener also in the policy table. */
const struct ph_param *section_param(const struct module_class *class, const struct module *module,
	const char *name);
bool param_is_list(const struct ph_param *param);
/*
 * The elements in force of a parameter, unexpanded: of the section, else those set outside, else
 * the default (default_param's). The setting they come from, or NULL. Never fails.
 */
struct setting *setting_in_force(const struct config *config, const struct section *section,
	const struct ph_param *param, const struct text_item **items, size_t *count);
/* The same, expanded; 0 or -1. */
int items_expand(const struct config *config, const struct section *section,
	const struct ph_param *param, const struct text_item *items, size_t count,
	const struct text_item **out, size_t *out_count, ph_error *error);
/* A parameter's text of the section, "listener/submission/port", or outside; NULL: no such. */
const char *parameter_text(const struct config *config, const struct section *section,
	const struct ph_param *param, bool expanded, ph_error *error);
const char *items_join(ph_pool *pool, const struct text_item *items, size_t count);
/* Elements of a default, "a, b". */
void default_items(const struct config *config, const struct ph_param *param,
	const struct text_item **items, size_t *count);

/* No name may mean different things to two modules. */
void parameters_check(struct config *config);

/* ---- Sections (section.c): finds their modules, and checks what stands in them */
void sections_check(struct config *config);

/* ---- Instances and their values (build.c) */
void instances_build(struct config *config);

/* ---- Texts of reports (templates.c) */
void templates_build(struct config *config);

/* ---- Values (fill.c) */
/* Where a struct's fields get their values from. */
struct fill {
	struct config *config;
	const struct section *section; /* NULL: outside */
	const char *file;              /* for problems of defaults: what makes them count */
	int line;
	const char *path;              /* the value of "path": a map opened in place; else NULL */
	const ph_map *tables;          /* the same for a map that is made of others */
};
void fill_struct(const struct fill *fill, const struct ph_param *params, size_t count, void *base);
/* One parameter into a field. */
void fill_field(const struct fill *fill, const struct ph_param *param, void *field);

/* ---- Instances (instance.c) */
struct instance *instance_new(struct config *config, const struct module *module, const char *name,
	const char *file, int line);
void instance_free(struct instance *instance);
/* Its values are not right: nothing of it is called. */
void instance_set_broken(struct instance *instance);
bool instance_is_broken(const struct instance *instance);
/* The configurations in which instance_of() looks. */
void config_enlist(struct config *config);
void config_delist(struct config *config);
const struct module *instance_module(const struct instance *instance);

/* ---- Maps (map.c) */
/* The instance that "type:path" or a section's name means; NULL with the error. */
struct instance *map_instance(struct config *config, const char *reference, const char *file,
	int line, ph_error *error);
/* The same for an element of a parameter. That of a default needs no load(): an installed module
 * that provides its type is loaded. */
struct instance *map_for(const struct fill *fill, const struct text_item *item,
	const char *reference, ph_error *error);
bool map_is_section(const struct config *config, const char *name);
/* In the pool. parameter: whose value it is, for map_set_watch(); NULL: it is not told of. */
const ph_map *map_make(ph_pool *pool, struct instance *const *instances, size_t count,
	const char *parameter);
/* PH_MAP_... of an instance: PH_MAP_FIXED, PH_MAP_PATTERNS or both, and PH_MAP_WAITS. */
unsigned map_flags(const struct instance *instance);
/* One of the tables of a map; NULL behind the last. */
struct instance *map_table(const ph_map *map, size_t index);
/* The file that a table is made of; NULL: it is none of those. */
const char *map_source(const struct instance *instance);
/* Calls fn for each table that a map is made of, until it returns other than 0; that, or 0. */
int map_each_nested(const struct instance *instance, int (*fn)(struct instance *, ph_error *),
	ph_error *error);

/* ---- Types of tables (maptype.c) */
/* The operations of the loaded module that provides a type; NULL: there is none. module may be
 * NULL. */
const struct ph_map_ops *map_type(const struct config *config, const char *type,
	const struct module **module);
/* "proxy:TYPE:name" without "proxy:", unless a module provides that. */
const char *map_without_proxy(const struct config *config, const char *reference);
/* The installed module that provides it, or NULL; then the types of all that are installed were
 * tried for a near one (nearest may be NULL). */
struct nearest;
const char *map_type_provider(struct config *config, const char *type, struct nearest *nearest);
/* Loads the installed modules that provide the types in "type:path", those of tables in its braces
 * too, as far as none of the loaded does. -1: that failed; when there is none that is no
 * failure. */
int map_types_load(struct config *config, const char *reference, ph_error *error);
/* What stands in the braces of a table that is made of others. 0, or -1: there are none. */
int map_nested(const char *text, ph_span *inside);
/* No loaded module provides the type of the reference: is there one that would, or is it
 * misspelt? */
void map_type_explain(struct config *config, const char *reference, const char *type,
	ph_error *error);
/* No two modules may provide one type. */
void map_types_check(struct config *config);

/* ---- Names of transports (transportname.c) */
/* The operations of the loaded module that provides one, and the module; NULL: there is none. */
const struct ph_transport_ops *transport_named(const struct config *config, const char *name,
	const struct module **module);
/* The installed module that provides it, or NULL; then the names of all that are installed were
 * tried for a near one (nearest may be NULL). */
const char *transport_provider(struct config *config, const char *name, struct nearest *nearest);
/* No two modules may provide one. */
void transport_names_check(struct config *config);

/* ---- Match lists and networks (match.c) */
const ph_match_list *match_make(const struct fill *fill, const struct ph_param *param,
	const struct text_item *items, size_t count);
const ph_networks *networks_make(const struct fill *fill, const struct ph_param *param,
	const struct text_item *items, size_t count);

/* ---- Restrictions (rules.c) */
const ph_rules *rules_make(const struct fill *fill, const struct ph_param *param,
	const struct text_item *items, size_t count);
/* The words of the core's own, with their documentation; check is NULL. */
extern const struct ph_restriction rule_words[];
extern const size_t rule_word_count;
/* Does it take an argument? As far as it is known: config may be NULL. */
bool rule_takes_argument(const struct config *config, const char *word);
bool rule_is_known(const struct config *config, const char *word);

/* ---- Classes of restrictions (classes.c) */
/* Finds their names, when modules are loaded and before the parameters are collected. */
void rule_classes_collect(struct config *config);
struct rule_class *rule_class_find(const struct config *config, const char *name);
/* Its list, which is made when it is first asked for; NULL with the error. */
const ph_rules *rule_class_rules(struct config *config, struct rule_class *class, ph_error *error);

/* ---- What a configuration as a whole must be (check.c) */
void config_check(struct config *config);

/* Adds "NAME: text" at an element, or where the fill says. */
void fill_problem(const struct fill *fill, const struct ph_param *param,
	const struct text_item *item, const char *format, ...) PH_PRINTF(4, 5);

#endif
