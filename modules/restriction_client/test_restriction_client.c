/* Clients: a table. */
#include "test.h"

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
	} cases[] = {
		{"permit_mynetworks", "192.0.2.1", PH_FOUND, PH_PERMIT, 0},
		{"permit_mynetworks", "192.0.2.2", PH_FOUND, PH_DUNNO, 0},
		{"permit_inet_interfaces", "192.0.2.1", PH_FOUND, PH_DUNNO, 0},
		{"permit_sasl_authenticated", "192.0.2.1", PH_FOUND, PH_DUNNO, 0},
		{"permit_tls_clientcerts", "192.0.2.1", PH_FOUND, PH_DUNNO, 0},
		{"reject_plaintext_session", "192.0.2.1", PH_FOUND, PH_DEFER, 450},
		{"reject_unknown_client_hostname", "192.0.2.2", PH_FOUND, PH_DUNNO, 0},
		{"reject_unknown_client_hostname", "192.0.2.2", PH_NOT_FOUND, PH_REJECT, 550},
		{"reject_unknown_client_hostname", "192.0.2.2", PH_FAILED, PH_DEFER, 450},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_session *session;
		ph_reply reply;

		world_reset();
		world.mynetworks[0] = "192.0.2.1";
		session = world_session(cases[i].address);
		session->client_status = cases[i].name;
		assert_int_equal(world_ask(&posthouse_module_restriction_client, &self, cases[i].restriction,
			session, &reply), cases[i].verdict);
		assert_int_equal(reply.code, cases[i].code);
		world_end(session);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_clients)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
