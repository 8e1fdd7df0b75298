/* What a rehearsal becomes: the tree of what was asked, replies taken apart, who refused. */
#include "test.h"

#include <string.h>

#include "cli/story.h"

static const ph_rule rules[] = {
	{.name = "one", .argument = "", .file = "/etc/x.conf", .line = 1},
	{.name = "warn_if_reject", .argument = ""},
	{.name = "two", .argument = "hash:/t", .file = "/etc/x.conf", .line = 2},
	{.name = "three", .argument = ""},
	{.name = "four", .argument = ""},
	{.name = "five", .argument = ""},
	{.name = "six", .argument = ""},
};
static const ph_rules list = {sizeof(rules) / sizeof(rules[0]), rules};
static const ph_rule inner = {.name = "inner", .argument = ""};
static const ph_reply none = {0};
static const ph_reply refusal = {554, "5.7.1", "no"};

static void
reply(struct story *story, const char *line)
{
	story_reply(story, ph_span_of(line));
}

static void
test_tree(void **state)
{
	struct story story;
	const struct trail *trail = &story.trail;
	const struct step *step;
	char text[256];

	story_begin(&story, ph_pool_new(0));
	story_note(&story, "nowhere");
	story_command(&story, "RCPT", "RCPT TO:<a@b>", "a@b");
	trail->list(&story, "some_restrictions", &list);
	trail->rule(&story, &rules[0], 1, true, false);
	trail->rule(&story, &rules[2], 1, false, true);
	trail->note(&story, "looked up", 1);
	trail->rule(&story, &inner, 2, false, true);
	trail->note(&story, "deeper", 2);
	trail->wish(&story, "BCC", "x@y", 2);
	trail->wish(&story, "BCC", "x@y", 2);
	trail->wish(&story, "REDIRECT", "z@y", 2);
	trail->verdict(&story, &inner, PH_REJECT, &refusal, true, 2);
	trail->verdict(&story, &rules[2], PH_DUNNO, &none, true, 1);
	story_note(&story, "a warning");
	trail->outcome(&story, "RCPT", 0, &none);
	reply(&story, "250 2.1.5 Ok");

	assert_true(story.now->accepted);
	assert_null(story.now->decider);
	assert_int_equal(story.now->code, 250);
	assert_string_equal(story.now->status, "2.1.5");
	assert_string_equal(story.now->text, "Ok");
	assert_string_equal(story_unasked(story.now->lists, text, sizeof(text)),
		"three, four, five and 1 more");
	step = story.now->lists->steps.first;
	assert_non_null(step->skipped);
	assert_false(step->judged);
	assert_int_equal(step->line, 1);
	step = step->next;
	assert_string_equal(step->argument, "hash:/t");
	assert_true(step->warn && step->behind && step->judged);
	assert_int_equal(step->verdict, PH_DUNNO);
	assert_int_equal(step->steps.count, 3); /* the lookup, what it had asked, the warning */
	assert_null(step->next);
	step = step->steps.first;
	assert_string_equal(step->text, "looked up");
	step = step->next;
	assert_string_equal(step->text, "inner");
	assert_true(step->warn && !step->behind);
	assert_int_equal(step->reply.code, 554);
	assert_string_equal(step->steps.first->text, "deeper");
	assert_int_equal(step->steps.count, 4);
	assert_int_equal(story.message.bcc.count, 1);
	assert_string_equal(story.message.redirect, "z@y");
	assert_null(story.message.hold);
	assert_null(story.message.discard);
	ph_pool_free(story.pool);
}

/* Who refused: the innermost that said so; not one that was only to warn; perhaps one at an earlier
 * command, which had kept it. */
static void
test_deciders(void **state)
{
	const ph_reply later = {450, "4.7.1", "later"}, same = {554, "5.7.1", "no"};
	struct story story;
	const struct trail *trail = &story.trail;

	story_begin(&story, ph_pool_new(0));
	story_command(&story, "MAIL", "MAIL FROM:<>", "");
	trail->list(&story, "early", &list);
	trail->rule(&story, &rules[0], 1, false, false);
	trail->verdict(&story, &rules[0], PH_DEFER_IF_PERMIT, &later, false, 1);
	trail->outcome(&story, "MAIL", 0, &none);
	reply(&story, "250 2.1.0 Ok");

	story_command(&story, "RCPT", "RCPT TO:<a@b>", "a@b");
	trail->list(&story, "late", &list);
	trail->rule(&story, &rules[2], 1, false, true);
	trail->verdict(&story, &rules[2], PH_REJECT, &refusal, true, 1);
	trail->rule(&story, &rules[3], 1, false, false);
	trail->rule(&story, &inner, 2, false, false);
	trail->verdict(&story, &inner, PH_REJECT, &same, false, 2);
	trail->verdict(&story, &rules[3], PH_REJECT, &same, false, 1);
	trail->outcome(&story, "RCPT", -1, &same);
	reply(&story, "554 5.7.1 no");
	assert_false(story.now->accepted);
	assert_string_equal(story.now->decider->text, "inner");
	assert_string_equal(story.now->decider_list, "late");

	story_command(&story, "RCPT", "RCPT TO:<c@b>", "c@b");
	trail->list(&story, "late", &list);
	trail->note(&story, "kept", 0);
	trail->outcome(&story, "RCPT", -1, &later);
	reply(&story, "450 4.7.1 later");
	assert_string_equal(story.now->decider->text, "one");
	assert_string_equal(story.now->decider_list, "early");
	assert_string_equal(story.now->notes.first->text, "kept");

	/* The session itself refused: nobody did. */
	story_command(&story, "RCPT", "RCPT TO:<d@b>", "d@b");
	reply(&story, "452 4.5.3 Error: too many recipients");
	assert_null(story.now->decider);
	ph_pool_free(story.pool);
}

static void
test_replies(void **state)
{
	const struct {
		const char *line;
		int code;
		const char *status, *text;
		bool accepted;
	} cases[] = {
		{"220 mx.example ESMTP", 220, "", "mx.example ESMTP", true},
		{"250-mx.example", 250, "", "mx.example", true},
		{"354 End data", 354, "", "End data", true},
		{"421 4.3.2 bye", 421, "4.3.2", "bye", false},
		{"550 5.7.1", 550, "5.7.1", "", false},
		{"550 10.0.0.1 is an address", 550, "", "10.0.0.1 is an address", false},
		{"550 5.7 no", 550, "", "5.7 no", false},
		{"550", 550, "", "", false},
		{"", 0, "", "the connection ended without a reply", false},
		{"abc", 0, "", "the connection ended without a reply", false},
	};
	struct story story;

	story_begin(&story, ph_pool_new(0));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		story_command(&story, "NOOP", "NOOP", "");
		reply(&story, cases[i].line);
		assert_int_equal(story.now->code, cases[i].code);
		assert_string_equal(story.now->status, cases[i].status);
		assert_string_equal(story.now->text, cases[i].text);
		assert_int_equal(story.now->accepted, cases[i].accepted);
	}
	ph_pool_free(story.pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tree),
		cmocka_unit_test(test_deciders),
		cmocka_unit_test(test_replies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
