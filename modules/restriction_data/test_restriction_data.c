/* Reports to many: a table. */
#include "test.h"

#include "session_world.h"

extern const struct ph_module posthouse_module_restriction_data;

static const struct {
	int64_t multi_recipient_bounce;
} self = {550};

static void
test_bounces(void **state)
{
	static const struct {
		const char *sender, *recipient;
		size_t recipients;
		ph_verdict verdict;
	} cases[] = {
		{"", NULL, 1, PH_DUNNO},
		{"", NULL, 2, PH_REJECT},
		{"", "b@c.example", 0, PH_DUNNO},
		{"", "b@c.example", 1, PH_REJECT},
		{"a@b.example", NULL, 2, PH_DUNNO},
		{NULL, NULL, 2, PH_DUNNO},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_session *session;
		ph_reply reply;

		world_reset();
		session = world_session("192.0.2.1");
		session->sender = cases[i].sender;
		session->recipient = cases[i].recipient;
		session->recipients = cases[i].recipients;
		assert_int_equal(world_ask(&posthouse_module_restriction_data, &self,
			"reject_multi_recipient_bounce", session, &reply), cases[i].verdict);
		if (cases[i].verdict == PH_REJECT)
			assert_string_equal(reply.status, "5.5.3");
		world_end(session);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_bounces)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
