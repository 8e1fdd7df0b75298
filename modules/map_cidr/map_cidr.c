/*
 * map_cidr: tables of networks.
 */
#include "ranges.h"

#include <posthouse/map.h>
#include <posthouse/table.h>

#include <string.h>
#include <sys/socket.h>

enum { MAX_FILE = 64 << 20 };

struct cidr {
	const char *path;
	ph_table *table;
};

static const struct ph_param params[] = {
	{.name = "path", .type = PH_PATH, .flags = PH_SECTION_ONLY, .offset = offsetof(struct cidr, path),
		.doc = "The file with the networks."},
};

/* What is made of a file. */
struct content {
	struct rules rules;
	struct ranges v4, v6;
};

static int
load(void *self, ph_pool *pool, const char *name, ph_span text, void **made, ph_error *error)
{
	struct content *content = ph_pool_alloc(pool, sizeof(*content));

	if (content == NULL)
		return ph_error_set(error, "%s: no memory", name);
	if (cidr_parse(&content->rules, pool, name, text, error) == -1)
		return -1;
	if (ranges_make(&content->v4, &content->rules, AF_INET, pool) == -1 ||
		ranges_make(&content->v6, &content->rules, AF_INET6, pool) == -1)
		return ph_error_set(error, "%s: no memory for %zu networks", name,
			content->rules.count);
	*made = content;
	return 0;
}

/* An IPv4 address in the clothes of IPv6 is looked for as what it says and as what it is. */
static const struct rule *
find_rule(const struct content *content, const ph_address *address)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const struct rule *rule;

	if (address->family == AF_INET)
		return ranges_find(&content->v4, &content->rules, address->bytes);
	rule = ranges_find(&content->v6, &content->rules, address->bytes);
	if (rule == NULL && memcmp(address->bytes, mapped, sizeof(mapped)) == 0)
		rule = ranges_find(&content->v4, &content->rules, address->bytes + sizeof(mapped));
	return rule;
}

static ph_found
cidr_find(void *self, ph_pool *pool, ph_span key, ph_span *value, ph_error *error)
{
	const struct cidr *cidr = self;
	const struct content *content = ph_table_content(cidr->table, error);
	const struct rule *rule;
	ph_address address;
	char *copy;

	if (content == NULL)
		return PH_FAILED;
	if (ph_address_parse(key, &address) != 0)
		return PH_NOT_FOUND;
	rule = find_rule(content, &address);
	if (rule == NULL)
		return PH_NOT_FOUND;
	copy = ph_pool_copy(pool, rule->value);
	if (copy == NULL) {
		ph_error_set(error, "%s: no memory", cidr->path);
		return PH_FAILED;
	}
	*value = (ph_span){copy, rule->value.size};
	return PH_FOUND;
}

static int
cidr_each(void *self, int (*fn)(void *context, ph_span key, ph_span value), void *context,
	ph_error *error)
{
	const struct cidr *cidr = self;
	const struct content *content = ph_table_content(cidr->table, error);
	int result = 0;

	if (content == NULL)
		return -1;
	for (size_t i = 0; i < content->rules.count && result == 0; i++) {
		const struct rule *rule = &content->rules.items[i];
		ph_span key = rule->kind == RULE_IF ? ph_span_of("if") : ph_span_of("endif");

		result = rule->kind == RULE_MATCH ? fn(context, rule->pattern, rule->value) :
			fn(context, key, rule->pattern);
	}
	return result;
}

/* ---- Life ------------------------------------------------------------------------------------ */

/* A wrong line is told by "posthouse check" too, where the file can be read. */
static int
cidr_check(void *self, ph_error *error)
{
	struct cidr *cidr = self;
	ph_pool *pool;
	struct rules rules;
	ph_span text;
	int result = 0;

	if (cidr->path[0] != '/')
		return ph_error_set(error, "a table of type cidr needs an absolute path");
	pool = ph_pool_new(0);
	if (pool != NULL && ph_table_read(self, "path", cidr->path, MAX_FILE, pool, &text, NULL,
		NULL) == 0)
		result = cidr_parse(&rules, pool, cidr->path, text, error);
	ph_pool_free(pool);
	return result;
}

static void
cidr_close(void *self)
{
	struct cidr *cidr = self;

	ph_table_free(cidr->table);
	cidr->table = NULL;
}

static int
cidr_open(void *self, ph_error *error)
{
	static const struct ph_table_ops ops = {.size = sizeof(ops), .load = load};
	struct cidr *cidr = self;

	cidr->table = ph_table_new(self, "path", cidr->path, NULL, MAX_FILE, &ops);
	if (cidr->table == NULL)
		return ph_error_set(error, "%s: no memory", cidr->path);
	if (ph_table_content(cidr->table, error) != NULL)
		return 0;
	cidr_close(self);
	return -1;
}

PH_MODULE(map_cidr, "1.0", "tables of networks",
	PH_MAP(.flags = PH_MAP_PATTERNS, .find = cidr_find, .each = cidr_each),
	PH_INSTANCE(struct cidr, params),
	PH_LIFE(.check = cidr_check, .open = cidr_open, .close = cidr_close));
