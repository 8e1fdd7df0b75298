#include "config/loader.h"

#include <config.h>

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <ltdl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <posthouse/filter.h>
#include <posthouse/listener.h>
#include <posthouse/map.h>
#include <posthouse/queue.h>
#include <posthouse/restriction.h>
#include <posthouse/transport.h>

#include "config/grow.h"
#include "config/nearest.h"
#include "config/trust.h"

#define NAME_MAX_SIZE 64
#define INSTANCE_MAX (1u << 20)

const struct module_class module_classes[] = {
	{PH_CLASS_LISTENER, "listener", PH_LISTENER_MAJOR, sizeof(struct ph_listener_ops), true},
	{PH_CLASS_RESTRICTION, "restriction", PH_RESTRICTION_MAJOR, sizeof(struct ph_restriction), false},
	{PH_CLASS_FILTER, "filter", PH_FILTER_MAJOR, sizeof(struct ph_filter_ops), true},
	{PH_CLASS_MAP, "map", PH_MAP_MAJOR, sizeof(struct ph_map_ops), true},
	{PH_CLASS_QUEUE, "queue", PH_QUEUE_MAJOR, sizeof(struct ph_queue_ops), true},
	{PH_CLASS_TRANSPORT, "transport", PH_TRANSPORT_MAJOR, sizeof(struct ph_transport_ops), true},
};

const size_t module_class_count = sizeof(module_classes) / sizeof(module_classes[0]);

/* What is loaded in this process. */
static struct module **loaded;
static size_t loaded_count, loaded_room;
static ph_pool *loader_pool;

const struct module_class *
module_class_of(const char *module_name)
{
	for (size_t i = 0; i < module_class_count; i++) {
		size_t size = strlen(module_classes[i].name);

		if (strncmp(module_name, module_classes[i].name, size) == 0 &&
			module_name[size] == '_')
			return &module_classes[i];
	}
	return NULL;
}

bool
loader_is_name(const char *name)
{
	const struct module_class *class = module_class_of(name);
	size_t size = strlen(name);

	if (!class || size >= NAME_MAX_SIZE || size == strlen(class->name) + 1)
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == size;
}

static ph_pool *
pool(void)
{
	if (!loader_pool)
		loader_pool = memory_or_die(ph_pool_new(0));
	return loader_pool;
}

/* ---- The file: who may write it, and is it whole? -------------------------------------------- */

static int
check_owner(const char *path, const struct stat *status, ph_error *error)
{
	if (status->st_uid != 0 && status->st_uid != geteuid())
		return ph_error_set(error, "%s is owned by user %lu: it must belong to root", path,
			(unsigned long)status->st_uid);
	if (status->st_mode & (S_IWGRP | S_IWOTH))
		return ph_error_set(error, "%s is writable by %s: chmod go-w it", path,
			status->st_mode & S_IWOTH ? "everybody" : "its group");
	return 0;
}

static int
check_folder(const char *folder, ph_error *error)
{
	struct stat status;

	if (stat(folder, &status) == -1)
		return ph_error_set(error, "%s: %s", folder, strerror(errno));
	return check_owner(folder, &status, error);
}

/* The file and the folder that it really lies in, before anything of it runs: dlopen runs
 * constructors. */
static int
check_trust(const char *path, ph_error *error)
{
	char folder[PATH_MAX];
	struct stat status;
	ph_error why;

	if (stat(path, &status) == -1)
		return ph_error_set(error, "%s: %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return ph_error_set(error, "%s is not a regular file", path);
	if (check_owner(path, &status, error) != 0)
		return -1;
	snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path), path);
	if (check_folder(folder[0] ? folder : "/", error) != 0)
		return -1;
	return trust_above(path, (gid_t)-1, &why) == 0 ? 0
		: ph_error_set(error, "%s: %.180s", path, why.text);
}

/* Does every segment lie within the file? Mapping one that does not ends in SIGBUS. */
static bool
segments_fit(int fd, const ElfW(Ehdr) *header, off_t size)
{
	for (unsigned i = 0; i < header->e_phnum; i++) {
		off_t at = (off_t)(header->e_phoff + (size_t)i * header->e_phentsize);
		ElfW(Phdr) segment;

		if (pread(fd, &segment, sizeof(segment), at) != sizeof(segment))
			return false;
		if (segment.p_offset > (uint64_t)size ||
			segment.p_filesz > (uint64_t)size - segment.p_offset)
			return false;
	}
	return true;
}

static int
check_whole(const char *path, ph_error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ElfW(Ehdr) header;
	struct stat status;
	bool elf, whole;

	if (fd == -1 || fstat(fd, &status) == -1) {
		ph_error_set(error, "%s: %s", path, strerror(errno));
		if (fd != -1)
			close(fd);
		return -1;
	}
	elf = pread(fd, &header, sizeof(header), 0) == sizeof(header) &&
		memcmp(header.e_ident, ELFMAG, SELFMAG) == 0;
	whole = elf && header.e_phentsize == sizeof(ElfW(Phdr)) &&
		header.e_shoff <= (uint64_t)status.st_size &&
		(uint64_t)header.e_shnum * header.e_shentsize <= (uint64_t)status.st_size - header.e_shoff &&
		segments_fit(fd, &header, status.st_size);
	close(fd);
	if (!elf)
		return ph_error_set(error, "%s is not a shared object", path);
	return whole ? 0 : ph_error_set(error, "%s is cut off: install it again", path);
}

/* ---- The descriptor -------------------------------------------------------------------------- */

/* The size that a field of this type has in an instance. */
static size_t
field_size(enum ph_param_type type)
{
	switch (type) {
	case PH_BOOL:
		return sizeof(bool);
	case PH_ENUM:
		return sizeof(int);
	case PH_INT:
	case PH_SIZE:
	case PH_TIME:
		return sizeof(int64_t);
	case PH_STRINGS:
		return sizeof(ph_strings);
	case PH_ADDRESSES:
		return sizeof(ph_addresses);
	case PH_STRING:
	case PH_PATH:
	case PH_NETWORKS:
	case PH_MATCH_LIST:
	case PH_MAP_REF:
	case PH_RESTRICTIONS:
		return sizeof(void *);
	}
	return 0;
}

/* count elements of a struct, each brought from the module's size to the core's. */
static void *
pad(const void *from, size_t count, size_t stride, size_t own)
{
	char *to = memory_or_die(ph_pool_array(pool(), count + 1, own));

	for (size_t i = 0; i < count; i++)
		memcpy(to + i * own, (const char *)from + i * stride, stride < own ? stride : own);
	return to;
}

static int
adopt_params(struct module *module, ph_error *error)
{
	struct ph_module *descriptor = &module->descriptor;
	const struct ph_param *params;

	if (descriptor->instance_size > INSTANCE_MAX)
		return ph_error_set(error, "%s: broken: its instance has %zu bytes", module->path,
			descriptor->instance_size);
	if (descriptor->param_count && (!descriptor->params || descriptor->param_stride <
		offsetof(struct ph_param, doc) || descriptor->param_count > 1000))
		return ph_error_set(error, "%s: broken: its table of parameters is none",
			module->path);
	params = pad(descriptor->params, descriptor->param_count, descriptor->param_stride,
		sizeof(*params));
	for (size_t i = 0; i < descriptor->param_count; i++) {
		size_t size = field_size(params[i].type);

		if (!params[i].name || size == 0)
			return ph_error_set(error,
				"%s: broken: parameter %zu has no name or a type that "
				"posthouse %s does not know", module->path, i + 1, PACKAGE_VERSION);
		if (params[i].offset > descriptor->instance_size ||
			size > descriptor->instance_size - params[i].offset)
			return ph_error_set(error,
				"%s: broken: the field of %s lies outside of the instance",
				module->path, params[i].name);
		if (params[i].type == PH_ENUM && !params[i].choices)
			return ph_error_set(error, "%s: broken: %s has no choices", module->path,
				params[i].name);
	}
	descriptor->params = params;
	descriptor->param_stride = sizeof(*params);
	return 0;
}

/* The words by which the operations of a class with several are known. */
static const char **
word_of(const struct module *module, size_t i)
{
	const void *operations = module->descriptor.operations; /* pad()'s, so that it can be written */

	return module->class->number == PH_CLASS_MAP ? &((struct ph_map_ops *)operations)[i].type
		: &((struct ph_transport_ops *)operations)[i].name;
}

/* Among the first so many; -1: none has the word. */
static int
find_word(const struct module *module, size_t count, const char *word)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(*word_of(module, i), word) == 0)
			return (int)i;
	return -1;
}

const struct ph_map_ops *
module_map_type(const struct module *module, const char *type)
{
	const struct ph_map_ops *types = module->descriptor.operations;
	int i = module->class->number != PH_CLASS_MAP ? -1
		: find_word(module, module->descriptor.operation_count, type);

	return i == -1 ? NULL : &types[i];
}

const struct ph_transport_ops *
module_transport(const struct module *module, const char *name)
{
	const struct ph_transport_ops *transports = module->descriptor.operations;
	int i = module->class->number != PH_CLASS_TRANSPORT ? -1
		: find_word(module, module->descriptor.operation_count, name);

	return i == -1 ? NULL : &transports[i];
}

/* Every type of tables, every transport gets its word. */
static int
adopt_words(struct module *module, ph_error *error)
{
	bool map = module->class->number == PH_CLASS_MAP;

	for (size_t i = 0; i < module->descriptor.operation_count; i++) {
		const char **word = word_of(module, i);

		if (!*word)
			*word = module->short_name;
		if (!**word || (*word)[strspn(*word, "abcdefghijklmnopqrstuvwxyz0123456789_")])
			return ph_error_set(error, "%s: broken: \"%.40s\" is no name for a %s",
				module->path, *word, map ? "type of tables" : "transport");
		if (find_word(module, i, *word) != -1)
			return ph_error_set(error, "%s: broken: it provides the %s %s twice",
				module->path, map ? "type" : "transport", *word);
	}
	return 0;
}

static int
adopt_operations(struct module *module, ph_error *error)
{
	struct ph_module *descriptor = &module->descriptor;
	bool words = module->class->number == PH_CLASS_MAP ||
		module->class->number == PH_CLASS_TRANSPORT;
	bool one = !words && module->class->number != PH_CLASS_RESTRICTION;

	if (!descriptor->operations || descriptor->operation_count == 0 ||
		descriptor->operation_count > 1000 || (one && descriptor->operation_count != 1) ||
		descriptor->operation_stride < 2 * sizeof(uint32_t))
		return ph_error_set(error, "%s: broken: it has no operations", module->path);
	descriptor->operations = pad(descriptor->operations, descriptor->operation_count,
		descriptor->operation_stride, module->class->operation_size);
	descriptor->operation_stride = module->class->operation_size;
	if (words && adopt_words(module, error) != 0)
		return -1;
	if (descriptor->life && descriptor->life->size < sizeof(uint32_t))
		return ph_error_set(error, "%s: broken: its life has no size", module->path);
	if (descriptor->life)
		descriptor->life = pad(descriptor->life, 1, descriptor->life->size,
			sizeof(struct ph_life));
	return 0;
}

/* Is it a descriptor, of our ABI, of the class and the name that the file says? */
static int
check_descriptor(const struct ph_module *found, const char *name, const char *path, ph_error *error)
{
	const struct module_class *class = module_class_of(name);

	if (found->magic != PH_MODULE_MAGIC)
		return ph_error_set(error, "%s: posthouse_module_%s is not a module's descriptor",
			path, name);
	if (found->abi_major != PH_ABI_MAJOR)
		return ph_error_set(error,
			"%s: built for module ABI %u; posthouse %s has ABI %u: build it again", path,
			found->abi_major, PACKAGE_VERSION, PH_ABI_MAJOR);
	if (found->size < offsetof(struct ph_module, operation_stride) + sizeof(size_t))
		return ph_error_set(error, "%s: broken: a descriptor of %u bytes", path,
			found->size);
	if (!found->name || strcmp(found->name, name) != 0)
		return ph_error_set(error,
			"%s: the module in it is %s: the file must be named after it",
			path, found->name ? found->name : "nameless");
	if (found->class_number != (unsigned)class->number)
		return ph_error_set(error, "%s: the module in it is not a %s", path, class->name);
	if (found->class_major != class->major)
		return ph_error_set(error,
			"%s: built for version %u of the class %s; posthouse %s has version %u: build it again",
			path, found->class_major, class->name, PACKAGE_VERSION, class->major);
	return 0;
}

const struct module *
loader_adopt(const struct ph_module *descriptor, const char *name, const char *path,
	ph_error *error)
{
	struct module *module;

	if (check_descriptor(descriptor, name, path, error) != 0)
		return NULL;
	module = memory_or_die(ph_pool_alloc(pool(), sizeof(*module)));
	module->class = module_class_of(name);
	module->name = memory_or_die(ph_pool_strdup(pool(), name));
	module->short_name = module->name + strlen(module->class->name) + 1;
	module->path = memory_or_die(ph_pool_strdup(pool(), path));
	module->abi_minor = descriptor->abi_minor;
	memcpy(&module->descriptor, descriptor, descriptor->size < sizeof(module->descriptor)
		? descriptor->size : sizeof(module->descriptor));
	module->descriptor.name = module->name;
	if (!module->descriptor.version)
		module->descriptor.version = "";
	if (!module->descriptor.purpose)
		module->descriptor.purpose = "";
	if (adopt_params(module, error) != 0 || adopt_operations(module, error) != 0)
		return NULL;
	loaded = grow(pool(), loaded, loaded_count, &loaded_room, sizeof(*loaded));
	loaded[loaded_count++] = module;
	return module;
}

/* ---- Loading --------------------------------------------------------------------------------- */

/* dlopen's text, made plain: "version `POSTHOUSE_1.1' not found" is a matter of our own version. */
static void
explain(const char *path, const char *text, ph_error *error)
{
	static const char pattern[] = "version `POSTHOUSE_";
	const char *version = strstr(text, pattern), *end;
	size_t size = strlen(path);

	if (version && (end = strchr(version, '\''))) {
		version += strlen(pattern);
		ph_error_set(error, "%s: needs posthouse %.*s or later, this is %s", path,
			(int)(end - version), version, PACKAGE_VERSION);
		return;
	}
	if (strncmp(text, path, size) == 0 && text[size] == ':')
		ph_error_set(error, "%s", text);
	else
		ph_error_set(error, "%s: %s", path, text);
}

/* The preflight shows what is wrong (libltdl would say "file not found") and binds every symbol;
 * libltdl then opens the same object again, by its full name. */
static void *
open_object(const char *path, const char *symbol, ph_error *error)
{
	static bool started;
	void *preflight = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	lt_dlhandle handle;
	const char *text;

	if (!preflight) {
		text = dlerror();
		explain(path, text ? text : "cannot be loaded", error);
		return NULL;
	}
	if (!started && lt_dlinit() != 0) {
		ph_error_set(error, "%s: libltdl does not start", path);
		return NULL;
	}
	started = true;
	handle = lt_dlopen(path);
	if (!handle) {
		text = lt_dlerror();
		ph_error_set(error, "%s: %s", path, text ? text : "cannot be loaded");
		return NULL;
	}
	return lt_dlsym(handle, symbol);
}

/* What to say of a file that is not there. */
static void
explain_missing(const char *directory, const char *name, ph_error *error)
{
	ph_pool *scratch = memory_or_die(ph_pool_new(0));
	ph_strings names = loader_list(scratch, directory);
	const struct module_class *class = module_class_of(name);
	struct nearest nearest = nearest_to(name + strlen(class->name) + 1);
	char package[NAME_MAX_SIZE];
	const char *best;

	for (size_t i = 0; i < names.count; i++)
		if (module_class_of(names.items[i]) == class)
			nearest_try(&nearest, names.items[i] + strlen(class->name) + 1);
	best = nearest_result(&nearest);
	snprintf(package, sizeof(package), "%s", name);
	for (char *c = package; *c; c++)
		*c = *c == '_' ? '-' : *c;
	if (best)
		ph_error_set(error, "there is no %s/%s.so; did you mean %s_%s?", directory, name,
			class->name, best);
	else
		ph_error_set(error, "there is no %s/%s.so; is the package posthouse-%s installed?",
			directory, name, package);
	ph_pool_free(scratch);
}

static const struct module *
find_loaded(const char *name)
{
	for (size_t i = 0; i < loaded_count; i++)
		if (strcmp(loaded[i]->name, name) == 0)
			return loaded[i];
	return NULL;
}

const struct module *
loader_load(const char *directory, const char *name, unsigned flags, ph_error *error)
{
	char path[PATH_MAX], real[PATH_MAX], symbol[NAME_MAX_SIZE + 32];
	const struct module *known = find_loaded(name);
	const struct ph_module *descriptor;
	ph_error why = {""};

	if (snprintf(path, sizeof(path), "%s/%s.so", directory, name) >= (int)sizeof(path)) {
		ph_error_set(error, "%s: the path is too long", name);
		return NULL;
	}
	if (!realpath(path, real)) {
		if (errno == ENOENT)
			explain_missing(directory, name, error);
		else
			ph_error_set(error, "%s: %s", path, strerror(errno));
		return NULL;
	}
	if (known && strcmp(known->path, real) == 0)
		return known;
	if (known) {
		ph_error_set(error, "%s is loaded already, from %s", name, known->path);
		return NULL;
	}
	if ((flags & LOADER_UNTRUSTED) == 0 &&
		(check_folder(directory, error) != 0 || check_trust(real, error) != 0))
		return NULL;
	if (check_whole(real, error) != 0)
		return NULL;
	snprintf(symbol, sizeof(symbol), "posthouse_module_%s", name);
	descriptor = open_object(real, symbol, &why);
	if (!descriptor) {
		ph_error_set(error, "%.240s", why.text[0] ? why.text : "");
		if (!why.text[0])
			ph_error_set(error, "%s: has no %s: not a module, or one under a wrong name", real,
				symbol);
		return NULL;
	}
	return loader_adopt(descriptor, name, real, error);
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

ph_strings
loader_list(ph_pool *names_pool, const char *directory)
{
	DIR *stream = opendir(directory);
	struct dirent *entry;
	const char **names = NULL;
	size_t count = 0, room = 0;

	while (stream && (entry = readdir(stream))) {
		size_t size = strlen(entry->d_name);
		char name[NAME_MAX_SIZE];

		if (size < 4 || size >= sizeof(name) ||
			strcmp(entry->d_name + size - 3, ".so") != 0)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(size - 3), entry->d_name);
		if (!loader_is_name(name))
			continue;
		names = grow(names_pool, names, count, &room, sizeof(*names));
		names[count++] = memory_or_die(ph_pool_strdup(names_pool, name));
	}
	if (stream)
		closedir(stream);
	if (count)
		qsort(names, count, sizeof(*names), compare);
	return (ph_strings){count, names};
}
