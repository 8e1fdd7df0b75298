/*
 * Values of aliases; and the expansion of "start" through a table that the input holds: it always
 * ends, each result comes once.
 */
#include "fuzz.h"

#include "../../modules/transport_local/alias.h"
#include "../../modules/transport_local/targets.h"

#include <posthouse/address.h>
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
find(void *context, ph_pool *pool, const char *key, const char **value, ph_error *error)
{
	struct search *search = context;

	search->key = key;
	search->value = NULL;
	ph_table_parse("fuzz", search->table, PH_TABLE_ALIASES, compare, search, error);
	*value = search->value;
	return search->value != NULL ? PH_FOUND : PH_NOT_FOUND;
}

static ph_found
is_local(void *context, const char *domain, ph_error *error)
{
	return ph_strcasecmp(domain, "local.example") == 0 ? PH_FOUND : PH_NOT_FOUND;
}

static void
expand(ph_pool *pool, ph_span table)
{
	struct search search = {.pool = pool, .table = table};
	struct alias_source source = {.context = &search, .find = find, .is_local = is_local,
		.origin = "local.example", .delimiters = "+-"};
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
		CHECK(result->user == NULL || alias_base(pool, result->user, "+-") != NULL);
		for (size_t k = 0; k < i && i < 64; k++)
			CHECK(ph_strcasecmp(result->address, expansion.results[k].address) != 0);
	}
}

static void
targets(ph_pool *pool, ph_span value)
{
	struct target target;
	ph_error error = {""};
	int result;

	while ((result = targets_next(pool, &value, &target, &error)) == 1)
		CHECK(target.text[0] != '\0');
	CHECK(result == 0 || error.text[0] != '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ph_pool *pool = ph_pool_new(64 << 20);

	if (size <= 4096) {
		targets(pool, (ph_span){(const char *)data, size});
		expand(pool, (ph_span){(const char *)data, size});
	}
	ph_pool_free(pool);
	return 0;
}
