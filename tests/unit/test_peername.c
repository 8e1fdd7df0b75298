/* The names of a client: what its address says, and whether that says it back. A table. */
#include "test.h"

#include <string.h>
#include <sys/socket.h>

#include "session_world.h"
#include "session/peername.h"

#define A10 "aaaaaaaaaa"
#define LABEL63 A10 A10 A10 A10 A10 A10 "aaa"

static const struct world_record dns[] = {
	{PH_DNS_PTR, "192.0.2.1", PH_DNS_FOUND, {"mx.example.com"}},
	{PH_DNS_A, "mx.example.com", PH_DNS_FOUND, {"198.51.100.1", "192.0.2.1"}},
	{PH_DNS_PTR, "192.0.2.2", PH_DNS_FOUND, {"other.example.com", "mx2.example.com"}},
	{PH_DNS_A, "other.example.com", PH_DNS_FOUND, {"198.51.100.1"}},
	{PH_DNS_A, "mx2.example.com", PH_DNS_FOUND, {"192.0.2.2"}},
	{PH_DNS_PTR, "192.0.2.3", PH_DNS_FOUND, {"gone.example.com"}},
	{PH_DNS_PTR, "192.0.2.4", PH_DNS_FOUND, {"six.example.com"}},
	{PH_DNS_AAAA, "six.example.com", PH_DNS_FOUND, {"2001:db8::1"}},
	{PH_DNS_PTR, "2001:db8::1", PH_DNS_FOUND, {"six.example.com"}},
	{PH_DNS_PTR, "192.0.2.5", PH_DNS_FOUND, {"slow.example.com"}},
	{PH_DNS_A, "slow.example.com", PH_DNS_TEMPFAIL, {NULL}},
	{PH_DNS_PTR, "192.0.2.6", PH_DNS_TEMPFAIL, {NULL}},
	{PH_DNS_PTR, "192.0.2.7", PH_DNS_NODATA, {NULL}},
	{PH_DNS_PTR, "192.0.2.10", PH_DNS_FOUND, {"192.0.2.10"}},
	{PH_DNS_A, "192.0.2.10", PH_DNS_FOUND, {"192.0.2.10"}},
	{PH_DNS_PTR, "192.0.2.11", PH_DNS_FOUND, {"192.0.2.11.4"}},
	{PH_DNS_PTR, "192.0.2.12", PH_DNS_FOUND, {"-mx.example.com"}},
	{PH_DNS_PTR, "192.0.2.13", PH_DNS_FOUND, {"mx-.example.com"}},
	{PH_DNS_PTR, "192.0.2.14", PH_DNS_FOUND, {"mx\\040a.example.com"}},
	{PH_DNS_PTR, "192.0.2.15", PH_DNS_FOUND, {"mx[1].example.com"}},
	{PH_DNS_PTR, "192.0.2.16", PH_DNS_FOUND, {""}},
	{PH_DNS_PTR, "192.0.2.17", PH_DNS_FOUND, {"mx..example.com"}},
	{PH_DNS_PTR, "192.0.2.18", PH_DNS_FOUND, {"a" LABEL63 ".example.com"}},
	{PH_DNS_PTR, "192.0.2.19", PH_DNS_FOUND, {LABEL63 "." LABEL63 "." LABEL63 "." LABEL63 ".a"}},
	{PH_DNS_PTR, "192.0.2.20", PH_DNS_FOUND, {"host_1.example.com"}},
	{PH_DNS_A, "host_1.example.com", PH_DNS_FOUND, {"192.0.2.20"}},
	{PH_DNS_PTR, "192.0.2.21", PH_DNS_FOUND, {"2001:db8::7"}},
};

static const struct {
	const char *client;
	ph_found reverse, forward;
	const char *name; /* the reverse one */
	const char *log;
} cases[] = {
	{"192.0.2.1", PH_FOUND, PH_FOUND, "mx.example.com", ""},
	{"2001:db8::1", PH_FOUND, PH_FOUND, "six.example.com", ""},
	{"192.0.2.2", PH_FOUND, PH_NOT_FOUND, "other.example.com",
		"hostname other.example.com does not resolve to address 192.0.2.2\n"},
	{"192.0.2.3", PH_FOUND, PH_NOT_FOUND, "gone.example.com",
		"hostname gone.example.com does not resolve to address 192.0.2.3: "
		"Name or service not known\n"},
	{"192.0.2.4", PH_FOUND, PH_NOT_FOUND, "six.example.com",
		"hostname six.example.com does not resolve to address 192.0.2.4: "
		"No address associated with hostname\n"},
	{"192.0.2.5", PH_FOUND, PH_FAILED, "slow.example.com",
		"hostname slow.example.com does not resolve to address 192.0.2.5: "
		"Temporary failure in name resolution\n"},
	{"192.0.2.6", PH_FAILED, PH_FAILED, NULL, ""},
	{"192.0.2.7", PH_NOT_FOUND, PH_NOT_FOUND, NULL, ""},
	{"192.0.2.8", PH_NOT_FOUND, PH_NOT_FOUND, NULL, ""},
	{"192.0.2.10", PH_NOT_FOUND, PH_NOT_FOUND, NULL, "numeric hostname: 192.0.2.10\n"},
	{"192.0.2.11", PH_NOT_FOUND, PH_NOT_FOUND, NULL,
		"valid_hostname: numeric hostname: 192.0.2.11.4\n"},
	{"192.0.2.12", PH_NOT_FOUND, PH_NOT_FOUND, NULL,
		"valid_hostname: misplaced hyphen: -mx.example.com\n"},
	{"192.0.2.13", PH_NOT_FOUND, PH_NOT_FOUND, NULL,
		"valid_hostname: misplaced hyphen: mx-.example.com\n"},
	{"192.0.2.14", PH_NOT_FOUND, PH_NOT_FOUND, NULL,
		"valid_hostname: invalid character 92(decimal): mx\\040a.example.com\n"},
	{"192.0.2.15", PH_NOT_FOUND, PH_NOT_FOUND, NULL,
		"valid_hostname: invalid character 91(decimal): mx[1].example.com\n"},
	{"192.0.2.16", PH_NOT_FOUND, PH_NOT_FOUND, NULL, "valid_hostname: empty hostname\n"},
	{"192.0.2.17", PH_NOT_FOUND, PH_NOT_FOUND, NULL,
		"valid_hostname: misplaced delimiter: mx..example.com\n"},
	{"192.0.2.18", PH_NOT_FOUND, PH_NOT_FOUND, NULL,
		"valid_hostname: hostname label too long: a" LABEL63 ".example.com\n"},
	{"192.0.2.19", PH_NOT_FOUND, PH_NOT_FOUND, NULL,
		"valid_hostname: hostname too long: " LABEL63 "." A10 A10 A10 "aaaaaa\n"},
	{"192.0.2.20", PH_FOUND, PH_FOUND, "host_1.example.com", ""},
	{"192.0.2.21", PH_NOT_FOUND, PH_NOT_FOUND, NULL, "numeric hostname: 2001:db8::7\n"},
};

static void
test_names(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_pool *pool = ph_pool_new(0);
		struct peername names;
		ph_address client;

		world_reset();
		world.dns = dns;
		world.dns_count = sizeof(dns) / sizeof(dns[0]);
		assert_int_equal(ph_address_parse(ph_span_of(cases[i].client), &client), 0);
		peername_find(pool, &client, &names);
		assert_int_equal(names.reverse_found, cases[i].reverse);
		assert_int_equal(names.forward_found, cases[i].forward);
		if (cases[i].name != NULL)
			assert_string_equal(names.reverse, cases[i].name);
		else
			assert_null(names.reverse);
		assert_string_equal(world.log, cases[i].log);
		ph_pool_free(pool);
	}
}

/* One that has no address has no name, and nobody is asked. */
static void
test_local(void **state)
{
	const ph_address client = {.family = AF_UNIX};
	struct peername names;

	world_reset();
	peername_find(NULL, &client, &names);
	assert_int_equal(names.reverse_found, PH_NOT_FOUND);
	assert_int_equal(names.forward_found, PH_NOT_FOUND);
	assert_null(names.reverse);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_local)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
