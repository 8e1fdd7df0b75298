#include "../../tests/unit/map_conformance.h"
#include "naive.h"
#include "ranges.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

extern const struct ph_module posthouse_module_map_cidr;

static const char *const keys[] = {"192.0.2.1", "2001:db8::ab", "198.51.100.255"};
static const char *const others[] = {"alpha", "192.0.2.0", "192.0.2.2", "2001:db8::aa", "2001:db8::ac",
	"198.51.101.0", "198.51.99.255", "192.0.2.1 ", " 192.0.2.1", "[192.0.2.1]", "192.0.2.1/32", "192.0.2",
	"192.0.2.01", "192.0.2.256", "2001:db8::ab::", "::ffff:192.0.2.2", "::192.0.2.1", NULL};

static const struct map_subject cidr = {
	.module = &posthouse_module_map_cidr,
	.suffix = "",
	.first = "# a table\n192.0.2.1 one\n2001:db8::ab/128\ttwo,\n# between\n three\n\n198.51.100.0/24 $\n",
	.second = "192.0.2.0/31 changed\n198.51.100.0/24 $\n",
	.broken = "192.0.2.1 one\n192.0.2.1/24 two\n",
	.broken_says = "/table:2: \"192.0.2.1/24\" has host bits set; did you mean 192.0.2.0/24?",
	.keys = keys,
	.others = others,
};

static void
conforms(void **unused)
{
	map_conformance(&cidr);
}

/* A table, an address and its value; NULL: not found. */
static const struct {
	const char *table, *key, *value;
} finds[] = {
	{"10.0.0.0/8 1", "10.255.255.255", "1"},
	{"10.0.0.0/8 1", "11.0.0.0", NULL},
	{"10.0.0.0/8 1", "9.255.255.255", NULL},
	{"0.0.0.0/0 1", "255.255.255.255", "1"},
	{"0.0.0.0/0 1", "::1", NULL},
	{"::/0 1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "1"},
	{"::/0 1", "0.0.0.0", NULL},
	{"255.255.255.255 1", "255.255.255.255", "1"},
	{"255.255.255.255 1", "0.0.0.0", NULL},
	/* the first counts, not the longest */
	{"10.0.0.0/8 1\n10.1.0.0/16 2", "10.1.0.0", "1"},
	{"10.1.0.0/16 2\n10.0.0.0/8 1", "10.1.0.0", "2"},
	{"10.1.0.0/16 2\n10.0.0.0/8 1", "10.2.0.0", "1"},
	{"10.0.0.0/8 1\n10.0.0.0/8 2", "10.1.0.0", "1"},
	{"10.0.0.1 1\n10.0.0.0/31 2\n10.0.0.0/30 3", "10.0.0.0", "2"},
	{"10.0.0.1 1\n10.0.0.0/31 2\n10.0.0.0/30 3", "10.0.0.1", "1"},
	{"10.0.0.1 1\n10.0.0.0/31 2\n10.0.0.0/30 3", "10.0.0.2", "3"},
	/* forms */
	{"2001:DB8:0::/32 1", "2001:db8:ffff::", "1"},
	{"[2001:db8::]/32 1", "2001:db8::1", "1"},
	{"[2001:db8::/32] 1", "2001:db8::1", "1"},
	{"[192.0.2.1] 1", "192.0.2.1", "1"},
	{"[::1] 1", "0:0:0:0:0:0:0:1", "1"},
	{"10.0.0.0/8 a b,\n\tc", "10.0.0.0", "a b,\tc"},
	{"# 10.0.0.0/8 1\n10.0.0.0/8 2", "10.0.0.0", "2"},
	/* ! is everything else of the family */
	{"!10.0.0.0/8 1", "10.0.0.0", NULL},
	{"!10.0.0.0/8 1", "11.0.0.0", "1"},
	{"! 10.0.0.0/8 1", "9.0.0.0", "1"},
	{"!!10.0.0.0/8 1", "10.0.0.0", "1"},
	{"!10.0.0.0/8 1", "::1", NULL},
	{"!0.0.0.0/0 1\n0.0.0.0/0 2", "1.2.3.4", "2"},
	/* if */
	{"if 10.0.0.0/8\n10.1.0.0/16 1\n!10.2.0.0/16 2\nendif\n0.0.0.0/0 3", "10.1.0.0", "1"},
	{"if 10.0.0.0/8\n10.1.0.0/16 1\n!10.2.0.0/16 2\nendif\n0.0.0.0/0 3", "10.2.0.0", "3"},
	{"if 10.0.0.0/8\n10.1.0.0/16 1\n!10.2.0.0/16 2\nendif\n0.0.0.0/0 3", "10.3.0.0", "2"},
	{"if 10.0.0.0/8\n10.1.0.0/16 1\n!10.2.0.0/16 2\nendif\n0.0.0.0/0 3", "11.0.0.0", "3"},
	{"IF !10.0.0.0/8\n0.0.0.0/0 1\nENDIF", "10.0.0.0", NULL},
	{"if!10.0.0.0/8\n0.0.0.0/0 1\nendif", "11.0.0.0", "1"},
	{"if 10.0.0.0/8\nif 10.1.0.0/16\n0.0.0.0/0 1\nendif\n0.0.0.0/0 2\nendif", "10.1.0.0", "1"},
	{"if 10.0.0.0/8\nif 10.1.0.0/16\n0.0.0.0/0 1\nendif\n0.0.0.0/0 2\nendif", "10.2.0.0", "2"},
	{"if 10.0.0.0/8\n::/0 1\nendif\nif ::/0\n::1 2\n10.0.0.0/8 3\nendif", "10.0.0.0", NULL},
	{"if 10.0.0.0/8\n::/0 1\nendif\nif ::/0\n::1 2\n10.0.0.0/8 3\nendif", "::1", "2"},
	{"if !::1\n::2 1\nendif", "::2", "1"},
	{"if !::1\n10.0.0.0/8 1\nendif", "10.0.0.0", NULL},
	/* IPv4 in IPv6 */
	{"10.0.0.0/8 1", "::ffff:10.0.0.1", "1"},
	{"10.0.0.0/8 1\n::ffff:0.0.0.0/96 2", "::ffff:10.0.0.1", "2"},
	{"10.0.0.0/8 1\n::/0 2", "10.0.0.1", "1"},
	{"", "10.0.0.0", NULL},
};

static void
finds_what_it_should(void **unused)
{
	for (size_t i = 0; i < sizeof(finds) / sizeof(finds[0]); i++) {
		struct map_fixture f;
		ph_error error = {""};
		const char *value;
		ph_found found;

		map_setup(&f, &cidr);
		map_write(&f, finds[i].table);
		if (map_open(&f, &error) != 0)
			fail_msg("\"%s\": %s", finds[i].table, error.text);
		found = map_find(&f, finds[i].key, &value);
		if (found != (finds[i].value != NULL ? PH_FOUND : PH_NOT_FOUND))
			fail_msg("%s in \"%s\": %d", finds[i].key, finds[i].table, found);
		if (found == PH_FOUND)
			assert_string_equal(value, finds[i].value);
		map_teardown(&f);
	}
}

static const struct {
	const char *table, *error;
} errors[] = {
	{"10.0.0.0/8", "t:1: expected a value behind the network"},
	{"\n10.0.0.1/8 1", "t:2: \"10.0.0.1/8\" has host bits set; did you mean 10.0.0.0/8?"},
	{"2001:db8::1/64 1", "t:1: \"2001:db8::1/64\" has host bits set; did you mean 2001:db8::/64?"},
	{"10.0.0.0/33 1", "t:1: \"10.0.0.0/33\" has a length that does not lie between 0 and 32"},
	{"10.0.0.0/ 1", "t:1: \"10.0.0.0/\" has a length that does not lie between 0 and 32"},
	{"10.0.0.0/-1 1", "t:1: \"10.0.0.0/-1\" has a length that does not lie between 0 and 32"},
	{"::/129 1", "t:1: \"::/129\" has a length that does not lie between 0 and 128"},
	{"10.0.0/24 1", "t:1: \"10.0.0/24\" is not a network: expected address/length or an address"},
	{"example.com 1", "t:1: \"example.com\" is not a network: expected address/length or an address"},
	{"fe80::1%1 1", "t:1: \"fe80::1%1\" is not a network: expected address/length or an address"},
	{"[] 1", "t:1: \"[]\" is not a network: expected address/length or an address"},
	{"!", "t:1: expected a network: address/length value"},
	{"if", "t:1: expected a network: address/length value"},
	{"if 10.0.0.0/8 x\nendif", "t:1: unexpected text behind the network of if"},
	{"10.0.0.0/8 1\nendif", "t:2: endif without an if before it"},
	{"if 10.0.0.0/8\nendif x", "t:2: unexpected text behind endif"},
	{"::/0 1\nif 10.0.0.0/8\n10.0.0.1 1", "t:2: this if has no endif"},
	{" 10.0.0.0/8 1", "t:1: a continuation line, but no entry before it"},
};

static void
names_what_is_wrong(void **unused)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		ph_pool *pool = ph_pool_new(0);
		struct rules rules;
		ph_error error = {""};

		assert_int_equal(cidr_parse(&rules, pool, "t", ph_span_of(errors[i].table), &error), -1);
		assert_string_equal(error.text, errors[i].error);
		ph_pool_free(pool);
	}
}

static void
check_tells(void **unused)
{
	struct map_fixture f;
	ph_error error = {""};

	map_setup(&f, &cidr);
	map_write(&f, "10.0.0.0/8 1\n10.0.0.0/x 1\n");
	assert_int_equal(cidr.module->life->check(f.self, &error), -1);
	assert_non_null(strstr(error.text, "/table:2: \"10.0.0.0/x\" has a length"));
	map_teardown(&f);
}

/* ---- Against the rules one after the other --------------------------------------------------- */

static unsigned
chance(unsigned *seed, unsigned range)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 16) % range;
}

/* A network within the lowest or the highest 256 addresses of a family. */
static size_t
put_network(char *out, size_t room, unsigned *seed)
{
	unsigned host = 8 - chance(seed, 9), low = chance(seed, 256) >> host << host;
	bool top = chance(seed, 2) == 1;

	if (chance(seed, 3) > 0)
		return (size_t)snprintf(out, room, "%s.%u/%u", top ? "255.255.255" : "0.0.0", low, 32 - host);
	return (size_t)snprintf(out, room, "%s:%x/%u", top ? "ffff:ffff:ffff:ffff:ffff:ffff:ffff" : "0:0:0:0:0:0:0",
		top ? 0xff00 | low : low, 128 - host);
}

static void
make_table(char *out, size_t room, unsigned *seed)
{
	unsigned depth = 0, lines = 1 + chance(seed, 30), ifs = chance(seed, 2) * 4;
	size_t size = 0;

	for (unsigned i = 0; i < lines || depth > 0; i++) {
		unsigned kind = chance(seed, 12);

		if (depth > 0 && (i >= lines || kind < 2)) {
			size += (size_t)snprintf(out + size, room - size, "endif\n");
			depth--;
			continue;
		}
		size += (size_t)snprintf(out + size, room - size, "%s%s", kind >= 8 && kind < 8 + ifs ? "if " : "",
			chance(seed, 5) == 0 ? "!" : "");
		size += put_network(out + size, room - size, seed);
		size += (size_t)snprintf(out + size, room - size, kind >= 8 && kind < 8 + ifs ? "\n" : " %u\n", i);
		depth += kind >= 8 && kind < 8 + ifs;
	}
	out[size] = '\0';
}

static void
compare(const char *table, const struct rules *rules, const struct ranges *ranges, uint16_t family)
{
	uint8_t bytes[16];

	for (unsigned i = 0; i < 1024; i++) {
		/* around the borders of the space, and next to the networks' own */
		memset(bytes, i < 512 ? 0 : 0xff, sizeof(bytes));
		bytes[ranges->width - 1] = (uint8_t)i;
		bytes[ranges->width - 2] = (uint8_t)(i < 512 ? i >> 8 : 0xfe | (i & 0x100) >> 8);
		if (ranges_find(ranges, rules, bytes) != naive_find(rules, family, bytes))
			fail_msg("address %u of family %u in\n%s", i, family, table);
	}
	for (size_t i = 1; i < ranges->count; i++) {
		assert_true(memcmp(ranges->items[i - 1].first, ranges->items[i].first, ranges->width) < 0);
		assert_int_not_equal(ranges->items[i - 1].rule, ranges->items[i].rule);
	}
}

static void
holds_as_written(void **unused)
{
	static char table[8000];
	unsigned seed = 7;

	for (int i = 0; i < 2000; i++) {
		ph_pool *pool = ph_pool_new(0);
		struct rules rules;
		struct ranges v4, v6;
		ph_error error = {""};

		make_table(table, sizeof(table), &seed);
		if (cidr_parse(&rules, pool, "t", ph_span_of(table), &error) != 0)
			fail_msg("%s in\n%s", error.text, table);
		assert_int_equal(ranges_make(&v4, &rules, AF_INET, pool), 0);
		assert_int_equal(ranges_make(&v6, &rules, AF_INET6, pool), 0);
		compare(table, &rules, &v4, AF_INET);
		compare(table, &rules, &v6, AF_INET6);
		ph_pool_free(pool);
	}
}

/* As many as a blocklist has. */
static void
holds_many(void **unused)
{
	enum { COUNT = 100000 };
	size_t room = COUNT * 32, size = 0;
	char *table = malloc(room);
	struct map_fixture f;
	ph_error error = {""};
	const char *value;
	char key[32];

	assert_non_null(table);
	for (unsigned i = 0; i < COUNT; i++)
		size += (size_t)snprintf(table + size, room - size, "%u.%u.%u.0/%u v%u\n", 1 + i / 50000,
			i / 200 % 250, i % 200, i % 2 == 1 ? 32 : 24, i);
	map_setup(&f, &cidr);
	map_write(&f, table);
	assert_int_equal(map_open(&f, &error), 0);
	for (unsigned i = 0; i < COUNT; i++) {
		snprintf(key, sizeof(key), "%u.%u.%u.%u", 1 + i / 50000, i / 200 % 250, i % 200, i % 2 == 1 ? 0 : 7);
		assert_int_equal(map_find(&f, key, &value), PH_FOUND);
		assert_int_equal(strtoul(value + 1, NULL, 10), i);
	}
	assert_int_equal(map_find(&f, "1.0.1.1", NULL), PH_NOT_FOUND);
	map_teardown(&f);
	free(table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conforms),
		cmocka_unit_test(finds_what_it_should),
		cmocka_unit_test(names_what_is_wrong),
		cmocka_unit_test(check_tells),
		cmocka_unit_test(holds_as_written),
		cmocka_unit_test(holds_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
