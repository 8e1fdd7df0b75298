/*
 * A configuration's text: scanned, parsed, edited. And the way of a value into the file and back:
 * what scan_quote() writes is what libconfuse reads.
 */
#include <stdlib.h>
#include <string.h>

#include "config/edit.h"
#include "config/expand.h"
#include "config/networks.h"
#include "config/state.h"
#include "config/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *
lookup(void *context, ph_pool *pool, const char *name, const struct expand_chain *chain,
	ph_error *error)
{
	return strlen(name) > 3 ? NULL : expand_text(pool, context, lookup, context, chain, error);
}

static void
values(ph_pool *pool, const char *text)
{
	ph_span span = ph_span_of(text), rest = span;
	struct network network;
	ph_address address;
	ph_error error;
	int64_t number;
	const char *word;
	bool yes;
	int choice;

	value_bool(span, &yes, &error);
	value_int(span, 1, 100, &number, &error);
	value_size(span, 0, 0, &number, &error);
	value_time(span, 0, 1000, &number, &error);
	value_enum(span, "no, normalize, reject", &choice, &error);
	value_address(span, &address, &error);
	network_parse(span, &network, &error);
	while (value_next_word(&rest, pool, &word))
		;
	rest = span;
	while (value_next_element(&rest, pool, &word))
		;
	expand_text(pool, text, lookup, (void *)(uintptr_t)text, NULL, &error);
}

static void
there_and_back(ph_pool *pool, const char *value)
{
	const char *text = ph_pool_printf(pool, "a = {%s}\n", scan_quote(pool, value));
	struct problems *problems = problems_new();
	struct parsed parsed;

	/* These stand for brackets within the parser. */
	if (strpbrk(value, "\002\003\004\005") == NULL &&
		(parse_text(pool, "x", ph_span_of(text), NULL, &parsed, problems) != 0 ||
			parsed.count != 1 || parsed.statements[0].item_count != 1 ||
			strcmp(parsed.statements[0].items[0].text, value) != 0))
		abort();
	problems_free(problems);
}

/* An edit of a text that can be scanned leaves one that can be scanned. */
static void
edited(ph_pool *pool, const struct config *config, const char *text)
{
	static const struct edit edits[] = {{"myorigin", "a b", EDIT_SET}, {"mynetworks", "10.0.0.0/8 ::1", EDIT_SET},
		{"smtpd_client_restrictions", "check_x y, reject", EDIT_SET}};
	struct scan scan;
	ph_error error;

	if (scan_text(pool, ph_span_of(text), &scan, &error) != 0)
		return;
	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		const char *after = edit_text(pool, config, text, &edits[i], &error);

		if (!after || scan_text(pool, ph_span_of(after), &scan, &error) != 0)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config *config;
	ph_pool *pool = ph_pool_new(0);
	struct problems *problems = problems_new();
	const char *text = ph_pool_copy(pool, (ph_span){(const char *)data, size});
	struct parsed parsed;

	if (!config)
		config = config_read("/x", (ph_span){NULL, 0}, -1, CONFIG_DEFAULTS, problems);
	parse_text(pool, "x", (ph_span){text, size}, NULL, &parsed, problems);
	values(pool, text);
	there_and_back(pool, text);
	edited(pool, config, text);
	problems_free(problems);
	ph_pool_free(pool);
	return 0;
}
