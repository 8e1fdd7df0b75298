/*
 * posthouse/map.h: lookup tables, and the class of modules that provide them.
 */
#ifndef POSTHOUSE_MAP_H
#define POSTHOUSE_MAP_H

#include <posthouse/base.h>
#include <posthouse/module.h>

PH_BEGIN_DECLS

/*
 * What a parameter of type PH_MAP holds: one table or several, asked in order. Never NULL in a
 * filled instance; an empty one finds nothing.
 */
typedef struct ph_map ph_map;

/*
 * Looks a key up. The value (NULL: not wanted) is a terminated copy in the pool. PH_FAILED when a
 * table before the first hit could not be asked: the caller answers "try again later", and error
 * (may be NULL) names the table. May wait. Keys are folded to lower case for tables of fixed
 * strings and given as they are to tables of patterns.
 */
PH_API ph_found ph_map_lookup(ph_pool *pool, const ph_map *map, const char *key, const char **value,
	ph_error *error);
/* The same, asking only tables of fixed strings (partial keys: "user@", ".example.com"). */
PH_API ph_found ph_map_lookup_fixed(ph_pool *pool, const ph_map *map, const char *key,
	const char **value, ph_error *error);
/* Which parts of an address are keys, besides all of it and all of it without its extension. */
enum {
	PH_ADDRESS_USER = 1,  /* "user+extension" and "user", of $myorigin and of $mydestination */
	PH_ADDRESS_DOMAIN = 2 /* "@domain" */
};
/*
 * Looks a mail address up: user+extension@domain, user@domain, user+extension, user, @domain, as
 * flags say; what parts an extension off is in $recipient_delimiter. Tables of patterns are given
 * the whole address only. extension (may be NULL): what the key did not have, "+extension", so that
 * it can be put to what was found; "" when it had all. Otherwise as ph_map_lookup(). May wait.
 */
PH_API ph_found ph_map_lookup_address(ph_pool *pool, const ph_map *map, const char *address,
	unsigned flags, const char **value, const char **extension, ph_error *error);
PH_API bool ph_map_is_empty(const ph_map *map);
/* How the configuration names its tables, "hash:/etc/aliases, people". Lives as long as the map. */
PH_API const char *ph_map_name(const ph_map *map);
/* Its tables one by one, from 0: each as a map of its own that lives as long as the whole. NULL:
 * there are no more. */
PH_API const ph_map *ph_map_part(const ph_map *map, size_t number);
/* What its tables are, all PH_MAP_... together: PH_MAP_FIXED, PH_MAP_PATTERNS or both. */
PH_API unsigned ph_map_flags(const ph_map *map);

/* ---- The class ------------------------------------------------------------------------------ */

#define PH_MAP_MAJOR 1

enum {
	PH_MAP_PATTERNS = 1, /* keys are matched by patterns: give them whole and unfolded */
	PH_MAP_WAITS = 2,    /* find may wait: a network behind it */
	PH_MAP_FIXED = 4     /* with PH_MAP_PATTERNS: some keys are fixed strings, give partial keys too */
};

/*
 * A type of tables. A map module provides one or several, in an array: the first is what
 * "module = NAME" means in a section; all share the parameters and the life of the module. It has a
 * parameter "path" of type PH_PATH or PH_STRING: what follows the colon in "hash:/etc/aliases". Of
 * type PH_MAP_REF: the table is made of others, "unionmap:{hash:/a, hash:/b}", which the core opens
 * before it and closes with it.
 */
struct ph_map_ops {
	uint32_t size; /* sizeof(struct ph_map_ops) */
	uint32_t flags;
	/* Looks a key up; the value is written to the pool. A table that cannot be read:
	 * PH_FAILED. */
	ph_found (*find)(void *self, ph_pool *pool, ph_span key, ph_span *value, ph_error *error);
	/* Compiles the source at path into what open() reads, replacing the old one atomically;
	 * runs as a command, outside of any task, before open(). aliases: the source is an
	 * aliases(5) file ("name: value"), not "name value". NULL: nothing to build. 0 or -1. */
	int (*build)(void *self, bool aliases, ph_error *error);
	/* Calls each for every entry, until it returns non-zero; 0, that value, or -1 on error.
	 * NULL: entries cannot be listed. */
	int (*each)(void *self, int (*fn)(void *context, ph_span key, ph_span value), void *context,
		ph_error *error);
	/* The word before the colon: lower-case letters, digits and underscores. NULL: the module's
	 * name without "map_". */
	const char *type;
	/* What build() appends to the path for the name of what it makes, like ".cdb". NULL: not
	 * said. */
	const char *suffix;
	/* What this instance is, for a type whose instances differ: PH_MAP_... NULL: flags says
	 * it. */
	uint32_t (*flags_of)(const void *self);
	/* As each(), with the line of the file where the entry begins. NULL: each() and a look into
	 * the file, which is one of pairs, have to do. */
	int (*each_line)(void *self, int (*fn)(void *context, int line, ph_span key, ph_span value),
		void *context, ph_error *error);
};

/* The type of an instance as it was asked for, "pcre" of "pcre:/etc/x": for the functions of
 * ph_life, when a module has several. "" when it is no map's. Lives as long as the instance. */
PH_API const char *ph_map_type(const void *self);

/* One type. */
#define PH_MAP(...) \
	.class_number = PH_CLASS_MAP, .class_major = PH_MAP_MAJOR, \
	.operations = &(const struct ph_map_ops){.size = sizeof(struct ph_map_ops), __VA_ARGS__}, \
	.operation_count = 1, .operation_stride = sizeof(struct ph_map_ops)

/* Several: an array of struct ph_map_ops. */
#define PH_MAP_TABLE(table) \
	.class_number = PH_CLASS_MAP, .class_major = PH_MAP_MAJOR, .operations = (table), \
	.operation_count = sizeof(table) / sizeof((table)[0]), \
	.operation_stride = sizeof(struct ph_map_ops)

PH_END_DECLS

#endif
