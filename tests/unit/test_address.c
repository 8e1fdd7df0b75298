/* Addresses, paths and host names: tables. */
#include "test.h"

#include <string.h>
#include <sys/socket.h>

#include <posthouse/address.h>

struct path_case {
	const char *text;
	const char *address; /* NULL: refused */
	const char *rest;
	unsigned flags;
};

#define LOCAL64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LABEL63 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define DOMAIN255 LABEL63 "." LABEL63 "." LABEL63 "." LABEL63

static const struct path_case paths[] = {
	{"<a@b.example>", "a@b.example", "", 0},
	{"<a@b.example> SIZE=5 BODY=7BIT", "a@b.example", "SIZE=5 BODY=7BIT", 0},
	{"<a@b.example>  SIZE=5", "a@b.example", "SIZE=5", 0},
	/* A1, A3 */
	{"<>", "", "", PH_PATH_EMPTY_OK},
	{"<> BODY=7BIT", "", "BODY=7BIT", PH_PATH_EMPTY_OK},
	{"<>", NULL, "", 0},
	{"", NULL, "", PH_PATH_EMPTY_OK},
	{"   ", NULL, "", PH_PATH_EMPTY_OK},
	/* A2 */
	{"<postmaster>", "postmaster", "", 0},
	{"<PostMaster>", "PostMaster", "", 0},
	/* A4 */
	{"<@a.example,@b.example:u@c.example>", "u@c.example", "", 0},
	{"<@a.example:u@c.example>", "u@c.example", "", 0},
	{"<@[IPv6:::1]:u@c.example>", "u@c.example", "", 0},
	{"<@a.example>", NULL, "", 0},
	{"<@a.example,u@c.example>", NULL, "", 0},
	{"<@:u@c.example>", NULL, "", 0},
	/* A5 */
	{"<\"a b\"@x>", "\"a b\"@x", "", 0},
	{"<\"a\\\"b\"@x>", "\"a\\\"b\"@x", "", 0},
	{"<\"abc\"@x>", "abc@x", "", 0},
	{"<\"a\\bc\"@x>", "abc@x", "", 0},
	{"<\"a.b\"@x>", "a.b@x", "", 0},
	{"<\"\"@x>", "\"\"@x", "", 0},
	{"<\"a@b>", NULL, "", 0},
	{"<\"a\\\"@b>", NULL, "", 0},
	{"<a\\b@x>", NULL, "", 0},
	{"<a\"b c\".d@x>", "\"ab c.d\"@x", "", 0},
	/* A6 */
	{"<u%remote.org@local.domain>", "u%remote.org@local.domain", "", 0},
	{"<\"u@remote.org\"@local.domain>", "\"u@remote.org\"@local.domain", "", 0},
	{"<remote.org!u>", "remote.org!u", "", 0},
	{"<u@remote.org@local.domain>", "\"u@remote.org\"@local.domain", "", 0},
	/* A7 */
	{"<u@[192.0.2.1]>", "u@[192.0.2.1]", "", 0},
	{"<u@[IPv6:2001:db8::1]>", "u@[IPv6:2001:db8::1]", "", 0},
	{"<u@[ipv6:2001:db8::1]>", "u@[ipv6:2001:db8::1]", "", 0},
	{"<u@[300.1.1.1]>", NULL, "", 0},
	{"<u@[2001:db8::1]>", NULL, "", 0},
	{"<u@[192.0.2.1>", NULL, "", 0},
	{"<u@[]>", NULL, "", 0},
	/* A8 */
	{"<u@local.domain.>", "u@local.domain", "", 0},
	{"<Uu@LOCAL.Domain>", "Uu@LOCAL.Domain", "", 0},
	{"<u@.>", NULL, "", 0},
	{"<u@a..b>", NULL, "", 0},
	{"<u@.a>", NULL, "", 0},
	/* A9 */
	{" <a@b>", "a@b", "", 0},
	{"a@b", "a@b", "", 0},
	{"a@b SIZE=3", "a@b", "SIZE=3", 0},
	{" <a@b>", NULL, "", PH_PATH_STRICT},
	{"a@b", NULL, "", PH_PATH_STRICT},
	{"<a@b>", "a@b", "", PH_PATH_STRICT},
	/* A10 */
	{"<" LOCAL64 "@b>", LOCAL64 "@b", "", PH_PATH_STRICT},
	{"<" LOCAL64 "a@b>", NULL, "", PH_PATH_STRICT},
	{"<" LOCAL64 "a@b>", LOCAL64 "a@b", "", 0},
	{"<a@" DOMAIN255 ">", "a@" DOMAIN255, "", 0},
	{"<a@" DOMAIN255 "b>", NULL, "", 0},
	{"<a@b" LABEL63 ".example>", NULL, "", 0},
	{"<" LOCAL64 "@" DOMAIN255 ">", LOCAL64 "@" DOMAIN255, "", 0},
	{"<" LOCAL64 "a@" DOMAIN255 ">", NULL, "", 0},
	/* A11 */
	{"<-oX@d>", "-oX@d", "", 0},
	{"<|id@d>", "|id@d", "", 0},
	{"</etc/passwd@d>", "/etc/passwd@d", "", 0},
	{"<;reboot;@d>", "\";reboot;\"@d", "", 0},
	{"<;reboot;@d>", NULL, "", PH_PATH_STRICT},
	{"<a\nb@d>", NULL, "", 0},
	{"<\"a\nb\"@d>", NULL, "", 0},
	{"<$(id)@d>", "\"$(id)\"@d", "", 0},
	{"<${run{id}}@d>", "${run{id}}@d", "", 0},
	/* A12 */
	{"<j\xc3\xb6rg@x>", NULL, "", 0},
	{"<j\xc3\xb6rg@x>", "j\xc3\xb6rg@x", "", PH_PATH_UTF8},
	{"<\"j\xc3\xb6 rg\"@x>", "\"j\xc3\xb6 rg\"@x", "", PH_PATH_UTF8},
	{"<j@\xc3\xb6.example>", "j@\xc3\xb6.example", "", PH_PATH_UTF8},
	{"<j\xc3@x>", NULL, "", PH_PATH_UTF8},
	{"<j\xc0\xaf@x>", NULL, "", PH_PATH_UTF8},
	{"<j\xed\xa0\x80@x>", NULL, "", PH_PATH_UTF8},
	/* Odd dots are quoted, blanks and brackets are not borne. */
	{"<a..b@x>", "\"a..b\"@x", "", 0},
	{"<.a@x>", "\".a\"@x", "", 0},
	{"<a.@x>", "\"a.\"@x", "", 0},
	{"<a b@x>", NULL, "", 0},
	{"<a@x", NULL, "", 0},
	{"<a@x>junk", NULL, "", 0},
	{"<a@x>>", NULL, "", 0},
	{"<<a@x>>", NULL, "", 0},
	{"<a@>", NULL, "", 0},
	{"<a@b_c.example>", "a@b_c.example", "", 0},
	{"<a@b c>", NULL, "", 0},
	{"<a@\"b\">", NULL, "", 0},
	{"<a@b!c>", NULL, "", 0},
	{"<a@-b.example>", NULL, "", 0},
	{"<a@b-.example>", NULL, "", 0},
	{"<a@b.-c>", NULL, "", 0},
	{"<a@->", NULL, "", 0},
	{"<a@b--c.example>", "a@b--c.example", "", 0},
	/* An address without brackets is no domain. */
	{"<a@192.0.2.1>", NULL, "", 0},
	{"<a@12345>", NULL, "", 0},
	{"<a@192.0.2.1.example>", "a@192.0.2.1.example", "", 0},
	{"<\"\\\"\"@192.0.2.1>", "\"\\\"\"@[192.0.2.1]", "", PH_PATH_NUMERIC},
	{"<a@192.0.2.1.>", "a@[192.0.2.1]", "", PH_PATH_NUMERIC},
	{"<a@[192.0.2.1]>", "a@[192.0.2.1]", "", PH_PATH_NUMERIC},
	{"<a@192.0.2.256>", NULL, "", PH_PATH_NUMERIC},
	{"<a@192.0.2>", NULL, "", PH_PATH_NUMERIC},
};

static void
test_paths(void **state)
{
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		const struct path_case *c = &paths[i];
		ph_pool *pool = ph_pool_new(0);
		const char *address = NULL;
		ph_span rest = {"", 0};
		ph_error error = {""};
		int result = ph_path_parse(pool, ph_span_of(c->text), c->flags, &address, &rest, &error);

		if ((result == 0) != (c->address != NULL))
			fail_msg("%s: %d %s", c->text, result, error.text);
		if (result == 0) {
			assert_string_equal(address, c->address);
			assert_true(ph_span_equal(rest, ph_span_of(c->rest)));
		} else {
			assert_string_not_equal(error.text, "");
		}
		ph_pool_free(pool);
	}
}

/* What comes out goes in again and stays the same. */
static void
test_canonical(void **state)
{
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		ph_pool *pool = ph_pool_new(0);
		const char *again = NULL;
		ph_span rest;
		const char *text;

		if (paths[i].address != NULL && paths[i].address[0] != '\0') {
			text = ph_pool_printf(pool, "<%s>", paths[i].address);
			assert_int_equal(
				ph_path_parse(pool, ph_span_of(text), PH_PATH_UTF8, &again, &rest, NULL), 0);
			assert_string_equal(again, paths[i].address);
		}
		ph_pool_free(pool);
	}
}

static void
test_long(void **state)
{
	static char text[70000];
	ph_pool *pool = ph_pool_new(0);
	const char *address;
	ph_span rest;
	ph_error error;

	memset(text, 'a', sizeof(text) - 1);
	text[0] = '<';
	assert_int_equal(ph_path_parse(pool, ph_span_of(text), 0, &address, &rest, &error), -1);
	assert_int_equal(
		ph_path_parse(pool, (ph_span){text + 1, sizeof(text) - 2}, 0, &address, &rest, &error), -1);
	memset(text + 1, '\\', 2000);
	text[1] = '"';
	assert_int_equal(ph_path_parse(pool, ph_span_of(text), 0, &address, &rest, &error), -1);
	assert_int_equal(ph_path_parse(pool, (ph_span){NULL, 0}, 0, &address, &rest, &error), -1);
	assert_int_equal(ph_path_parse(pool, (ph_span){"<a\0b@c>", 7}, 0, &address, &rest, &error), -1);
	ph_pool_free(pool);
}

static void
test_parts(void **state)
{
	static const struct {
		const char *address, *local, *domain, *unquoted;
	} cases[] = {
		{"a@b", "a", "b", "a"},
		{"postmaster", "postmaster", "", "postmaster"},
		{"", "", "", ""},
		{"\"a@b\"@c", "\"a@b\"", "c", "a@b"},
		{"\"a\\\"@b\"@c", "\"a\\\"@b\"", "c", "a\"@b"},
		{"\"a b\"", "\"a b\"", "", "a b"},
		{"a@b@c", "a@b", "c", "a@b"},
		{"u@[IPv6:::1]", "u", "[IPv6:::1]", "u"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_pool *pool = ph_pool_new(0);

		assert_true(ph_span_equal(
			ph_address_local_part(cases[i].address), ph_span_of(cases[i].local)));
		assert_string_equal(ph_address_domain(cases[i].address), cases[i].domain);
		assert_string_equal(ph_address_unquoted(pool, cases[i].address), cases[i].unquoted);
		ph_pool_free(pool);
	}
}

static void
test_hostnames(void **state)
{
	static const struct {
		const char *name;
		bool host, fqdn;
	} cases[] = {
		{"mail.example.com", true, true},
		{"localhost", true, false},
		{"a", true, false},
		{"1a.example", true, true},
		{"3com.com", true, true},
		{"", false, false},
		{".", false, false},
		{"a.", false, false},
		{".a", false, false},
		{"a..b", false, false},
		{"foo_bar", false, false},
		{"-a.example", false, false},
		{"a-.example", false, false},
		{"a-b.example", true, true},
		{"1.2.3.4", false, false},
		{"123", false, false},
		{"1.2.3.a", true, true},
		{"a b", false, false},
		{"a\xc3\xb6", false, false},
		{"[1.2.3.4]", false, false},
		{LABEL63 ".example", true, true},
		{"b" LABEL63 ".example", false, false},
		{DOMAIN255, true, true},
		{DOMAIN255 ".b", false, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (ph_is_hostname(cases[i].name) != cases[i].host)
			fail_msg("%s", cases[i].name);
		if (ph_is_fqdn(cases[i].name) != cases[i].fqdn)
			fail_msg("%s", cases[i].name);
	}
}

static void
test_literals(void **state)
{
	static const struct {
		const char *text;
		int family; /* 0: none */
	} cases[] = {
		{"[192.0.2.1]", AF_INET},
		{"[IPv6:2001:db8::1]", AF_INET6},
		{"[IPv6:::ffff:192.0.2.1]", AF_INET6},
		{"[300.1.1.1]", 0},
		{"[192.0.2.1", 0},
		{"192.0.2.1]", 0},
		{"192.0.2.1", 0},
		{"[]", 0},
		{"[IPv6:]", 0},
		{"[IPv6:192.0.2.1]", 0},
		{"[2001:db8::1]", 0},
		{"[192.0.2.1]x", 0},
		{"[[192.0.2.1]]", 0},
		{"[ 192.0.2.1]", 0},
		{"[tag:x]", 0},
		{"", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_address address = {0};

		if (ph_is_literal(cases[i].text, &address) != (cases[i].family != 0))
			fail_msg("%s", cases[i].text);
		assert_int_equal(address.family, cases[i].family);
		assert_int_equal(ph_is_literal(cases[i].text, NULL), cases[i].family != 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_canonical),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_hostnames),
		cmocka_unit_test(test_literals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
