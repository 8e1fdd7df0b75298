/* Clients: a table. */
#include "test.h"

#include <stdio.h>

#include "session_world.h"

extern const struct ph_module posthouse_module_restriction_client;

/* As the module's, in its order. */
static const struct {
	int64_t unknown_client, plaintext;
} self = {550, 450};

static void
test_clients(void **state)
{
	static const struct {
		const char *restriction, *address;
		ph_found name;
		ph_verdict verdict;
		int code;
		ph_found reverse;
		const char *text;
	} cases[] = {
		{"permit_mynetworks", "192.0.2.1", PH_FOUND, PH_PERMIT, 0, PH_FOUND, NULL},
		{"permit_mynetworks", "192.0.2.2", PH_FOUND, PH_DUNNO, 0, PH_FOUND, NULL},
		{"permit_inet_interfaces", "192.0.2.1", PH_FOUND, PH_DUNNO, 0, PH_FOUND, NULL},
		{"permit_sasl_authenticated", "192.0.2.1", PH_FOUND, PH_DUNNO, 0, PH_FOUND, NULL},
		{"permit_tls_clientcerts", "192.0.2.1", PH_FOUND, PH_DUNNO, 0, PH_FOUND, NULL},
		{"reject_plaintext_session", "192.0.2.1", PH_FOUND, PH_DEFER, 450, PH_FOUND, NULL},
		{"reject_unknown_client_hostname", "192.0.2.2", PH_FOUND, PH_DUNNO, 0, PH_FOUND, NULL},
		{"reject_unknown_client_hostname", "192.0.2.2", PH_NOT_FOUND, PH_REJECT, 550, PH_FOUND,
			"5.7.25 Client host rejected: cannot find your hostname, [192.0.2.2]"},
		{"reject_unknown_client_hostname", "192.0.2.2", PH_NOT_FOUND, PH_REJECT, 550, PH_NOT_FOUND,
			"5.7.25 Client host rejected: cannot find your hostname, [192.0.2.2]"},
		{"reject_unknown_client_hostname", "192.0.2.2", PH_FAILED, PH_DEFER, 450, PH_FOUND,
			"4.7.25 Client host rejected: cannot find your hostname, [192.0.2.2]"},
		{"reject_unknown_reverse_client_hostname", "192.0.2.2", PH_FOUND, PH_DUNNO, 0, PH_FOUND, NULL},
		{"reject_unknown_reverse_client_hostname", "192.0.2.2", PH_NOT_FOUND, PH_DUNNO, 0, PH_FOUND,
			NULL},
		{"reject_unknown_reverse_client_hostname", "192.0.2.2", PH_FAILED, PH_DUNNO, 0, PH_FOUND, NULL},
		{"reject_unknown_reverse_client_hostname", "192.0.2.2", PH_NOT_FOUND, PH_REJECT, 550,
			PH_NOT_FOUND,
			"5.7.1 Client host rejected: cannot find your reverse hostname, [192.0.2.2]"},
		{"reject_unknown_reverse_client_hostname", "192.0.2.2", PH_FAILED, PH_DEFER, 450, PH_FAILED,
			"4.7.1 Client host rejected: cannot find your reverse hostname, [192.0.2.2]"},
		{"reject_unknown_forward_client_hostname", "192.0.2.2", PH_FOUND, PH_DUNNO, 0, PH_FOUND, NULL},
		{"reject_unknown_forward_client_hostname", "192.0.2.2", PH_NOT_FOUND, PH_DUNNO, 0, PH_NOT_FOUND,
			NULL},
		{"reject_unknown_forward_client_hostname", "192.0.2.2", PH_NOT_FOUND, PH_REJECT, 550, PH_FOUND,
			"5.7.25 Client host rejected: cannot resolve your hostname, [192.0.2.2]"},
		{"reject_unknown_forward_client_hostname", "192.0.2.2", PH_FAILED, PH_DEFER, 450, PH_FOUND,
			"4.7.25 Client host rejected: cannot resolve your hostname, [192.0.2.2]"},
		{"reject_unknown_forward_client_hostname", "192.0.2.2", PH_FAILED, PH_DEFER, 450, PH_FAILED,
			"4.7.25 Client host rejected: cannot resolve your hostname, [192.0.2.2]"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_session *session;
		ph_reply reply;

		world_reset();
		world.mynetworks[0] = "192.0.2.1";
		session = world_session(cases[i].address);
		session->client_status = cases[i].name;
		session->reverse_status = cases[i].reverse;
		assert_int_equal(world_ask(&posthouse_module_restriction_client, &self, cases[i].restriction,
			session, &reply), cases[i].verdict);
		assert_int_equal(reply.code, cases[i].code);
		if (cases[i].text != NULL) {
			char text[400];

			snprintf(text, sizeof(text), "%s %s", reply.status, reply.text);
			assert_string_equal(text, cases[i].text);
		}
		world_end(session);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_clients)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
