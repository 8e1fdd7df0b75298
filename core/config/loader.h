/*
 * Modules: from a file to a descriptor that the core can trust, at the core's own sizes. What is
 * loaded stays loaded for the life of the process.
 */
#ifndef CONFIG_LOADER_H
#define CONFIG_LOADER_H

#include <posthouse/map.h>
#include <posthouse/module.h>
#include <posthouse/transport.h>

/* A class of modules: its word in the configuration and in module names. */
struct module_class {
	enum ph_class number;
	const char *name;       /* "listener" */
	unsigned major;
	size_t operation_size;  /* of its struct, as the core knows it */
	bool sections;          /* are there sections of this class? */
};

extern const struct module_class module_classes[];
extern const size_t module_class_count;
/* By the word before the underscore in "listener_smtp", or NULL. */
const struct module_class *module_class_of(const char *module_name);

struct module {
	const char *name;        /* "map_hash" */
	const char *short_name;  /* "hash" */
	const char *path;
	const struct module_class *class;
	unsigned abi_minor;      /* of the module */
	struct ph_module descriptor; /* padded, and so are its params, life and operations */
};

/* The operations of a map module for a type of tables; NULL: it provides none of that name. Their
 * type is never NULL. */
const struct ph_map_ops *module_map_type(const struct module *module, const char *type);
/* The same for the name of a transport. */
const struct ph_transport_ops *module_transport(const struct module *module, const char *name);

enum {
	LOADER_UNTRUSTED = 1 /* whoever may write the file: for tools that a user runs for himself */
};

/* Is it CLASS_NAME, of lower-case letters, digits and underscores? */
bool loader_is_name(const char *name);
/*
 * Loads directory/NAME.so, or returns it when it is loaded already from there. NULL with the error:
 * it names the file and says what to do. The module lives as long as the process.
 */
const struct module *loader_load(const char *directory, const char *name, unsigned flags,
	ph_error *error);
/* The names of the modules in a directory, sorted, in the pool. */
ph_strings loader_list(ph_pool *pool, const char *directory);
/* Checks a descriptor that was found in a file named so and copies it; for the tests too. */
const struct module *loader_adopt(const struct ph_module *descriptor, const char *name,
	const char *path, ph_error *error);

#endif
