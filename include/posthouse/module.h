/*
 * posthouse/module.h: what a module is, its parameters, and the life of its instances.
 *
 * A module is CLASS_NAME.so. It exports one constant descriptor, posthouse_module_CLASS_NAME,
 * which PH_MODULE() writes. Compatibility: the ABI's major and the class's major must be equal; a
 * newer minor, and a struct that has grown at its end, are fine. Every struct that crosses the
 * boundary begins with its size or travels with its stride; what an older module lacks reads as 0.
 * The few without either have a layout that is fixed: ph_span, ph_error, ph_address, ph_strings,
 * ph_addresses, ph_task, ph_reply, struct ph_expansion.
 */
#ifndef POSTHOUSE_MODULE_H
#define POSTHOUSE_MODULE_H

#include <posthouse/base.h>

PH_BEGIN_DECLS

enum ph_class {
	PH_CLASS_LISTENER = 1,
	PH_CLASS_RESTRICTION,
	PH_CLASS_FILTER,
	PH_CLASS_MAP,
	PH_CLASS_QUEUE,
	PH_CLASS_TRANSPORT
};

/* ---- Parameters ------------------------------------------------------------------------------ */

/* The type of a parameter, and in brackets that of the field which it fills. */
enum ph_param_type {
	PH_BOOL = 1,     /* yes, no [bool] */
	PH_INT,          /* [int64_t], within min and max */
	PH_SIZE,         /* bytes; suffixes k m g [int64_t] */
	PH_TIME,         /* suffixes s m h d w, seconds without one [int64_t, milliseconds] */
	PH_STRING,       /* [const char *], never NULL */
	PH_PATH,         /* an absolute path, or empty [const char *] */
	PH_ENUM,         /* one of choices [int, its index] */
	PH_STRINGS,      /* a list of strings [ph_strings] */
	PH_ADDRESSES,    /* a list of address, address@port, host names not allowed [ph_addresses] */
	PH_NETWORKS,     /* a list of address/length, address [const ph_networks *] */
	PH_MATCH_LIST,   /* a list of names, .domains, and maps [const ph_match_list *] */
	PH_MAP_REF,      /* a list of maps [const ph_map *] */
	PH_RESTRICTIONS  /* a list of restrictions [const ph_rules *] */
};

enum {
	PH_PER_SECTION = 1, /* may also be set in a section (a listener's, a transport's) */
	PH_SECTION_ONLY = 2, /* means nothing outside of a section: a listener's port, a map's path */
	PH_FOR_USER = 4,     /* a transport's map that deliver_as_user() asks: it is open there too */
	PH_MACROS = 8        /* the value is the module's to expand: "$name" is no parameter, but
	                      * something that the module knows when it has a message in hand */
};

/* One parameter. A module's table is an array of these. */
struct ph_param {
	const char *name;
	enum ph_param_type type;
	uint32_t flags;
	size_t offset;             /* of the field in the instance: offsetof() */
	const char *default_value; /* as in the file; lists "a, b"; may hold $name. NULL: "" */
	int64_t min, max;          /* for int, size (bytes), time (milliseconds); both 0: not bounded */
	const char *choices;       /* for an enum: "no, normalize, reject" */
	const char *doc;           /* one sentence, for the manual */
};

/* A time as parameters have it, "10s", "5m", seconds without a unit. Milliseconds, within min and
 * max (both 0: not bounded). 0, or -1 with the error's text. */
PH_API int ph_parse_time(ph_span text, int64_t min, int64_t max, int64_t *milliseconds,
	ph_error *error);

/* The value of a name in a text with macros; NULL: there is no such name. */
typedef const char *ph_macro_fn(void *context, const char *name);

/*
 * Expands a parameter with PH_MACROS: replaces $name, ${name} and $(name) by the value,
 * ${name?text} by the text when the value is not empty, ${name:text} when it is; the text may hold
 * macros itself. "$$" is a dollar sign. Characters of values that are not in allowed (NULL: all
 * are) become "_". The result lives in the pool. NULL with the error: a name that is not known, a
 * brace that is not closed, no memory, more than 4 KiB. Pure.
 */
PH_API const char *ph_macros_expand(ph_pool *pool, const char *text, const char *allowed,
	ph_macro_fn *value, void *context, ph_error *error);

typedef struct ph_addresses {
	size_t count;
	const ph_address *items;
} ph_addresses;

typedef struct ph_networks ph_networks;
typedef struct ph_match_list ph_match_list;
typedef struct ph_rules ph_rules;

/* Is the address in a network of the list? A "!network" before it excludes. NULL list: no. */
PH_API bool ph_networks_match(const ph_networks *networks, const ph_address *address);
/* Does the list have the name (letters without case), or a parent domain of it that is written
 * with a leading dot, or a table that has it as a key? PH_FAILED: a table could not be asked. */
PH_API ph_found ph_match(const ph_match_list *list, const char *name, ph_error *error);

/* ---- Descriptor ------------------------------------------------------------------------------ */

/*
 * The life of an instance, in this order. self is the instance: the module's own struct, of
 * instance_size bytes, zeroed and filled from the parameters; read-only once start returned. All
 * may be NULL. They return 0, or -1 with the error's text.
 */
struct ph_life {
	uint32_t size;
	/* Pure: are these parameters right together? "posthouse check" ends here. */
	int (*check)(void *self, ph_error *error);
	/* In the process that uses the instance, still with root's rights where the daemon has
	 * them: open files. Also in the commands that build and query tables. */
	int (*open)(void *self, ph_error *error);
	/* Privileges are dropped, the loop runs, in a task: spawn tasks, connect. */
	int (*start)(void *self, ph_error *error);
	/* The process ends orderly: cancel and join what start spawned. In a task. */
	void (*stop)(void *self);
	void (*close)(void *self);
	/* Since ABI 1.1. Is that a value that an entry may have in a table that this parameter
	 * names? Of a table of patterns, with "$1" in it. Pure, after check. 0, or -1 with what to
	 * write instead: "posthouse check" says it with the table's file and line. */
	int (*check_entry)(void *self, const char *parameter, ph_span value, ph_error *error);
};

#define PH_MODULE_MAGIC UINT32_C(0x70686f75)

struct ph_module {
	uint32_t magic;
	uint16_t abi_major;
	uint16_t abi_minor;
	uint32_t size;          /* sizeof(struct ph_module) */
	uint16_t class_number;  /* enum ph_class */
	uint16_t class_major;
	const char *name;       /* "restriction_listed_mx" */
	const char *version;    /* the module's own */
	const char *purpose;    /* one line */
	size_t instance_size;
	const struct ph_param *params;
	size_t param_count;
	size_t param_stride;
	const struct ph_life *life;
	const void *operations; /* an array of the class's struct */
	size_t operation_count;
	size_t operation_stride;
};

/*
 * Defines the descriptor. What follows the purpose: the class's macro (PH_RESTRICTION, PH_MAP, …),
 * and, where there are parameters or life, PH_INSTANCE() and PH_LIFE().
 */
#define PH_MODULE(module_name, module_version, module_purpose, ...) \
	PH_API extern const struct ph_module posthouse_module_##module_name; \
	PH_API const struct ph_module posthouse_module_##module_name = { \
		.magic = PH_MODULE_MAGIC, \
		.abi_major = PH_ABI_MAJOR, \
		.abi_minor = PH_ABI_MINOR, \
		.size = sizeof(struct ph_module), \
		.name = #module_name, \
		.version = module_version, \
		.purpose = module_purpose, \
		__VA_ARGS__}

/* The type of the instance and the table of its parameters (an array). */
#define PH_INSTANCE(type, table) \
	.instance_size = sizeof(type), .params = (table), \
	.param_count = sizeof(table) / sizeof((table)[0]), .param_stride = sizeof(struct ph_param)

/* PH_LIFE(.open = my_open, .close = my_close) */
#define PH_LIFE(...) \
	.life = &(const struct ph_life){.size = sizeof(struct ph_life), __VA_ARGS__}

/* The name under which the configuration knows an instance: "smtp", "submission", "hash:/etc/x". */
PH_API const char *ph_instance_name(const void *self);
/* The value in force of a global parameter as text, "" when there is none of that name. Lives as
 * long as the configuration. */
PH_API const char *ph_global(const char *name);

/*
 * Opens, read-only, the file that a parameter of this instance names, with suffix appended (NULL:
 * none). Works in open(), and later for the same file through the parent, when privileges are
 * gone: the file is opened again, so that a replaced one is seen. A descriptor (close-on-exec), or
 * -1. Waits when called in a task.
 */
PH_API int ph_file_open(void *self, const char *parameter, const char *suffix, ph_error *error);

PH_END_DECLS

#endif
