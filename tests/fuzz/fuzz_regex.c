/* Regex tables: the text up to the first NUL is the table, the rest a key. */
#include "fuzz.h"

#include "../../modules/map_regex/rules.h"

#include <string.h>

static void
try_table(ph_span table, ph_span key, enum rules_syntax syntax)
{
	ph_pool *pool = ph_pool_new(0);
	pcre2_match_context *context = pcre2_match_context_create(NULL);
	struct rules rules;
	ph_error error = {""};
	ph_span value;

	memset(&rules, 0, sizeof rules);
	pcre2_set_match_limit(context, 10000);
	if (regex_parse(&rules, pool, "fuzz", table, syntax, &error) == -1)
		CHECK(error.text[0] != '\0');
	else
		rules_find(&rules, context, pool, "fuzz", key, &value, &error);
	rules_free(&rules);
	pcre2_match_context_free(context);
	ph_pool_free(pool);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
	size_t table = zero != NULL ? (size_t)(zero - data) : size;
	ph_span key = {zero != NULL ? (const char *)zero + 1 : "a@b", zero != NULL ? size - table - 1 : 3};

	for (enum rules_syntax syntax = RULES_PERL; syntax <= RULES_POSIX; syntax++)
		try_table((ph_span){(const char *)data, table}, key, syntax);
	return 0;
}
