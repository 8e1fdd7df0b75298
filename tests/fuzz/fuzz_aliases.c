/*
 * Values of aliases and .forward files; the expansion of "start" through a table that the input holds,
 * whose entries are :include: files too: it always ends, each result comes once, and a command or a
 * file is never one that a pattern gave; names in parameters.
 */
#include "fuzz.h"

#include "../../modules/transport_local/alias.h"
#include "../../modules/transport_local/targets.h"

#include <posthouse/address.h>
#include <posthouse/module.h>
#include <posthouse/table.h>

#include <string.h>

struct search {
	ph_pool *pool;
	ph_span table;
	const char *key;
	const char *value;
};

static int
compare(void *context, int line, ph_span key, ph_span value, ph_error *error)
{
	struct search *search = context;

	if (search->value != NULL || !ph_span_equal_nocase(key, ph_span_of(search->key)))
		return 0;
	search->value = ph_pool_copy(search->pool, value);
	return 1;
}

static ph_found
find(void *context, ph_pool *pool, const char *key, const char **value, bool *pattern, ph_error *error)
{
	struct search *search = context;

	search->key = key;
	search->value = NULL;
	ph_table_parse("fuzz", search->table, PH_TABLE_ALIASES, compare, search, error);
	*value = search->value;
	*pattern = *key == 'p';
	return search->value != NULL ? PH_FOUND : PH_NOT_FOUND;
}

static ph_found
include(void *context, ph_pool *pool, const char *path, ph_span *text, ph_error *error)
{
	const char *value = "";
	bool pattern;
	ph_found found = find(context, pool, path + 1, &value, &pattern, error);

	if (found == PH_FOUND)
		*text = ph_span_of(value);
	else
		ph_error_set(error, "no such file");
	return found;
}

static ph_found
is_local(void *context, const char *domain, ph_error *error)
{
	return ph_strcasecmp(domain, "local.example") == 0 ? PH_FOUND : PH_NOT_FOUND;
}

static bool
is_same(const struct alias_result *a, const struct alias_result *b)
{
	return a->kind == b->kind && ph_strcasecmp(a->address, b->address) == 0 &&
		strcmp(a->what, b->what) == 0 && ph_strcasecmp(a->sender, b->sender) == 0;
}

static void
expand(ph_pool *pool, ph_span table)
{
	struct search search = {.pool = pool, .table = table};
	struct alias_source source = {.context = &search, .find = find, .include = include,
		.is_local = is_local, .origin = "local.example", .delimiters = "+-", .owners = true,
		.owner_special = true, .expand_owner = table.size % 2 == 0,
		.propagate = table.size % 3 == 0, .propagate_included = table.size % 6 == 0};
	struct alias_expansion expansion;
	ph_error error = {""};

	if (alias_expand(&source, pool, "start@local.example", &expansion, &error) != ALIAS_DONE) {
		CHECK(error.text[0] != '\0');
		return;
	}
	CHECK(expansion.count <= ALIAS_MAX_RESULTS);
	for (size_t i = 0; i < expansion.count; i++) {
		const struct alias_result *result = &expansion.results[i];

		CHECK(*result->address != '\0' && strpbrk(result->address, "\r\n") == NULL);
		CHECK(result->user == NULL || alias_base(pool, result->user, "+-", true) != NULL);
		CHECK(strpbrk(result->what, "\n") == NULL && strpbrk(result->sender, "\r\n") == NULL);
		CHECK((*result->what != '\0') ==
			(result->kind == PH_TARGET_COMMAND || result->kind == PH_TARGET_FILE));
		for (size_t k = 0; k < i && i < 64; k++)
			CHECK(!is_same(result, &expansion.results[k]));
	}
}

static const char *
value_of(void *context, const char *name)
{
	return *name == 'u' ? "joe" : *name == 'e' ? "" : NULL;
}

static void
names(ph_pool *pool, ph_span text)
{
	const char *copy = ph_pool_copy(pool, text), *result;
	ph_error error = {""};

	if (copy == NULL)
		return;
	result = ph_macros_expand(pool, copy, "joe", value_of, NULL, &error);
	CHECK(result != NULL ? strlen(result) < 4096 : error.text[0] != '\0');
}

static void
targets(ph_pool *pool, ph_span value, enum target_syntax syntax)
{
	struct target target;
	ph_error error = {""};
	int result;

	while ((result = targets_next(pool, &value, syntax, &target, &error)) == 1)
		CHECK(target.text[0] != '\0');
	CHECK(result == 0 || error.text[0] != '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ph_pool *pool = ph_pool_new(64 << 20);

	if (size <= 4096) {
		targets(pool, (ph_span){(const char *)data, size}, TARGET_VALUE);
		targets(pool, (ph_span){(const char *)data, size}, TARGET_LINES);
		names(pool, (ph_span){(const char *)data, size});
		expand(pool, (ph_span){(const char *)data, size});
	}
	ph_pool_free(pool);
	return 0;
}
