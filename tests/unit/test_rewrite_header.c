/*
 * Addresses in headers: those of old.example move to new.example.org and "root" is completed; all
 * other bytes stay. Awkward elements, each in lists of many shapes.
 */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "intake/rewrite_header.h"

static int
rewrite(void *context, const char *address, const char **rewritten)
{
	static char text[4096];
	const char *at = strstr(address, "@old.example");

	if (strcmp(address, "root") == 0)
		*rewritten = "root@new.example.org";
	if (at == NULL || at[12] != '\0')
		return 0;
	snprintf(text, sizeof(text), "%.*s@new.example.org", (int)(at - address), address);
	*rewritten = text;
	return 0;
}

struct pair {
	const char *before, *after; /* NULL: the same */
};

static const struct pair elements[] = {
	{"a@old.example", "a@new.example.org"},
	{"a@other.example", NULL},
	{"root", "root@new.example.org"},
	{"<root>", "<root@new.example.org>"},
	{"Joe Q. Public <joe@old.example>", "Joe Q. Public <joe@new.example.org>"},
	{"Joe\r\n\t<joe@old.example>", "Joe\r\n\t<joe@new.example.org>"},
	{"Joe <\r\n joe@old.example\r\n >", "Joe <\r\n joe@new.example.org\r\n >"},
	{"joe@old.example (Joe)", "joe@new.example.org (Joe)"},
	{"(Joe (the \\) \"first\")) joe@old.example", "(Joe (the \\) \"first\")) joe@new.example.org"},
	{"(a@old.example) b@old.example", "(a@old.example) b@new.example.org"},
	{"\"a@old.example\" <b@old.example>", "\"a@old.example\" <b@new.example.org>"},
	{"\"Last, First\" <b@old.example>", "\"Last, First\" <b@new.example.org>"},
	{"\"Say \\\"hi, all\\\"\" <b@old.example>", "\"Say \\\"hi, all\\\"\" <b@new.example.org>"},
	{"\"x, <y@old.example>\" <z@other.example>", NULL},
	{"\"quoted local\"@old.example", "\"quoted local\"@new.example.org"},
	{"\"a@b\"@old.example", "\"a@b\"@new.example.org"},
	{"=?utf-8?q?J=C3=B6rg?= <j@old.example>", "=?utf-8?q?J=C3=B6rg?= <j@new.example.org>"},
	{"=?iso-8859-1?B?Sm9l?=\r\n =?utf-8?q?=2C?= <j@old.example>",
		"=?iso-8859-1?B?Sm9l?=\r\n =?utf-8?q?=2C?= <j@new.example.org>"},
	{"J\xc3\xb6rg <j@old.example>", "J\xc3\xb6rg <j@new.example.org>"},
	{"J\xf6rg \x80 <j@old.example>", "J\xf6rg \x80 <j@new.example.org>"},
	{"<@a.example,@b.example:u@old.example>", "<u@new.example.org>"},
	{"<@a.example:u@other.example>", NULL},
	{"joe . public @ old . example", "joe.public@new.example.org"},
	{"pete(his account)@old.example(his host)", "pete@new.example.org (his account)(his host)"},
	{"u@[192.0.2.1]", NULL},
	{"u@[IPv6:2001:db8::1] (literal)", NULL},
	{"Group:a@old.example,b@other.example;", "Group:a@new.example.org,b@other.example;"},
	{"undisclosed-recipients:;", NULL},
	{"\"A: group\": Ed <a@old.example> , ;", "\"A: group\": Ed <a@new.example.org> , ;"},
	{"Two Words", NULL},
	{"Joe Public joe@old.example", NULL},
	{"Joe joe@old.example> x", NULL},
	{"a@old.example b@old.example", NULL},
	{"a@b@old.example", NULL},
	{"@old.example", NULL},
	{"<>", NULL},
	{"", NULL},
	{"a\\b@old.example", NULL},
	{"Mon) <a@old.example>", NULL},
	{"a@OLD.example", NULL},
	{"[Tag] Joe <joe@old.example>", "[Tag] Joe <joe@new.example.org>"},
	{"a@old.example <a@old.example>", "a@old.example <a@new.example.org>"},
	{"'a@old.example'", NULL},
	{"a+b=c/d!e%f@old.example", "a+b=c/d!e%f@new.example.org"},
};

/* %s: the element. */
static const struct pair shapes[] = {
	{" %s", " %s"},
	{"%s  ", "%s  "},
	{" , ,%s,,", " , ,%s,,"},
	{" x@old.example,\r\n\t%s,\r\n y@old.example", " x@new.example.org,\r\n\t%s,\r\n y@new.example.org"},
	{"\r\n  %s (\xff\xfe), <z@other.example>", "\r\n  %s (\xff\xfe), <z@other.example>"},
	{" %s ;w@old.example", " %s ;w@new.example.org"},
};

static void
check_rewrite(const char *before, const char *after)
{
	ph_pool *pool = ph_pool_new(0);
	size_t size = strlen(before);
	char *copy = malloc(size + 1);
	ph_span result;

	memcpy(copy, before, size);
	assert_int_equal(header_rewrite(pool, (ph_span){copy, size}, rewrite, NULL, &result), 0);
	if (result.size != strlen(after) || memcmp(result.data, after, result.size) != 0)
		fail_msg("%s\nbecame: %.*s\nexpected: %s", before, (int)result.size, result.data, after);
	assert_int_equal(result.data == copy, strcmp(before, after) == 0);
	free(copy);
	ph_pool_free(pool);
}

static void
fill(char text[512], const char *shape, const char *element)
{
	const char *at = strstr(shape, "%s");

	snprintf(text, 512, "%.*s%s%s", (int)(at - shape), shape, element, at + 2);
}

static void
corpus(void **state)
{
	for (size_t i = 0; i < sizeof(elements) / sizeof(elements[0]); i++) {
		const struct pair *element = &elements[i];
		const char *changed = element->after != NULL ? element->after : element->before;

		for (size_t j = 0; j < sizeof(shapes) / sizeof(shapes[0]); j++) {
			char before[512], after[512];

			fill(before, shapes[j].before, element->before);
			fill(after, shapes[j].after, changed);
			check_rewrite(before, after);
		}
	}
}

/* What does not end takes the rest with it, and only that. */
static void
unfinished(void **state)
{
	check_rewrite(" a@old.example, \"b <b@old.example>, c@old.example",
		" a@new.example.org, \"b <b@old.example>, c@old.example");
	check_rewrite(" a@old.example, (b, c@old.example", " a@new.example.org, (b, c@old.example");
	check_rewrite(" a@old.example, b@[1.2, c@old.example",
		" a@new.example.org, b@[1.2, c@old.example");
	check_rewrite(" Joe <a@old.example", " Joe <a@old.example");
	check_rewrite(" <a@old.example, b@old.example", " <a@old.example, b@new.example.org");
}

static void
long_list(void **state)
{
	enum { COUNT = 20000 };
	char *before = malloc(COUNT * 20), *after = malloc(COUNT * 24);
	size_t from = 0, to = 0;

	for (int i = 0; i < COUNT; i++) {
		from += (size_t)sprintf(before + from, "u%d@old.example,", i % 1000);
		to += (size_t)sprintf(after + to, "u%d@new.example.org,", i % 1000);
	}
	check_rewrite(before, after);
	free(before);
	free(after);
}

static void
roles(void **state)
{
	assert_int_equal(header_role(ph_span_of("reply-TO")), HEADER_ROLE_SENDER);
	assert_int_equal(header_role(ph_span_of("Resent-Cc")), HEADER_ROLE_RECIPIENT);
	assert_int_equal(header_role(ph_span_of("Subject")), HEADER_ROLE_NONE);
	assert_int_equal(header_role(ph_span_of("Date")), HEADER_ROLE_NONE);
	assert_int_equal(header_role(ph_span_of("DKIM-Signature")), HEADER_ROLE_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(corpus), cmocka_unit_test(unfinished),
		cmocka_unit_test(long_list), cmocka_unit_test(roles)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
