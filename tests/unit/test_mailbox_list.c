/*
 * Lists of mailboxes: what people write, and what must do no harm.
 */
#include "test.h"

#include "intake/mailbox_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
join(void *context, const char *address)
{
	char *all = context;
	size_t size = strlen(all);

	snprintf(all + size, 512 - size, "%s%s", size > 0 ? " | " : "", address);
	return 0;
}

static int
parse(const char *text, size_t size, char all[512])
{
	ph_pool *pool = ph_pool_new(0);
	char *copy = malloc(size > 0 ? size : 1);
	ph_error error;

	memcpy(copy, text, size);
	all[0] = '\0';
	int result = mailbox_list_parse(pool, (ph_span){copy, size}, join, all, &error);

	free(copy);
	ph_pool_free(pool);
	return result;
}

static const struct {
	const char *text, *addresses; /* NULL: refused */
} cases[] = {
	{"", ""},
	{"  \r\n ", ""},
	{"root", "root"},
	{"root@example.com", "root@example.com"},
	{"a@b, c@d,e", "a@b | c@d | e"},
	{"a@b; c@d", "a@b | c@d"},
	{",, a@b,,", "a@b"},
	{"Joe Q. Public <john.q.public@example.com>", "john.q.public@example.com"},
	{"\"Giant; \\\"Big\\\" Box\" <bob@example.net>", "bob@example.net"},
	{"\"Last, First\" <a@b>, c@d", "a@b | c@d"},
	{"Pete(A nice \\) (nested) chap) <pete(his account)@silly.test(his host)>", "pete@silly.test"},
	{"A Group:Ed Jones <joe@where.test>,joe@where.test,John <jdoe@one.test>;",
		"joe@where.test | joe@where.test | jdoe@one.test"},
	{"undisclosed-recipients:;", ""},
	{"Undisclosed recipients:;, a@b", "a@b"},
	{"<@a.example,@b.example:u@c.example>", "u@c.example"},
	{"\"a b\"@x", "\"a b\"@x"},
	{"\"abc\"@x", "abc@x"},
	{"\"a\\\"b\"@x", "\"a\\\"b\"@x"},
	{"\"a@b\"@x", "\"a@b\"@x"},
	{"\"\"@x", "\"\"@x"},
	{"a..b@x", "\"a..b\"@x"},
	{"john . public @ example . com", "john.public@example.com"},
	{"u@[192.0.2.1]", "u@[192.0.2.1]"},
	{"u@[IPv6:2001:db8::1]", "u@[IPv6:2001:db8::1]"},
	{"a@b,\r\n\tc@d", "a@b | c@d"},
	{"|id, /etc/passwd", "|id | /etc/passwd"},
	{"J\xc3\xb6rg <j\xc3\xb6rg@x>", "j\xc3\xb6rg@x"},
	{"John Smith", NULL},
	{"a@b c@d", NULL},
	{"a@b@c", NULL},
	{"a@", NULL},
	{"@b", NULL},
	{"<a@b", NULL},
	{"a@b>", NULL},
	{"<>", NULL},
	{"<a@b> x", NULL},
	{"(comment", NULL},
	{"\"quoted", NULL},
	{"u@[1.2.3.4", NULL},
	{"u@[1\\]2]", NULL},
	{"u@[1 2]", NULL},
	{"a\\b@c", NULL},
	{"\"a\\\r\\\nDATA\"@x", NULL},
};

static void
lists(void **state)
{
	char all[512];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int result = parse(cases[i].text, strlen(cases[i].text), all);

		if (result != (cases[i].addresses != NULL ? 0 : -1))
			fail_msg("%s: %d", cases[i].text, result);
		if (cases[i].addresses != NULL)
			assert_string_equal(all, cases[i].addresses);
	}
}

/* Cut and damaged lists are read within their bounds. */
static void
damaged(void **state)
{
	char all[512], text[256];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t size = strlen(cases[i].text);

		for (size_t cut = 0; cut < size; cut++)
			parse(cases[i].text, cut, all);
		for (size_t bit = 0; bit < size * 8; bit++) {
			memcpy(text, cases[i].text, size);
			text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
			parse(text, size, all);
		}
	}
}

static int
stop(void *context, const char *address)
{
	return 7;
}

static void
ends_early(void **state)
{
	ph_pool *pool = ph_pool_new(0);

	assert_int_equal(mailbox_list_parse(pool, ph_span_of("a, b"), stop, NULL, NULL), 7);
	ph_pool_free(pool);
}

static void
blanks(void **state)
{
	static const char *const pairs[][2] = {
		{"", ""}, {"a", "a"}, {" a ", " a "}, {"a b", "a,b"}, {"a  b\tc", "a, b,c"},
		{"a@b c@d, e", "a@b,c@d, e"}, {"a , b", "a , b"}, {"a @ b c", "a @ b,c"},
		{"A B <a@b>", "A B <a@b>"}, {"\"a b\"@c d", "\"a b\"@c d"}, {"a (b c)", "a (b c)"},
		{"G: a b;", "G: a b;"}};
	ph_pool *pool = ph_pool_new(0);

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		ph_span text = mailbox_list_commas(pool, pairs[i][0]);

		assert_string_equal(ph_pool_copy(pool, text), pairs[i][1]);
	}
	ph_pool_free(pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),
		cmocka_unit_test(damaged),
		cmocka_unit_test(ends_early),
		cmocka_unit_test(blanks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
