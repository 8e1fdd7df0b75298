/*
 * The syntax of cidr_table(5).
 */
#include "rules.h"

#include <ctype.h>
#include <string.h>
#include <sys/socket.h>

#include <posthouse/table.h>

enum {
	MAX_NESTING = 64,
	SHOWN = 60 /* bytes of a wrong pattern in an error */
};

struct parse {
	struct rules *rules;
	ph_pool *pool;
	const char *name;
	size_t room;
	size_t open[MAX_NESTING]; /* indices of the ifs that are open */
	size_t depth;
	int line;
	ph_error *error;
};

static int
fail(const struct parse *p, const char *what)
{
	return ph_error_set(p->error, "%s:%d: %s", p->name, p->line, what);
}

static int
fail_at(const struct parse *p, ph_span pattern, const char *what)
{
	return ph_error_set(p->error, "%s:%d: \"%.*s\" %s", p->name, p->line,
		(int)(pattern.size < SHOWN ? pattern.size : SHOWN), pattern.data, what);
}

static ph_span
skip_white(ph_span s)
{
	while (s.size > 0 && isspace((unsigned char)s.data[0]))
		s.data++, s.size--;
	return s;
}

/* Takes what stands before white space from the start of s. */
static ph_span
take_word(ph_span *s)
{
	size_t n = 0;
	ph_span word;

	while (n < s->size && !isspace((unsigned char)s->data[n]))
		n++;
	word = (ph_span){s->data, n};
	*s = skip_white((ph_span){s->data + n, s->size - n});
	return word;
}

/* ---- Networks -------------------------------------------------------------------------------- */

/* The text within brackets, or as it is. */
static ph_span
unbracketed(ph_span s)
{
	return s.size >= 2 && s.data[0] == '[' && s.data[s.size - 1] == ']' ?
		(ph_span){s.data + 1, s.size - 2} : s;
}

/* Clears the bits behind the prefix; were any set? */
static bool
clear_host_bits(uint8_t *bytes, size_t width, unsigned length)
{
	bool any = false;

	for (unsigned i = 0; i < width; i++) {
		unsigned kept = length >= (i + 1) * 8 ? 8 : length > i * 8 ? length - i * 8 : 0;
		uint8_t mask = (uint8_t)(0xff00u >> kept);

		any = any || (bytes[i] & ~mask) != 0;
		bytes[i] &= mask;
	}
	return any;
}

static int
fail_host_bits(const struct parse *p, ph_span pattern, const struct rule *rule)
{
	ph_address meant = {.family = rule->family};
	char text[PH_ADDRESS_TEXT];

	memcpy(meant.bytes, rule->bytes, sizeof(meant.bytes));
	return ph_error_set(p->error, "%s:%d: \"%.*s\" has host bits set; did you mean %s/%u?",
		p->name, p->line, (int)(pattern.size < SHOWN ? pattern.size : SHOWN), pattern.data,
		ph_address_text(&meant, text), rule->length);
}

/* "192.0.2.0/24", "2001:db8::1", "[2001:db8::]/32", "[2001:db8::/32]". */
static int
parse_network(const struct parse *p, struct rule *rule, ph_span pattern)
{
	ph_span host = unbracketed(pattern), length = {NULL, 0};
	const char *slash = host.size > 0 ? memchr(host.data, '/', host.size) : NULL;
	ph_address address;
	uint64_t bits;

	if (slash != NULL) {
		length = (ph_span){slash + 1, host.size - (size_t)(slash + 1 - host.data)};
		host.size = (size_t)(slash - host.data);
	}
	if (ph_address_parse(unbracketed(host), &address) != 0 || address.scope != 0)
		return fail_at(p, pattern,
			"is not a network: expected address/length or an address");
	rule->family = address.family;
	memcpy(rule->bytes, address.bytes, sizeof(rule->bytes));
	bits = address.family == AF_INET ? 32 : 128;
	if (slash != NULL && ph_parse_uint(length, bits, &bits) != 0)
		return fail_at(p, pattern,
			bits == 32 ? "has a length that does not lie between 0 and 32" :
			"has a length that does not lie between 0 and 128");
	rule->length = (uint8_t)bits;
	if (clear_host_bits(rule->bytes, address.family == AF_INET ? 4 : 16, rule->length))
		return fail_host_bits(p, pattern, rule);
	return 0;
}

/* Takes "!" and the network from the start of s. */
static int
parse_pattern(struct parse *p, struct rule *rule, ph_span *s)
{
	const char *start = s->data;
	ph_span word;

	for (; s->size > 0 && s->data[0] == '!';
		*s = skip_white((ph_span){s->data + 1, s->size - 1}))
		rule->negated = !rule->negated;
	word = take_word(s);
	if (word.size == 0)
		return fail(p, "expected a network: address/length value");
	if (parse_network(p, rule, word) == -1)
		return -1;
	rule->pattern = (ph_span){start, (size_t)(word.data + word.size - start)};
	rule->pattern.data = ph_pool_copy(p->pool, rule->pattern);
	return rule->pattern.data != NULL ? 0 : fail(p, "no memory");
}

/* ---- Entries --------------------------------------------------------------------------------- */

/* Many networks have the same value, most often the one before. */
static int
set_value(struct parse *p, struct rule *rule, ph_span value)
{
	const struct rule *before = p->rules->count > 1 ? rule - 1 : NULL;

	if (value.size == 0)
		return fail(p, "expected a value behind the network");
	if (before != NULL && before->kind == RULE_MATCH && ph_span_equal(before->value, value))
		rule->value = before->value;
	else
		rule->value = (ph_span){ph_pool_copy(p->pool, value), value.size};
	return rule->value.data != NULL ? 0 : fail(p, "no memory");
}

/* Is the first word of s this one (letters without case)? */
static bool
begins_with_word(ph_span s, const char *word)
{
	size_t n = strlen(word);

	return s.size >= n && ph_span_equal_nocase((ph_span){s.data, n}, ph_span_of(word)) &&
		(s.size == n || s.data[n] == '!' || isspace((unsigned char)s.data[n]));
}

static int
parse_if(struct parse *p, struct rule *rule, ph_span s)
{
	s = skip_white((ph_span){s.data + 2, s.size - 2});
	rule->kind = RULE_IF;
	if (p->depth == MAX_NESTING)
		return fail(p, "if is nested too deeply");
	p->open[p->depth++] = p->rules->count - 1;
	if (parse_pattern(p, rule, &s) == -1)
		return -1;
	return s.size > 0 ? fail(p, "unexpected text behind the network of if") : 0;
}

static int
parse_endif(struct parse *p, struct rule *rule, ph_span s)
{
	rule->kind = RULE_ENDIF;
	rule->pattern = (ph_span){"", 0};
	if (skip_white((ph_span){s.data + 5, s.size - 5}).size > 0)
		return fail(p, "unexpected text behind endif");
	if (p->depth == 0)
		return fail(p, "endif without an if before it");
	p->rules->items[p->open[--p->depth]].endif = p->rules->count - 1;
	return 0;
}

static int
parse_entry(void *context, int line, ph_span key, ph_span unused, ph_error *error)
{
	struct parse *p = context;
	struct rule *rule = &p->rules->items[p->rules->count++];

	p->line = rule->line = line;
	if (begins_with_word(key, "if"))
		return parse_if(p, rule, key);
	if (begins_with_word(key, "endif"))
		return parse_endif(p, rule, key);
	if (parse_pattern(p, rule, &key) == -1)
		return -1;
	return set_value(p, rule, key);
}

static int
count_entry(void *context, int line, ph_span key, ph_span value, ph_error *error)
{
	struct parse *p = context;

	p->room++;
	return 0;
}

int
cidr_parse(struct rules *rules, ph_pool *pool, const char *name, ph_span text, ph_error *error)
{
	struct parse p = {.rules = rules, .pool = pool, .name = name, .error = error};

	*rules = (struct rules){0};
	if (ph_table_parse(name, text, PH_TABLE_LINES, count_entry, &p, error) != 0)
		return -1;
	rules->items = ph_pool_array(pool, p.room + 1, sizeof(*rules->items));
	if (rules->items == NULL)
		return ph_error_set(error, "%s: no memory", name);
	if (ph_table_parse(name, text, PH_TABLE_LINES, parse_entry, &p, error) != 0)
		return -1;
	if (p.depth > 0) {
		p.line = rules->items[p.open[p.depth - 1]].line;
		return fail(&p, "this if has no endif");
	}
	return 0;
}
