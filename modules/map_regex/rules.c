/*
 * The syntax of regexp_table(5) and pcre_table(5). Patterns of the first are POSIX's, and are
 * translated: there is one engine, with limits.
 */
#include "rules.h"
#include "posix.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <posthouse/table.h>

enum { MAX_NESTING = 64 };

struct parse {
	struct rules *rules;
	ph_pool *pool;
	const char *name;
	enum rules_syntax syntax;
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

static ph_span
skip_white(ph_span s)
{
	while (s.size > 0 && isspace((unsigned char)s.data[0]))
		s.data++, s.size--;
	return s;
}

/* ---- Patterns -------------------------------------------------------------------------------- */

/* What a flag does to the options of a pattern: it turns them over. */
struct flag {
	char flag;
	uint32_t options;
};

static const struct flag perl_flags[] = {
	{'i', PCRE2_CASELESS},
	{'m', PCRE2_MULTILINE},
	{'s', PCRE2_DOTALL},
	{'x', PCRE2_EXTENDED},
	{'A', PCRE2_ANCHORED},
	{'E', PCRE2_DOLLAR_ENDONLY},
	{'U', PCRE2_UNGREEDY},
	{'X', 0}, /* unknown escapes are errors always */
	{0}
};

static const struct flag posix_flags[] = {
	{'i', PCRE2_CASELESS},
	{'m', PCRE2_MULTILINE | PCRE2_DOTALL},
	{0}
};

static const struct {
	const struct flag *flags;
	const char *names;
	uint32_t options; /* without flags */
} syntaxes[] = {
	[RULES_PERL] = {perl_flags, "i m s x A E U X", PCRE2_CASELESS | PCRE2_DOTALL},
	[RULES_POSIX] = {posix_flags, "i m", PCRE2_CASELESS | PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY},
};

static int
parse_flags(struct parse *p, ph_span *s, uint32_t *options)
{
	bool posix = p->syntax == RULES_POSIX;

	for (; s->size > 0 && !isspace((unsigned char)s->data[0]); s->data++, s->size--) {
		const struct flag *flag = syntaxes[p->syntax].flags;

		if (posix && s->data[0] == '!')
			return 0;
		if (posix && s->data[0] == 'x')
			return fail(p, "the flag x asks for basic regular expressions, which are not supported: "
				"write the pattern as an extended one");
		while (flag->flag != '\0' && flag->flag != s->data[0])
			flag++;
		if (flag->flag == '\0')
			return ph_error_set(p->error,
				"%s:%d: unknown flag \"%c\" behind the pattern; the flags "
				"are %s", p->name, p->line, s->data[0], syntaxes[p->syntax].names);
		*options ^= flag->options;
	}
	return 0;
}

static int
compile(struct parse *p, pcre2_code **compiled, ph_span pattern, uint32_t options)
{
	ph_error why = {""};
	int code;
	size_t offset;
	char text[128], place[48] = "";

	if (p->syntax == RULES_POSIX) {
		pattern.data = posix_translate(p->pool, pattern, (options & PCRE2_MULTILINE) != 0,
			&why);
		if (pattern.data == NULL)
			return ph_error_set(p->error, "%s:%d: bad pattern: %s", p->name, p->line,
				why.text);
		pattern.size = strlen(pattern.data);
	}
	*compiled = pcre2_compile((PCRE2_SPTR)pattern.data, pattern.size, options, &code, &offset, NULL);
	if (*compiled == NULL) {
		pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof(text));
		if (p->syntax == RULES_PERL) /* in a translation it is another place */
			snprintf(place, sizeof(place), " at its character %zu", offset + 1);
		return ph_error_set(p->error, "%s:%d: bad pattern%s: %s", p->name, p->line, place,
			text);
	}
	/* Where there is no JIT the interpreter does it. */
	pcre2_jit_compile(*compiled, PCRE2_JIT_COMPLETE);
	return 0;
}

/* Takes a pattern in its delimiters, and the flags, from the start of s. */
static int
parse_delimited(struct parse *p, pcre2_code **code, ph_span *s)
{
	uint32_t options = syntaxes[p->syntax].options;
	ph_span pattern;
	size_t end = 1;
	char delimiter;

	if (s->size == 0)
		return fail(p, "expected a pattern: /pattern/flags value");
	delimiter = s->data[0];
	if (isalnum((unsigned char)delimiter) || delimiter == '\\' ||
		(unsigned char)delimiter >= 128)
		return fail(p, "expected a pattern in delimiters: /pattern/flags value");
	while (end < s->size && s->data[end] != delimiter)
		end += s->data[end] == '\\' && end + 1 < s->size ? 2 : 1;
	if (end >= s->size)
		return ph_error_set(p->error, "%s:%d: no closing \"%c\" behind the pattern",
			p->name, p->line, delimiter);
	pattern = (ph_span){s->data + 1, end - 1};
	*s = (ph_span){s->data + end + 1, s->size - end - 1};
	return parse_flags(p, s, &options) == -1 ? -1 : compile(p, code, pattern, options);
}

/* Takes "!", the pattern and what it must not match besides, "!/pattern/", from the start of s. */
static int
parse_pattern(struct parse *p, struct rule *rule, ph_span *s)
{
	const char *start = s->data;

	for (; s->size > 0 && s->data[0] == '!'; s->data++, s->size--)
		rule->negated = !rule->negated;
	*s = skip_white(*s);
	if (parse_delimited(p, &rule->code, s) == -1)
		return -1;
	if (p->syntax == RULES_POSIX && s->size > 0 && s->data[0] == '!') {
		s->data++, s->size--;
		if (rule->negated)
			return fail(p, "a pattern with ! before it takes no second one");
		if (parse_delimited(p, &rule->except, s) == -1)
			return -1;
		if (s->size > 0 && s->data[0] == '!')
			return fail(p, "a third pattern");
	}
	rule->pattern = (ph_span){start, (size_t)(s->data - start)};
	return 0;
}

/* ---- Values ---------------------------------------------------------------------------------- */

/* Takes a reference to a group, the "$" being taken: 1, {1}, (1). */
static int
parse_group(struct parse *p, const struct rule *rule, ph_span *s, uint32_t *group)
{
	char open = s->size > 0 ? s->data[0] : '\0', close = open == '{' ? '}' : ')';
	bool wrapped = open == '{' || open == '(';
	size_t digits = wrapped ? 1 : 0, from = digits;
	uint32_t count = 0;
	uint64_t number;

	while (digits < s->size && isdigit((unsigned char)s->data[digits]))
		digits++;
	if (digits == from || (wrapped && (digits >= s->size || s->data[digits] != close)) ||
		ph_parse_uint((ph_span){s->data + from, digits - from}, 65535, &number) == -1)
		return fail(p, "expected $number, ${number}, $(number) or $$ in the value");
	if (rule->negated)
		return fail(p, "a negated pattern has no groups for $number");
	pcre2_pattern_info(rule->code, PCRE2_INFO_CAPTURECOUNT, &count);
	if (number == 0 || number > count)
		return ph_error_set(p->error,
			"%s:%d: $%u in the value, but the pattern has %u groups",
			p->name, p->line, (unsigned)number, count);
	*group = (uint32_t)number;
	digits += wrapped ? 1 : 0;
	*s = (ph_span){s->data + digits, s->size - digits};
	return 0;
}

static int
parse_value(struct parse *p, struct rule *rule, ph_span value)
{
	size_t dollars = 0;

	for (size_t i = 0; i < value.size; i++)
		dollars += value.data[i] == '$';
	rule->value = value;
	rule->pieces = ph_pool_array(p->pool, 2 * dollars + 1, sizeof(*rule->pieces));
	if (rule->pieces == NULL)
		return fail(p, "no memory");
	while (value.size > 0) {
		struct piece *piece = &rule->pieces[rule->piece_count++];
		const char *dollar = memchr(value.data, '$', value.size);
		size_t plain = dollar != NULL ? (size_t)(dollar - value.data) : value.size;

		if (plain == 0 && value.size > 1 && value.data[1] == '$') {
			piece->text = (ph_span){value.data, 1};
			value = (ph_span){value.data + 2, value.size - 2};
		} else if (plain == 0) {
			value = (ph_span){value.data + 1, value.size - 1};
			if (parse_group(p, rule, &value, &piece->group) == -1)
				return -1;
		} else {
			piece->text = (ph_span){value.data, plain};
			value = (ph_span){value.data + plain, value.size - plain};
		}
	}
	return 0;
}

/* ---- Entries --------------------------------------------------------------------------------- */

/* Is the first word of s this one (letters without case), with a pattern or nothing behind it? */
static bool
begins_with_word(ph_span s, const char *word)
{
	size_t n = strlen(word);

	return s.size >= n && ph_span_equal_nocase((ph_span){s.data, n}, ph_span_of(word)) &&
		(s.size == n || !isalnum((unsigned char)s.data[n]));
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
	return skip_white(s).size > 0 ? fail(p, "unexpected text behind the pattern of if") : 0;
}

static int
parse_endif(struct parse *p, struct rule *rule, ph_span s)
{
	rule->kind = RULE_ENDIF;
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
	const char *copy = ph_pool_copy(p->pool, key);
	ph_span s = {copy, key.size};

	p->line = rule->line = line;
	if (copy == NULL)
		return fail(p, "no memory");
	if (begins_with_word(s, "if"))
		return parse_if(p, rule, s);
	if (begins_with_word(s, "endif"))
		return parse_endif(p, rule, s);
	if (parse_pattern(p, rule, &s) == -1)
		return -1;
	return parse_value(p, rule, skip_white(s));
}

static int
count_entry(void *context, int line, ph_span key, ph_span value, ph_error *error)
{
	struct parse *p = context;

	p->room++;
	return 0;
}

int
regex_parse(struct rules *rules, ph_pool *pool, const char *name, ph_span text,
	enum rules_syntax syntax, ph_error *error)
{
	struct parse p = {.rules = rules, .pool = pool, .name = name, .syntax = syntax,
		.error = error};

	*rules = (struct rules){0};
	if (ph_table_parse(name, text, PH_TABLE_LINES, count_entry, &p, error) != 0)
		return -1;
	rules->items = ph_pool_array(pool, p.room + 1, sizeof(*rules->items));
	if (rules->items == NULL)
		return ph_error_set(error, "%s: no memory", name);
	if (ph_table_parse(name, text, PH_TABLE_LINES, parse_entry, &p, error) != 0) {
		rules_free(rules);
		return -1;
	}
	if (p.depth > 0) {
		p.line = rules->items[p.open[p.depth - 1]].line;
		rules_free(rules);
		return fail(&p, "this if has no endif");
	}
	return 0;
}

void
rules_free(struct rules *rules)
{
	for (size_t i = 0; i < rules->count; i++) {
		pcre2_code_free(rules->items[i].code);
		pcre2_code_free(rules->items[i].except);
	}
	rules->count = 0;
}

/* ---- Matching -------------------------------------------------------------------------------- */

static ph_found
match_code(const struct rule *rule, const pcre2_code *code, pcre2_match_context *context,
	const char *name, ph_span key, pcre2_match_data *data, ph_error *error)
{
	int rc = pcre2_match(code, (PCRE2_SPTR)(key.data != NULL ? key.data : ""), key.size, 0, 0,
		data, context);
	char text[128];

	if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH)
		return rc >= 0 ? PH_FOUND : PH_NOT_FOUND;
	pcre2_get_error_message(rc, (PCRE2_UCHAR *)text, sizeof(text));
	ph_error_set(error, "%s:%d: the pattern could not be tried: %s", name, rule->line, text);
	return PH_FAILED;
}

/* The exception comes first, so that the groups are the pattern's. */
static ph_found
match(const struct rule *rule, pcre2_match_context *context, const char *name, ph_span key,
	pcre2_match_data *data, ph_error *error)
{
	ph_found found = PH_NOT_FOUND;

	if (rule->except != NULL)
		found = match_code(rule, rule->except, context, name, key, data, error);
	if (found != PH_NOT_FOUND)
		return found == PH_FOUND ? PH_NOT_FOUND : found;
	found = match_code(rule, rule->code, context, name, key, data, error);
	if (found == PH_FAILED || !rule->negated)
		return found;
	return found == PH_FOUND ? PH_NOT_FOUND : PH_FOUND;
}

/* The text of a piece, given what the groups matched; a group that took no part is empty. */
static ph_span
piece_text(const struct piece *piece, ph_span key, pcre2_match_data *data)
{
	const PCRE2_SIZE *v = pcre2_get_ovector_pointer(data);

	if (piece->text.data != NULL)
		return piece->text;
	if (piece->group >= pcre2_get_ovector_count(data) || v[2 * piece->group] == PCRE2_UNSET ||
		v[2 * piece->group + 1] > key.size || v[2 * piece->group] > v[2 * piece->group + 1])
		return (ph_span){"", 0};
	return (ph_span){key.data + v[2 * piece->group],
		v[2 * piece->group + 1] - v[2 * piece->group]};
}

static ph_found
expand(const struct rule *rule, ph_pool *pool, ph_span key, pcre2_match_data *data, ph_span *value)
{
	size_t size = 0;
	char *out;

	for (size_t i = 0; i < rule->piece_count; i++)
		size += piece_text(&rule->pieces[i], key, data).size;
	out = ph_pool_alloc(pool, size + 1);
	if (out == NULL)
		return PH_FAILED;
	*value = (ph_span){out, size};
	for (size_t i = 0; i < rule->piece_count; i++) {
		ph_span text = piece_text(&rule->pieces[i], key, data);

		if (text.size > 0)
			memcpy(out, text.data, text.size);
		out += text.size;
	}
	return PH_FOUND;
}

static ph_found
try_rule(const struct rule *rule, pcre2_match_context *context, ph_pool *pool, const char *name,
	ph_span key, ph_span *value, ph_error *error)
{
	pcre2_match_data *data = pcre2_match_data_create_from_pattern(rule->code, NULL);
	ph_found found;

	if (data == NULL) {
		ph_error_set(error, "%s: no memory", name);
		return PH_FAILED;
	}
	found = match(rule, context, name, key, data, error);
	if (found == PH_FOUND && rule->kind == RULE_MATCH &&
		(found = expand(rule, pool, key, data, value)) == PH_FAILED)
		ph_error_set(error, "%s:%d: no memory for the value", name, rule->line);
	pcre2_match_data_free(data);
	return found;
}

ph_found
rules_find(const struct rules *rules, pcre2_match_context *context, ph_pool *pool, const char *name,
	ph_span key, ph_span *value, ph_error *error)
{
	for (size_t i = 0; i < rules->count; i++) {
		const struct rule *rule = &rules->items[i];
		ph_found found;

		if (rule->kind == RULE_ENDIF)
			continue;
		found = try_rule(rule, context, pool, name, key, value, error);
		if (found == PH_FAILED || (found == PH_FOUND && rule->kind == RULE_MATCH))
			return found;
		if (found == PH_NOT_FOUND && rule->kind == RULE_IF)
			i = rule->endif;
	}
	return PH_NOT_FOUND;
}
