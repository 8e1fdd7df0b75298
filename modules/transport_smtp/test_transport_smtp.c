#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "nexthop.h"
#include "reply.h"

static void
test_nexthops(void **state)
{
	static const struct {
		const char *text, *host;
		unsigned port;
		bool mx, address, fails;
	} cases[] = {
		{"example.com", "example.com", 25, true, false, false},
		{"example.com:587", "example.com", 587, true, false, false},
		{"example.com:submission", "example.com", 587, true, false, false},
		{"[example.com]", "example.com", 25, false, false, false},
		{"[example.com]:2525", "example.com", 2525, false, false, false},
		{"[192.0.2.1]", "192.0.2.1", 25, false, true, false},
		{"[192.0.2.1]:26", "192.0.2.1", 26, false, true, false},
		{"[2001:db8::1]:26", "2001:db8::1", 26, false, true, false},
		{"[IPv6:2001:db8::1]", "IPv6:2001:db8::1", 25, false, true, false},
		{"192.0.2.1", "192.0.2.1", 25, false, true, false},
		{"", "", 0, false, false, true},
		{"[]", "", 0, false, false, true},
		{"[host", "", 0, false, false, true},
		{"[host]25", "", 0, false, false, true},
		{"host:", "", 0, false, false, true},
		{"host:0", "", 0, false, false, true},
		{"host:65536", "", 0, false, false, true},
		{"host:25x", "", 0, false, false, true},
		{"2001:db8::1", "", 0, false, false, true},
		{"bad_host!", "", 0, false, false, true},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct nexthop hop;
		ph_error error = {""};
		int result = nexthop_parse(cases[i].text, 25, &hop, &error);

		if (result != (cases[i].fails ? -1 : 0))
			fail_msg("%s: %d %s", cases[i].text, result, error.text);
		if (cases[i].fails) {
			assert_true(error.text[0] != '\0');
			continue;
		}
		assert_string_equal(hop.host, cases[i].host);
		assert_int_equal(hop.port, cases[i].port);
		assert_int_equal(hop.use_mx, cases[i].mx);
		assert_int_equal(hop.is_address, cases[i].address);
	}
}

static void
test_lmtp_nexthops(void **state)
{
	static const struct {
		const char *text, *host, *path;
		unsigned port;
		bool fails;
	} cases[] = {
		{"unix:private/dovecot-lmtp", "", "private/dovecot-lmtp", 0, false},
		{"UNIX:/run/lmtp:1", "", "/run/lmtp:1", 0, false},
		{"inet:box.example:2424", "box.example", NULL, 2424, false},
		{"inet:box.example", "box.example", NULL, 24, false},
		{"inet:[2001:db8::1]:26", "2001:db8::1", NULL, 26, false},
		{"box.example", "box.example", NULL, 24, false},
		{"[192.0.2.1]:lmtp", "192.0.2.1", NULL, 24, false},
		{"unix", "unix", NULL, 24, false},
		{"unix:", "", NULL, 0, true},
		{"inet:", "", NULL, 0, true},
		{"inet:unix:/x", "", NULL, 0, true},
		{"", "", NULL, 0, true},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct nexthop hop;
		ph_error error = {""};
		int result = nexthop_parse_lmtp(cases[i].text, 24, &hop, &error);

		if (result != (cases[i].fails ? -1 : 0))
			fail_msg("%s: %d %s", cases[i].text, result, error.text);
		if (cases[i].fails)
			continue;
		assert_false(hop.use_mx);
		assert_string_equal(hop.host, cases[i].host);
		assert_int_equal(hop.port, cases[i].port);
		assert_string_equal(hop.path != NULL ? hop.path : "none",
			cases[i].path != NULL ? cases[i].path : "none");
	}
}

/* Feeds lines separated by '|'. Returns what the last reply_line() said. */
static int
feed(struct reply *reply, const char *lines)
{
	int more = 1;

	reply_begin(reply);
	while (*lines != '\0' && more == 1) {
		size_t size = strcspn(lines, "|");

		more = reply_line(reply, (ph_span){lines, size});
		lines += size + (lines[size] == '|');
	}
	return more;
}

static void
test_replies(void **state)
{
	static const struct {
		const char *lines;
		int result, code;
		const char *status, *text;
	} cases[] = {
		{"250 ok", 0, 250, "", "250 ok"},
		{"250", 0, 250, "", "250"},
		{"250 2.0.0 Ok: queued as 1", 0, 250, "2.0.0", "250 2.0.0 Ok: queued as 1"},
		{"550-5.1.1 no such|550 5.1.1 user", 0, 550, "5.1.1", "550-5.1.1 no such 5.1.1 user"},
		{"250-first|550 last", 0, 550, "", "250-first last"},
		{"550-5.1.1 no such|421 4.4.2 bye", 0, 421, "", "550-5.1.1 no such 4.4.2 bye"},
		{"550 4.1.1 wrong class", 0, 550, "", "550 4.1.1 wrong class"},
		{"550 5.1.1x", 0, 550, "", "550 5.1.1x"},
		{"550 5.1.", 0, 550, "", "550 5.1."},
		{"250 a\001b", 0, 250, "", "250 a?b"},
		{"250-more", 1, 250, "", "250-more"},
		{"hello", -1, 0, "", ""},
		{"2x0 hm", -1, 0, "", ""},
		{"25", -1, 0, "", ""},
		{"2500", -1, 0, "", ""},
		{"150 early", -1, 0, "", ""},
		{"650 late", -1, 0, "", ""},
	};
	struct reply reply;
	char status[12];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int result = feed(&reply, cases[i].lines);

		if (result != cases[i].result)
			fail_msg("%s: %d", cases[i].lines, result);
		if (result == -1)
			continue;
		assert_int_equal(reply.code, cases[i].code);
		assert_string_equal(reply.status, cases[i].status);
		assert_string_equal(reply.text, cases[i].text);
	}
	feed(&reply, "550 no");
	assert_string_equal(reply_status(&reply, "1.0", status), "5.1.0");
}

static void
test_reply_is_bounded(void **state)
{
	struct reply reply;
	char line[1500];
	int more = 1;
	unsigned count = 0;

	memset(line, 'x', sizeof line);
	memcpy(line, "250-", 4);
	reply_begin(&reply);
	while (more == 1 && count < 100000) {
		more = reply_line(&reply, (ph_span){line, sizeof line});
		count++;
	}
	assert_int_equal(more, -1);
	assert_int_equal(count, REPLY_MAX_LINES + 1);
	assert_int_equal(strlen(reply.text), REPLY_TEXT - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nexthops),
		cmocka_unit_test(test_lmtp_nexthops),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_reply_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
