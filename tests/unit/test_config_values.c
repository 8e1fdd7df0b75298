/* Values, names, references, networks, the scanner: what is pure in a configuration. */
#include "test.h"

#include <string.h>

#include "config/expand.h"
#include "config/nearest.h"
#include "config/networks.h"
#include "config/scan.h"
#include "config/settings.h"
#include "config/value.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
tables_are_sorted(void **state)
{
	for (size_t i = 1; i < settings_param_count; i++)
		assert_true(strcmp(settings_params[i - 1].name, settings_params[i].name) < 0);
	for (size_t i = 1; i < policy_param_count; i++)
		assert_true(strcmp(policy_params[i - 1].name, policy_params[i].name) < 0);
	for (size_t i = 0; i < settings_param_count; i++)
		assert_non_null(settings_params[i].doc);
}

static void
bools(void **state)
{
	bool value = false;
	ph_error error;

	assert_int_equal(value_bool(ph_span_of("yes"), &value, &error), 0);
	assert_true(value);
	assert_int_equal(value_bool(ph_span_of("NO"), &value, &error), 0);
	assert_false(value);
	assert_int_equal(value_bool(ph_span_of("true"), &value, &error), -1);
	assert_string_equal(error.text, "\"true\" is neither yes nor no; did you mean yes?");
	assert_int_equal(value_bool(ph_span_of(""), &value, &error), -1);
	assert_string_equal(error.text, "\"\" is neither yes nor no");
}

enum kind { INT, SIZE, TIME };

static const struct number {
	enum kind kind;
	const char *text;
	int64_t min, max, value;
	const char *error; /* NULL: none */
} numbers[] = {
	{INT, "12", 0, 0, 12, NULL},
	{INT, "-12", 0, 0, -12, NULL},
	{INT, "12", 1, 12, 12, NULL},
	{INT, "13", 1, 12, 0, "13 is out of range: 1 to 12"},
	{INT, "99999999999999999999", 1, 12, 0, "99999999999999999999 is out of range: 1 to 12"},
	{INT, "", 0, 0, 0, "\"\" is not a whole number"},
	{INT, "1k", 0, 0, 0, "\"1k\" is not a whole number"},
	{INT, "1 ", 0, 0, 0, "\"1 \" is not a whole number"},
	{SIZE, "0", 0, 1 << 20, 0, NULL},
	{SIZE, "10k", 0, 0, 10240, NULL},
	{SIZE, "3M", 0, 0, 3 << 20, NULL},
	{SIZE, "2g", 0, 0, INT64_C(2) << 30, NULL},
	{SIZE, "2m", 1024, 1 << 20, 0, "2m is out of range: 1k to 1m"},
	{SIZE, "9223372036854775807g", 0, 0, 0,
		"9223372036854775807g is out of range"},
	{SIZE, "-1", 0, 0, 0,
		"\"-1\" is not a size (a number of bytes, with k, m or g after it for more)"},
	{SIZE, "k", 0, 0, 0, "\"k\" is not a size (a number of bytes, with k, m or g after it for more)"},
	{TIME, "5", 0, 0, 5000, NULL},
	{TIME, "5s", 0, 0, 5000, NULL},
	{TIME, "250ms", 0, 0, 250, NULL},
	{TIME, "2m", 0, 0, 120000, NULL},
	{TIME, "2h", 0, 0, 7200000, NULL},
	{TIME, "5d", 0, 0, 432000000, NULL},
	{TIME, "1w", 0, 0, 604800000, NULL},
	{TIME, "2h", 1000, 3600000, 0, "2h is out of range: 1s to 1h"},
	{TIME, "1y", 0, 0, 0,
		"\"1y\" is not a time (a number with s, m, h, d or w after it; seconds without one)"},
};

static void
numbers_and_units(void **state)
{
	for (size_t i = 0; i < COUNT(numbers); i++) {
		const struct number *number = &numbers[i];
		ph_span text = ph_span_of(number->text);
		int64_t value = 0;
		ph_error error = {""};
		int result = number->kind == INT
			? value_int(text, number->min, number->max, &value, &error) : number->kind == SIZE
			? value_size(text, number->min, number->max, &value, &error)
			: value_time(text, number->min, number->max, &value, &error);

		assert_int_equal(result, number->error ? -1 : 0);
		assert_string_equal(error.text, number->error ? number->error : "");
		assert_int_equal(value, number->value);
	}
}

static void
enums_and_paths(void **state)
{
	int value = -1;
	ph_error error;

	assert_int_equal(value_enum(ph_span_of("may"), "none, may, encrypt", &value, &error), 0);
	assert_int_equal(value, 1);
	assert_int_equal(value_enum(ph_span_of("encrpyt"), "none, may, encrypt", &value, &error), -1);
	assert_string_equal(error.text,
		"\"encrpyt\" is none of: none, may, encrypt; did you mean encrypt?");
	assert_int_equal(value_path(ph_span_of("/etc"), &error), 0);
	assert_int_equal(value_path(ph_span_of(""), &error), 0);
	assert_int_equal(value_path(ph_span_of("etc"), &error), -1);
	assert_string_equal(error.text, "\"etc\" is not an absolute path");
}

static void
addresses(void **state)
{
	static const struct {
		const char *text, *address;
		unsigned port;
	} good[] = {{"192.0.2.1", "192.0.2.1", 0}, {"192.0.2.1@53", "192.0.2.1", 53},
		{"2001:db8::1@5353", "2001:db8::1", 5353}, {"[2001:db8::1]@53", "2001:db8::1", 53}};
	static const char *const bad[] = {"", "dns.example", "192.0.2.1@0", "192.0.2.1@65536", "192.0.2.1@"};
	char text[PH_ADDRESS_TEXT];
	ph_address address;
	ph_error error;

	for (size_t i = 0; i < COUNT(good); i++) {
		assert_int_equal(value_address(ph_span_of(good[i].text), &address, &error), 0);
		assert_string_equal(ph_address_text(&address, text), good[i].address);
		assert_int_equal(address.port, good[i].port);
	}
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(value_address(ph_span_of(bad[i]), &address, &error), -1);
}

static void
lists(void **state)
{
	static const struct {
		const char *text, *words, *elements;
	} cases[] = {
		{"a, b c", "a|b|c|", "a|b c|"},
		{" a ,, b ", "a|b|", "a|b|"},
		{"{a b}, 'c d'", "a b|c d|", "a b|c d|"},
		{"x=127.0.0.[2,3], y", "x=127.0.0.[2,3]|y|", "x=127.0.0.[2,3]|y|"},
		{"", "", ""},
		{"{unclosed, a", "{unclosed, a|", "{unclosed, a|"},
	};
	ph_pool *pool = ph_pool_new(0);

	for (size_t i = 0; i < COUNT(cases); i++) {
		ph_span words = ph_span_of(cases[i].text), elements = words;
		char text[200] = "";
		const char *word;

		while (value_next_word(&words, pool, &word))
			strcat(strcat(text, word), "|");
		assert_string_equal(text, cases[i].words);
		text[0] = '\0';
		while (value_next_element(&elements, pool, &word))
			strcat(strcat(text, word), "|");
		assert_string_equal(text, cases[i].elements);
	}
	ph_pool_free(pool);
}

static void
nearest_spelling(void **state)
{
	static const char *const names[] = {"myhostname", "mydomain", "myorigin", "relayhost", "port"};
	static const struct {
		const char *word, *nearest;
	} cases[] = {{"myhostnmae", "myhostname"}, {"relay_host", "relayhost"}, {"MyDomain", "mydomain"},
		{"prt", "port"}, {"zzz", NULL}, {"x", NULL}, {"", NULL}};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct nearest nearest = nearest_to(cases[i].word);

		for (size_t j = 0; j < COUNT(names); j++)
			nearest_try(&nearest, names[j]);
		if (cases[i].nearest)
			assert_string_equal(nearest_result(&nearest), cases[i].nearest);
		else
			assert_null(nearest_result(&nearest));
	}
	assert_int_equal(nearest_distance("abcd", "abdc"), 1);
	assert_int_equal(nearest_distance("kitten", "sitting"), 3);
}

/* a = "A", b = "$a!", c and d refer to each other. */
static const char *
lookup(void *context, ph_pool *pool, const char *name, const struct expand_chain *chain,
	ph_error *error)
{
	static const char *const texts[][2] = {
		{"a", "A"}, {"b", "$a!"}, {"c", "$d"}, {"d", "x$c"}, {"e", ""}};

	for (size_t i = 0; i < COUNT(texts); i++)
		if (strcmp(texts[i][0], name) == 0)
			return expand_text(pool, texts[i][1], lookup, context, chain, error);
	ph_error_set(error, "$%s: unknown", name);
	return NULL;
}

static void
references(void **state)
{
	static const struct {
		const char *text, *result, *error;
	} cases[] = {
		{"plain", "plain", ""},
		{"$a", "A", ""},
		{"x${b}y$(a)", "xA!yA", ""},
		{"$$a $e.", "$a .", ""},
		{"$c", NULL, "refers to itself: c -> d -> c"},
		{"$z", NULL, "$z: unknown"},
		{"$", NULL, "\"$\": a parameter's name must follow $ (a dollar sign itself is $$)"},
		{"${a", NULL, "\"${a\": a parameter's name must follow $ (a dollar sign itself is $$)"},
	};
	ph_pool *pool = ph_pool_new(0);
	const char *name;

	for (size_t i = 0; i < COUNT(cases); i++) {
		ph_error error = {""};
		const char *result = expand_text(pool, cases[i].text, lookup, NULL, NULL, &error);

		assert_int_equal(result == NULL, cases[i].result == NULL);
		if (result)
			assert_string_equal(result, cases[i].result);
		assert_string_equal(error.text, cases[i].error);
	}
	assert_true(expand_is_reference(pool, "${mynetworks}", &name));
	assert_string_equal(name, "mynetworks");
	assert_false(expand_is_reference(pool, "$mynetworks.x", &name));
	assert_true(expand_refers("a$b, ${mynetworks}x", "mynetworks"));
	assert_true(expand_refers("$$$mynetworks", "mynetworks"));
	assert_false(expand_refers("$$mynetworks mynetworks $mynetworks_x $", "mynetworks"));
	ph_pool_free(pool);
}

static void
networks(void **state)
{
	static const struct {
		const char *network, *inside, *outside;
	} good[] = {
		{"192.168.1.0/24", "192.168.1.255", "192.168.2.0"},
		{"192.0.2.1", "192.0.2.1", "192.0.2.2"},
		{"10.0.0.0/9", "10.127.0.1", "10.128.0.1"},
		{"0.0.0.0/0", "8.8.8.8", "::1"},
		{"[2001:db8::]/33", "2001:db8:7fff::1", "2001:db8:8000::1"},
		{"::1", "::1", "::2"},
		{"127.0.0.0/8", "::ffff:127.0.0.1", "::ffff:128.0.0.1"},
	};
	static const char *const bad[][2] = {
		{"192.168.1.1/24", "\"192.168.1.1/24\" has host bits set; did you mean 192.168.1.0/24?"},
		{"[2001:db8::1]/64", "\"[2001:db8::1]/64\" has host bits set; did you mean [2001:db8::]/64?"},
		{"10.0.0.0/33", "\"10.0.0.0/33\": the length after / must lie between 0 and 32"},
		{"host.example", "\"host.example\" is not a network: expected address/length or an address"},
		{"", "\"\" is not a network: expected address/length or an address"},
	};
	struct network network;
	ph_address address;
	ph_error error;

	for (size_t i = 0; i < COUNT(good); i++) {
		assert_int_equal(network_parse(ph_span_of(good[i].network), &network, &error), 0);
		assert_int_equal(ph_address_parse(ph_span_of(good[i].inside), &address), 0);
		assert_true(network_has(&network, &address));
		assert_int_equal(ph_address_parse(ph_span_of(good[i].outside), &address), 0);
		assert_false(network_has(&network, &address));
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(network_parse(ph_span_of(bad[i][0]), &network, &error), -1);
		assert_string_equal(error.text, bad[i][1]);
	}
}

static void
first_network_that_matches_decides(void **state)
{
	struct network items[2];
	ph_networks list = {2, items};
	ph_address address;
	ph_error error;

	network_parse(ph_span_of("!10.0.0.1"), &items[0], &error);
	network_parse(ph_span_of("10.0.0.0/8"), &items[1], &error);
	ph_address_parse(ph_span_of("10.0.0.1"), &address);
	assert_false(ph_networks_match(&list, &address));
	ph_address_parse(ph_span_of("10.0.0.2"), &address);
	assert_true(ph_networks_match(&list, &address));
	assert_false(ph_networks_match(NULL, &address));
}

static void
scanning(void **state)
{
	static const char text[] = "# c\nload(a, b)\na = x // e\nb += {\n 'q r', s }\n"
				   "listener smtp { module = smtp port = 25 }\nc = ${a}.x\n";
	ph_pool *pool = ph_pool_new(0);
	struct scan scan;
	ph_error error;

	assert_int_equal(scan_text(pool, ph_span_of(text), &scan, &error), 0);
	assert_int_equal(scan.count, 7);
	assert_int_equal(scan.statements[0].kind, SCAN_CALL);
	assert_int_equal(scan.statements[0].line, 2);
	assert_int_equal(scan.statements[0].item_count, 2);
	assert_string_equal(scan.statements[1].name, "a");
	assert_int_equal(scan.statements[1].line, 3);
	assert_true(scan.statements[2].append);
	assert_true(scan.statements[2].braced);
	assert_int_equal(scan.statements[2].items[1].line, 5);
	assert_string_equal(scan.statements[3].title, "smtp");
	assert_int_equal(scan.statements[4].section, 3);
	assert_int_equal(scan.statements[6].section, -1);
	assert_non_null(strstr(scan.clean, "c = $\002a\003.x"));
	assert_null(strstr(scan.clean, "# c"));
	assert_int_equal(strlen(scan.clean), strlen(text));
	ph_pool_free(pool);
}

static void
syntax_errors_say_what_to_do(void **state)
{
	static const struct {
		const char *text;
		int line;
		const char *error;
	} cases[] = {
		{"a = x, y", 1, "unexpected comma after the value of a: a list is written a = {a, b}"},
		{"a = x y", 1, "unexpected \"y\" after the value of a: a list is written {a, b}, a value with "
			"spaces in quotes"},
		{"\na = {x y}", 2, "unexpected \"y\" in the list of a: an element with spaces or one of "
			"= ( ) { } , in it is written in quotes, as a restriction with its argument: "
			"'reject_rbl_client zen.example'"},
		{"a = {x\nb = y", 2, "expected a comma or } before \"b\" in the list of a, which begins on line 1"},
		{"a = {x,", 1, "the list of a is never closed: expected }"},
		{"a =\n b = 5", 1, "expected a value after a = ('' is an empty one)"},
		{"a x", 1, "expected = after \"a\""},
		{"a = 'x", 1, "the quote that begins here is never closed: expected '"},
		{"a = u+x", 1, "a value that holds + is written in quotes: '…'"},
		{"listener { }", 1, "listener: a section has a name: listener NAME { … }"},
		{"listener x { a = 1", 1, "the section listener x is never closed: expected }"},
		{"listener x { map y { } }", 1, "map y: a section within a section; the } of "
			"listener x, which begins on line 1, is missing before it"},
		{"/* x", 1, "this comment is never closed: expected */"},
		{"}", 1, "unexpected \"}\""},
	};
	ph_pool *pool = ph_pool_new(0);

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct scan scan;
		ph_error error = {""};

		assert_int_equal(scan_text(pool, ph_span_of(cases[i].text), &scan, &error), -1);
		assert_string_equal(error.text, cases[i].error);
		assert_int_equal(scan.error_line, cases[i].line);
	}
	ph_pool_free(pool);
}

static void
quoting(void **state)
{
	static const char *const cases[][2] = {{"plain", "plain"}, {"$myhostname", "$myhostname"},
		{"hash:/etc/aliases", "hash:/etc/aliases"}, {"[::1]/128", "[::1]/128"}, {"", "''"},
		{"a b", "'a b'"}, {"it's", "'it\\'s'"}, {"a\\b", "'a\\\\b'"}, {"${x}", "'${x}'"},
		{"http://x", "'http://x'"}, {"user+tag", "'user+tag'"}};
	ph_pool *pool = ph_pool_new(0);

	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(scan_quote(pool, cases[i][0]), cases[i][1]);
	ph_pool_free(pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_are_sorted),
		cmocka_unit_test(bools),
		cmocka_unit_test(numbers_and_units),
		cmocka_unit_test(enums_and_paths),
		cmocka_unit_test(addresses),
		cmocka_unit_test(lists),
		cmocka_unit_test(nearest_spelling),
		cmocka_unit_test(references),
		cmocka_unit_test(networks),
		cmocka_unit_test(first_network_that_matches_decides),
		cmocka_unit_test(scanning),
		cmocka_unit_test(syntax_errors_say_what_to_do),
		cmocka_unit_test(quoting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
