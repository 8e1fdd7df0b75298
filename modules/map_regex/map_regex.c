/*
 * map_regex: tables of patterns.
 */
#include "rules.h"

#include <posthouse/map.h>
#include <posthouse/table.h>

#include <string.h>

enum { MAX_FILE = 16 << 20 };

struct regex {
	const char *path;
	ph_table *table;
	pcre2_match_context *context;
};

static const struct ph_param params[] = {
	{.name = "path", .type = PH_PATH, .flags = PH_SECTION_ONLY,
		.offset = offsetof(struct regex, path), .doc = "The file with the patterns."},
};

/* The stack of the JIT's code: one for the process, since a match never waits. */
static struct {
	pcre2_jit_stack *stack;
	unsigned users;
} jit;

static int
take_jit_stack(struct regex *regex, ph_error *error)
{
	regex->context = pcre2_match_context_create(NULL);
	if (regex->context == NULL)
		return ph_error_set(error, "%s: no memory", regex->path);
	pcre2_set_match_limit(regex->context, RULES_MATCH_LIMIT);
	pcre2_set_depth_limit(regex->context, RULES_DEPTH_LIMIT);
	pcre2_set_heap_limit(regex->context, RULES_HEAP_LIMIT);
	if (jit.users++ == 0)
		jit.stack = pcre2_jit_stack_create(32 << 10, 512 << 10, NULL);
	/* Without a stack of its own the JIT's code uses 32 KiB of the machine's. */
	if (jit.stack != NULL)
		pcre2_jit_stack_assign(regex->context, NULL, jit.stack);
	return 0;
}

static void
give_jit_stack(struct regex *regex)
{
	if (regex->context == NULL)
		return;
	pcre2_match_context_free(regex->context);
	regex->context = NULL;
	if (--jit.users == 0) {
		pcre2_jit_stack_free(jit.stack);
		jit.stack = NULL;
	}
}

static enum rules_syntax
syntax_of(const void *self)
{
	return strcmp(ph_map_type(self), "regexp") == 0 ? RULES_POSIX : RULES_PERL;
}

static int
load(void *self, ph_pool *pool, const char *name, ph_span text, void **content, ph_error *error)
{
	struct rules *rules = ph_pool_alloc(pool, sizeof(*rules));

	if (rules == NULL)
		return ph_error_set(error, "%s: no memory", name);
	if (regex_parse(rules, pool, name, text, syntax_of(self), error) == -1)
		return -1;
	*content = rules;
	return 0;
}

static void
unload(void *self, void *content)
{
	rules_free(content);
}

static ph_found
regex_find(void *self, ph_pool *pool, ph_span key, ph_span *value, ph_error *error)
{
	const struct regex *regex = self;
	const struct rules *rules = ph_table_content(regex->table, error);

	if (rules == NULL)
		return PH_FAILED;
	return rules_find(rules, regex->context, pool, regex->path, key, value, error);
}

static int
regex_each(void *self, int (*fn)(void *context, ph_span key, ph_span value), void *context,
	ph_error *error)
{
	const struct regex *regex = self;
	const struct rules *rules = ph_table_content(regex->table, error);

	if (rules == NULL)
		return -1;
	for (size_t i = 0; i < rules->count; i++) {
		const struct rule *rule = &rules->items[i];
		ph_span key = rule->kind == RULE_IF ? ph_span_of("if") : ph_span_of("endif");
		int result = rule->kind == RULE_MATCH ? fn(context, rule->pattern, rule->value) :
			fn(context, key, rule->pattern);

		if (result != 0)
			return result;
	}
	return 0;
}

/* Of the rules that have a value. */
static int
regex_each_line(void *self, int (*fn)(void *context, int line, ph_span key, ph_span value),
	void *context, ph_error *error)
{
	const struct regex *regex = self;
	const struct rules *rules = ph_table_content(regex->table, error);
	int result = 0;

	if (rules == NULL)
		return -1;
	for (size_t i = 0; i < rules->count && result == 0; i++)
		if (rules->items[i].kind == RULE_MATCH)
			result = fn(context, rules->items[i].line, rules->items[i].pattern,
				rules->items[i].value);
	return result;
}

/* A bad pattern is told by "posthouse check" too, where the file can be read. */
static int
regex_check(void *self, ph_error *error)
{
	struct regex *regex = self;
	ph_pool *pool;
	struct rules rules;
	ph_span text;
	int result = 0;

	if (regex->path[0] != '/')
		return ph_error_set(error, "a table of type %s needs an absolute path",
			ph_map_type(self));
	pool = ph_pool_new(0);
	if (pool != NULL && ph_table_read(self, "path", regex->path, MAX_FILE, pool, &text, NULL,
		NULL) == 0) {
		result = regex_parse(&rules, pool, regex->path, text, syntax_of(self), error);
		if (result == 0)
			rules_free(&rules);
	}
	ph_pool_free(pool);
	return result;
}

static void
regex_close(void *self)
{
	struct regex *regex = self;

	ph_table_free(regex->table);
	regex->table = NULL;
	give_jit_stack(regex);
}

static int
regex_open(void *self, ph_error *error)
{
	static const struct ph_table_ops ops = {.size = sizeof(ops), .load = load,
		.unload = unload};
	struct regex *regex = self;

	regex->table = ph_table_new(self, "path", regex->path, NULL, MAX_FILE, &ops);
	if (regex->table == NULL)
		return ph_error_set(error, "%s: no memory", regex->path);
	if (take_jit_stack(regex, error) == 0 && ph_table_content(regex->table, error) != NULL)
		return 0;
	regex_close(self);
	return -1;
}

#define TYPE(name) {.size = sizeof(struct ph_map_ops), .flags = PH_MAP_PATTERNS, .find = regex_find, \
	.each = regex_each, .each_line = regex_each_line, .type = (name)}

static const struct ph_map_ops types[] = {TYPE("regex"), TYPE("pcre"), TYPE("regexp")};

PH_MODULE(map_regex, "1.1", "tables of regular expressions (PCRE2)",
	PH_MAP_TABLE(types),
	PH_INSTANCE(struct regex, params),
	PH_LIFE(.check = regex_check, .open = regex_open, .close = regex_close));
