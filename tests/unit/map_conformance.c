#include "map_conformance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <posthouse/log.h>
#include <posthouse/task.h>

#include "config/state.h"

/* ---- The services, played ---------------------------------------------------------------------- */

int __wrap_ph_file_open(void *self, const char *parameter, const char *suffix, ph_error *error);
int64_t __wrap_ph_now(void);
int64_t __wrap_ph_wall_clock(void);
const char *__wrap_ph_map_type(const void *self);
void __wrap_ph_log(ph_log_level level, const char *format, ...) PH_PRINTF(2, 3);

static struct {
	const char *path;
	const char *type;
	const void *self;
	const struct instance *nested;
	int64_t now;
	time_t file_time;   /* of the file that was written last */
	int64_t file_age;   /* seconds */
	char lines[8][512];
	size_t line_count;
	ph_error find_error;
} world = {.now = 1000, .file_time = 1000000000, .file_age = 100};

int
__wrap_ph_file_open(void *self, const char *parameter, const char *suffix, ph_error *error)
{
	char path[256];
	int fd;

	assert_string_equal(parameter, "path");
	snprintf(path, sizeof(path), "%s%s", world.path, suffix != NULL ? suffix : "");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		ph_error_set(error, "%s: %s", path, strerror(errno));
	return fd;
}

int64_t
__wrap_ph_now(void)
{
	return world.now;
}

int64_t
__wrap_ph_wall_clock(void)
{
	return ((int64_t)world.file_time + world.file_age) * 1000000;
}

const char *
__wrap_ph_map_type(const void *self)
{
	if (world.nested != NULL && self == world.nested->self)
		return ((const struct ph_map_ops *)world.nested->ops)->type;
	return self == world.self ? world.type : ""; /* a copy of an instance is none */
}

void
map_set_file_age(int64_t seconds)
{
	world.file_age = seconds;
}

void
__wrap_ph_log(ph_log_level level, const char *format, ...)
{
	va_list args;

	assert_true(world.line_count < 8);
	va_start(args, format);
	vsnprintf(world.lines[world.line_count++], sizeof(world.lines[0]), format, args);
	va_end(args);
}

void
map_expect_log(const char *part)
{
	for (size_t i = 0; i < world.line_count; i++) {
		if (strstr(world.lines[i], part) == NULL)
			continue;
		memmove(world.lines[i], world.lines[i + 1],
			(world.line_count - i - 1) * sizeof(world.lines[0]));
		world.line_count--;
		return;
	}
	fail_msg("no line with \"%s\" in the log", part);
}

void
map_time_passes(int64_t milliseconds)
{
	world.now += milliseconds;
}

/* ---- A table ----------------------------------------------------------------------------------- */

const struct ph_map_ops *
map_operations(const struct map_fixture *f)
{
	const struct ph_module *module = f->subject->module;
	const struct ph_map_ops *types = module->operations;

	for (size_t i = 0; f->subject->type != NULL && i < module->operation_count; i++)
		if (types[i].type != NULL && strcmp(types[i].type, f->subject->type) == 0)
			return &types[i];
	return types;
}

/* As the core does it: zeroed, path and defaults filled. */
static void *
make_instance(const struct ph_module *m, const void *path)
{
	char *self = calloc(1, m->instance_size);

	assert_non_null(self);
	for (size_t i = 0; i < m->param_count; i++)
		if (strcmp(m->params[i].name, "path") == 0)
			memcpy(self + m->params[i].offset, &path, sizeof(path));
	return self;
}

/* What a type that is made of other tables has for its path. */
static const void *
make_nested(struct map_fixture *f)
{
	const struct ph_module *module = f->subject->nested;

	f->nested = calloc(1, sizeof(*f->nested));
	assert_non_null(f->nested);
	*f->nested = (struct instance){.module = module, .ops = module->operations, .name = f->source,
		.self = make_instance(module, f->source)};
	return map_make(f->pool, &f->nested, 1, NULL);
}

static const void *
path_of(struct map_fixture *f)
{
	if (f->subject->nested != NULL)
		return make_nested(f);
	return f->subject->flags & MAP_NO_FILE ? f->subject->first : f->source;
}

static void
check_it(struct map_fixture *f)
{
	ph_error error = {""};

	if (f->subject->module->life->check(f->self, &error) != 0)
		fail_msg("%s", error.text);
	if (f->nested != NULL && f->nested->module->life->check(f->nested->self, &error) != 0)
		fail_msg("%s", error.text);
}

void
map_setup(struct map_fixture *f, const struct map_subject *subject)
{
	*f = (struct map_fixture){.subject = subject, .folder = "/tmp/ph-map-XXXXXX"};
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->source, sizeof(f->source), "%s/table", f->folder);
	world.path = f->source;
	world.line_count = 0;
	world.file_age = 100;
	world.type = map_operations(f)->type != NULL ? map_operations(f)->type :
		subject->module->name + strlen("map_");
	f->pool = ph_pool_new(0);
	assert_non_null(f->pool);
	f->self = make_instance(subject->module, path_of(f));
	world.self = f->self;
	world.nested = f->nested;
	check_it(f);
}

void
map_call_it(struct map_fixture *f, const char *name)
{
	snprintf(f->source, sizeof(f->source), "%s/%s", f->folder, name);
}

void
map_teardown(struct map_fixture *f)
{
	char path[128];

	map_close(f);
	ph_pool_free(f->pool);
	free(f->self);
	if (f->nested != NULL)
		free(f->nested->self);
	free(f->nested);
	world.nested = NULL;
	world.self = NULL;
	unlink(f->source);
	snprintf(path, sizeof(path), "%s%s", f->source, f->subject->suffix ? f->subject->suffix : "");
	unlink(path);
	assert_int_equal(rmdir(f->folder), 0); /* nothing temporary is left */
	if (world.line_count > 0)
		fail_msg("unexpected in the log: %s", world.lines[0]);
}

static void
write_file(const char *path, const char *text)
{
	struct timespec times[2] = {{.tv_sec = ++world.file_time}, {.tv_sec = world.file_time}};
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

void
map_write_in_place(struct map_fixture *f, const char *text)
{
	write_file(f->source, text);
}

void
map_write(struct map_fixture *f, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s.new", f->source);
	write_file(path, text);
	assert_int_equal(rename(path, f->source), 0);
}

int
map_build(struct map_fixture *f, bool aliases, ph_error *error)
{
	return map_operations(f)->build != NULL ? map_operations(f)->build(f->self, aliases, error) : 0;
}

static int
open_nested(struct instance *nested, ph_error *error)
{
	const struct ph_life *life = nested->module->life;

	nested->opened = life->open == NULL || life->open(nested->self, error) == 0;
	return nested->opened ? 0 : -1;
}

int
map_open(struct map_fixture *f, ph_error *error)
{
	const struct ph_life *life = f->subject->module->life;
	int result;

	if (f->nested != NULL && open_nested(f->nested, error) == -1)
		return -1;
	result = life->open != NULL ? life->open(f->self, error) : 0;
	f->opened = result == 0; /* what failed to open is not closed */
	return result;
}

void
map_close(struct map_fixture *f)
{
	if (f->opened && f->subject->module->life->close != NULL)
		f->subject->module->life->close(f->self);
	f->opened = false;
	if (f->nested != NULL && f->nested->opened && f->nested->module->life->close != NULL)
		f->nested->module->life->close(f->nested->self);
	if (f->nested != NULL)
		f->nested->opened = false;
}

static ph_found
find_span(struct map_fixture *f, ph_span key, const char **value)
{
	ph_span found = {NULL, 0};
	ph_found result;

	world.find_error.text[0] = '\0';
	result = map_operations(f)->find(f->self, f->pool, key, &found, &world.find_error);
	if (result == PH_FOUND) {
		assert_non_null(found.data);
		assert_int_equal(found.data[found.size], '\0');
		if (value != NULL)
			*value = found.data;
	}
	if (result == PH_FAILED)
		assert_non_null(strstr(world.find_error.text,
			f->subject->flags & MAP_NO_FILE ? "" : f->source));
	if (result == PH_FAILED)
		assert_string_not_equal(world.find_error.text, "");
	return result;
}

ph_found
map_find(struct map_fixture *f, const char *key, const char **value)
{
	return find_span(f, ph_span_of(key), value);
}

const char *
map_find_error(void)
{
	return world.find_error.text;
}

/* ---- The suite --------------------------------------------------------------------------------- */

enum word {
	ALPHA,
	BETA,
	GAMMA
};

static const char *
key_of(const struct map_fixture *f, enum word word)
{
	static const char *const words[] = {"alpha", "beta", "gamma"};

	return f->subject->keys != NULL ? f->subject->keys[word] : words[word];
}

static const char *
value_of(const struct map_fixture *f, enum word word)
{
	static const char *const words[] = {"one", "two, three", "$"};

	return f->subject->values != NULL ? f->subject->values[word] : words[word];
}

static void
assert_value(struct map_fixture *f, enum word word, const char *expected)
{
	const char *value = NULL;

	assert_int_equal(map_find(f, key_of(f, word), &value), PH_FOUND);
	assert_string_equal(value, expected);
}

/* Any other key. */
static void
assert_other(struct map_fixture *f, ph_span key)
{
	const char *value = NULL;
	ph_found found = find_span(f, key, &value);

	if (f->subject->flags & MAP_ANY_FAILS)
		assert_int_equal(found, PH_FAILED);
	else if (f->subject->flags & MAP_ANY_KEY)
		assert_string_equal(value, value_of(f, ALPHA));
	else if (found != PH_NOT_FOUND)
		fail_msg("\"%.*s\": %d", (int)(key.size < 80 ? key.size : 80), key.data, found);
}

static void
make(struct map_fixture *f, const char *source)
{
	ph_error error = {""};

	if (f->subject->flags & MAP_NO_FILE)
		return;
	map_write(f, source);
	if (map_build(f, false, &error) != 0)
		fail_msg("%s", error.text);
}

static void
check_others(struct map_fixture *f)
{
	static const char nul_key[] = {'a', 'l', 'p', 'h', 'a', '\0', 'x'};
	char *large = malloc(100000);

	assert_non_null(large);
	memset(large, 'q', 100000);
	assert_other(f, ph_span_of("alph"));
	assert_other(f, ph_span_of("alphaa"));
	assert_other(f, ph_span_of(""));
	assert_other(f, (ph_span){NULL, 0});
	assert_other(f, (ph_span){nul_key, sizeof(nul_key)});
	assert_other(f, (ph_span){large, 100000});
	for (size_t i = 0; f->subject->others != NULL && f->subject->others[i] != NULL; i++)
		assert_other(f, ph_span_of(f->subject->others[i]));
	free(large);
}

/* Tables of patterns get keys as they come. The words here mean the same in capitals. */
static void
check_capitals(struct map_fixture *f)
{
	char key[64];

	if ((map_operations(f)->flags & PH_MAP_PATTERNS) == 0)
		return;
	snprintf(key, sizeof(key), "%s", key_of(f, BETA));
	for (char *c = key; *c != '\0'; c++)
		if (*c >= 'a' && *c <= 'z')
			*c += 'A' - 'a';
	assert_int_equal(map_find(f, key, NULL), PH_FOUND);
}

/* A pool that is full: that is "try again later". */
static void
check_no_memory(struct map_fixture *f)
{
	ph_pool *full = ph_pool_new(1);
	ph_error error = {""};
	ph_span value;

	assert_non_null(full);
	assert_int_equal(map_operations(f)->find(f->self, full, ph_span_of(key_of(f, BETA)), &value,
		&error), PH_FAILED);
	assert_string_not_equal(error.text, "");
	ph_pool_free(full);
}

static void
check_finds(struct map_fixture *f)
{
	if ((f->subject->flags & (MAP_ANY_KEY | MAP_ANY_FAILS)) == 0)
		for (enum word word = ALPHA; word <= GAMMA; word++)
			assert_value(f, word, value_of(f, word));
	check_others(f);
	if ((f->subject->flags & (MAP_ANY_KEY | MAP_ANY_FAILS)) == 0)
		check_capitals(f);
	check_no_memory(f);
}

static int
count_entries(void *context, ph_span key, ph_span value)
{
	++*(int *)context;
	return 0;
}

static int
stop_at_second(void *context, ph_span key, ph_span value)
{
	return ++*(int *)context == 2 ? 77 : 0;
}

static void
check_each(struct map_fixture *f)
{
	ph_error error = {""};
	int count = 0;

	if (map_operations(f)->each == NULL)
		return;
	assert_int_equal(map_operations(f)->each(f->self, count_entries, &count, &error), 0);
	assert_int_equal(count, 3);
	count = 0;
	assert_int_equal(map_operations(f)->each(f->self, stop_at_second, &count, &error), 77);
	assert_int_equal(count, 2);
}

static void
check_change(struct map_fixture *f)
{
	make(f, f->subject->second);
	assert_value(f, ALPHA, value_of(f, ALPHA)); /* not looked at again within the second */
	map_time_passes(1000);
	assert_value(f, ALPHA, "changed");
	assert_int_equal(map_find(f, key_of(f, BETA), NULL), PH_NOT_FOUND);
	assert_value(f, GAMMA, value_of(f, GAMMA));
}

static void
check_broken(struct map_fixture *f)
{
	ph_error error = {""};

	if (f->subject->broken == NULL)
		return;
	map_write(f, f->subject->broken);
	map_time_passes(1000);
	if (map_operations(f)->build != NULL) {
		assert_int_equal(map_build(f, false, &error), -1);
		assert_non_null(strstr(error.text, f->subject->broken_says));
		assert_value(f, ALPHA, "changed");
	} else {
		assert_value(f, ALPHA, "changed"); /* the old one stays */
		map_expect_log(f->subject->broken_says);
		map_time_passes(1000);
		assert_value(f, ALPHA, "changed"); /* and it is said once */
	}
	make(f, f->subject->first);
	map_time_passes(1000);
	assert_value(f, ALPHA, value_of(f, ALPHA));
}

static void
check_vanished(struct map_fixture *f)
{
	char path[128], away[160];

	snprintf(path, sizeof(path), "%s%s", f->source, f->subject->suffix);
	snprintf(away, sizeof(away), "%s.away", path);
	assert_int_equal(rename(path, away), 0);
	map_time_passes(1000);
	assert_int_equal(map_find(f, key_of(f, ALPHA), NULL), PH_FAILED);
	assert_int_equal(map_find(f, "nobody", NULL), PH_FAILED);
	map_expect_log(path);
	assert_int_equal(rename(away, path), 0);
	map_time_passes(1000);
	assert_value(f, ALPHA, value_of(f, ALPHA));
}

static void
check_file(struct map_fixture *f)
{
	check_change(f);
	check_broken(f);
	make(f, f->subject->first);
	map_time_passes(1000);
	check_vanished(f);
}

static void
check_missing(const struct map_subject *subject)
{
	struct map_fixture f;
	ph_error error = {""};

	map_setup(&f, subject);
	assert_int_equal(map_open(&f, &error), -1);
	assert_non_null(strstr(error.text, f.source));
	make(&f, subject->first);
	assert_int_equal(map_open(&f, &error), 0);
	assert_value(&f, ALPHA, value_of(&f, ALPHA));
	map_teardown(&f);
}

void
map_conformance(const struct map_subject *subject)
{
	struct map_fixture f;
	ph_error error = {""};
	const char *held = NULL;

	assert_int_equal(subject->module->magic, PH_MODULE_MAGIC);
	assert_int_equal(subject->module->class_number, PH_CLASS_MAP);
	map_setup(&f, subject);
	assert_true(subject->type == NULL || strcmp(world.type, subject->type) == 0);
	make(&f, subject->first);
	if (map_open(&f, &error) != 0)
		fail_msg("%s", error.text);
	if ((subject->flags & MAP_ANY_FAILS) == 0)
		assert_int_equal(map_find(&f, key_of(&f, ALPHA), &held), PH_FOUND);
	check_finds(&f);
	check_each(&f);
	if ((subject->flags & MAP_NO_FILE) == 0)
		check_file(&f);
	map_close(&f);
	if (held != NULL)
		assert_string_equal(held, value_of(&f, ALPHA)); /* it is the pool's */
	map_teardown(&f);
	if ((subject->flags & MAP_NO_FILE) == 0)
		check_missing(subject);
}
