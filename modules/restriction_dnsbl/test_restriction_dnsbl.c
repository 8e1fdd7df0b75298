/* DNS lists: what the configuration says, what is asked, who is refused and with which words. */
#include "scene.h"

#include <stdio.h>
#include <string.h>

#include "listing.h"
#include "query.h"
#include "reply.h"
#include "session/run.h"
#include "session_world.h"
#include "site.h"

extern const struct ph_module posthouse_module_restriction_dnsbl;

/* As the module's. */
struct dnsbl {
	struct reply_settings reply;
	ph_strings old_domains, weighted;
	int64_t threshold, welcome_threshold;
	ph_pool *pool;
	struct sites old_sites, scored;
};

#define TEMPLATE "$rbl_code Service unavailable; $rbl_class [$rbl_what] blocked using $rbl_domain" \
	"${rbl_reason?; $rbl_reason}"

static struct dnsbl self;

/* ---- What is read ------------------------------------------------------------------------------ */

static void
test_sites(void **state)
{
	static const struct {
		const char *text, *counts, *not; /* an address that counts, one that does not; NULL: any, none */
		int weight;
		const char *error; /* has this in it */
	} cases[] = {
		{"zen.example", NULL, NULL, 1, NULL},
		{"zen.example.", NULL, NULL, 1, NULL},
		{"key_1.zen.example=127.0.0.2", "127.0.0.2", "127.0.0.3", 1, NULL},
		{"zen.example=127.0.0.[2..11]", "127.0.0.11", "127.0.0.12", 1, NULL},
		{"zen.example=127.0.0.[2..11]", "127.0.0.2", "127.0.0.1", 1, NULL},
		{"zen.example=127.0.0.[1;3;5..9]", "127.0.0.3", "127.0.0.4", 1, NULL},
		{"zen.example=127.0.[2..15].[0;1]*-3", "127.0.15.1", "127.0.1.1", -3, NULL},
		{"zen.example=[127].[0].0.255*7", "127.0.0.255", "127.0.0.254", 7, NULL},
		{"zen.example*+2", NULL, NULL, 2, NULL},
		{"zen.example*0", NULL, NULL, 0, NULL},
		{"", NULL, NULL, 0, "\"\" is no domain name"},
		{"127.0.0.1", NULL, NULL, 0, "\"127.0.0.1\" is no domain name: expected that of a DNS list"},
		{"zen example", NULL, NULL, 0, "is no domain name"},
		{"zen..example", NULL, NULL, 0, "is no domain name"},
		{"zen.example=", NULL, NULL, 0, "expected a number from 0 to 255 at the end of the filter"},
		{"zen.example=127.0.0", NULL, NULL, 0, "expected \".\" and another of four fields at the end"},
		{"zen.example=127.0.0.256", NULL, NULL, 0, "expected a number from 0 to 255 at \"256\""},
		{"zen.example=127.0.0.2.1", NULL, NULL, 0, "expected nothing more than four fields at \".1\""},
		{"zen.example=127.0.0.[]", NULL, NULL, 0, "expected a number from 0 to 255 at \"]\""},
		{"zen.example=127.0.0.[1;2", NULL, NULL, 0, "expected \";\", \"..\" or \"]\" at the end"},
		{"zen.example=127.0.0.[1,2]", NULL, NULL, 0, "expected \";\", \"..\" or \"]\" at \",2]\""},
		{"zen.example=127.0.0.[5..2]", NULL, NULL, 0, "\"5..2\" has its larger number first"},
		{"zen.example*", NULL, NULL, 0, "\"\" is no weight"},
		{"zen.example*2.5", NULL, NULL, 0, "\"2.5\" is no weight"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_pool *pool = ph_pool_new(0);
		ph_error error = {""};
		struct site site;
		int result = site_parse(&site, pool, ph_span_of(cases[i].text), true, &error);
		ph_address address = {0};

		print_message("%s %s\n", cases[i].text, error.text);
		assert_int_equal(result, cases[i].error != NULL ? -1 : 0);
		if (cases[i].error != NULL)
			assert_non_null(strstr(error.text, cases[i].error));
		else
			assert_int_equal(site.weight, cases[i].weight);
		if (cases[i].counts != NULL) {
			assert_int_equal(ph_address_parse(ph_span_of(cases[i].counts), &address), 0);
			assert_true(site_counts(&site, &address));
			assert_int_equal(ph_address_parse(ph_span_of(cases[i].not), &address), 0);
			assert_false(site_counts(&site, &address));
		}
		ph_pool_free(pool);
	}
}

/* Only lists that are scored have weights. */
static void
test_weights(void **state)
{
	static const char *const texts[] = {"bl.example*2", "wl.example=127.0.0.0x"};
	const ph_strings strings = {2, texts};
	ph_pool *pool = ph_pool_new(0);
	ph_error error = {""};
	struct sites sites;
	struct site site;

	assert_int_equal(site_parse(&site, pool, ph_span_of("bl.example*2"), false, &error), -1);
	assert_int_equal(sites_parse(&sites, pool, "postscreen_dnsbl_sites", &strings, true, &error), -1);
	assert_non_null(strstr(error.text, "postscreen_dnsbl_sites: wl.example=127.0.0.0x: expected nothing more"));
	ph_pool_free(pool);
}

static void
test_queries(void **state)
{
	static const struct {
		const char *object, *name; /* NULL: it is not asked for */
	} domains[] = {
		{"host.example", "host.example.l.example"},
		{"Host_1.example.", "Host_1.example.l.example"},
		{"a@b.example", "b.example.l.example"},
		{"\"x@y\"@b.example", "b.example.l.example"},
		{"unknown", NULL},
		{"", NULL},
		{".", NULL},
		{"a@", NULL},
		{"a@[127.0.0.1]", NULL},
		{"[IPv6:2001:db8::1]", NULL},
		{"127.0.0.1", NULL},
		{"x.127", NULL},
		{"a..example", NULL},
		{"a b.example", NULL},
	};
	static const struct {
		const char *address, *name;
	} addresses[] = {
		{"192.0.2.99", "99.2.0.192.l.example"},
		{"::ffff:192.0.2.99", "99.2.0.192.l.example"},
		{"2001:db8:1:2:3:4:567:89ab",
			"b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2.l.example"},
	};
	ph_pool *pool = ph_pool_new(0);
	ph_address address = {0};
	char *large;

	assert_null(query_of_address(pool, &address, "l.example"));
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		assert_int_equal(ph_address_parse(ph_span_of(addresses[i].address), &address), 0);
		assert_string_equal(query_of_address(pool, &address, "l.example"), addresses[i].name);
	}
	for (size_t i = 0; i < sizeof(domains) / sizeof(domains[0]); i++) {
		const char *name = query_of_domain(pool, domains[i].object, "l.example");

		print_message("%s\n", domains[i].object);
		if (domains[i].name == NULL)
			assert_null(name);
		else
			assert_string_equal(name, domains[i].name);
	}
	large = ph_pool_alloc(pool, 250);
	memset(large, 'a', 249);
	for (size_t i = 60; i < 249; i += 60)
		large[i] = '.';
	assert_null(query_of_domain(pool, large, "l.example"));
	ph_pool_free(pool);
}

static void
test_replies(void **state)
{
	static const struct {
		const char *reply;
		int code; /* 0: it is none */
		const char *status, *text;
	} cases[] = {
		{"554 5.7.1 go away", 554, "5.7.1", "go away"},
		{"450 go away", 450, "", "go away"},
		{"521 ", 521, "", ""},
		{"521 5.7.1", 521, "5.7.1", ""},
		{"521 5.7 x", 521, "", "5.7 x"},
		{"521 5.7.1234 x", 521, "", "5.7.1234 x"},
		{"521  2.0.0 x", 521, "", "2.0.0 x"},
		{"250 welcome", 0, NULL, NULL},
		{"600 x", 0, NULL, NULL},
		{"55x y", 0, NULL, NULL},
		{"554", 0, NULL, NULL},
		{"554-x", 0, NULL, NULL},
		{"", 0, NULL, NULL},
	};
	ph_error error = {""};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct reply_parts parts = {0};

		print_message("%s\n", cases[i].reply);
		assert_int_equal(reply_cut(cases[i].reply, &parts), cases[i].code != 0);
		assert_int_equal(parts.code, cases[i].code);
		if (cases[i].code == 0)
			continue;
		assert_string_equal(parts.status, cases[i].status);
		assert_string_equal(parts.text, cases[i].text);
	}
	assert_int_equal(reply_check(TEMPLATE, &error), 0);
	assert_int_equal(reply_check("$rbl_code ${sender:nobody} $client $helo_name", &error), 0);
	assert_int_equal(reply_check("$rbl_code $rbl_colour", &error), -1);
	assert_string_equal(error.text, "\"$rbl_colour\": there is no such name here");
	assert_int_equal(reply_check("go away", &error), -1);
	assert_non_null(strstr(error.text, "does not begin with a code from 400 to 599"));
}

static void
test_reasons(void **state)
{
	static const char longer[] = "\377aaaaaaaa", two[] = "\003one\004 two", none[] = "\0\0\0";
	ph_pool *pool = ph_pool_new(0);
	char much[600];

	assert_string_equal(reply_reason(pool, (ph_span){two, sizeof(two) - 1}), "one two");
	assert_string_equal(reply_reason(pool, (ph_span){longer, sizeof(longer) - 1}), "aaaaaaaa");
	assert_string_equal(reply_reason(pool, (ph_span){none, sizeof(none)}), "");
	assert_string_equal(reply_reason(pool, (ph_span){NULL, 0}), "");
	memset(much, 150, sizeof(much));
	assert_int_equal(strlen(reply_reason(pool, (ph_span){much, sizeof(much)})), REPLY_REASON_MAX);
	ph_pool_free(pool);
}

/* ---- Who is refused ---------------------------------------------------------------------------- */

static const struct world_record zone[] = {
	{PH_DNS_A, "2.2.0.192.bl.example", PH_DNS_FOUND, {"127.0.0.2", "127.0.0.10"}},
	{PH_DNS_TXT, "2.2.0.192.bl.example", PH_DNS_FOUND, {"see bl.example"}},
	{PH_DNS_A, "2.2.0.192.quiet.example", PH_DNS_FOUND, {"127.0.0.2"}},
	{PH_DNS_A, "2.2.0.192.away.example", PH_DNS_TEMPFAIL, {NULL}},
	{PH_DNS_A, "name.example.bl.example", PH_DNS_FOUND, {"127.0.0.2"}},
	{PH_DNS_A, "reverse.example.bl.example", PH_DNS_FOUND, {"127.0.0.2"}},
	{PH_DNS_A, "helo.example.bl.example", PH_DNS_FOUND, {"127.0.0.2"}},
	{PH_DNS_A, "sender.example.bl.example", PH_DNS_FOUND, {"127.0.0.2"}},
	{PH_DNS_A, "recipient.example.bl.example", PH_DNS_FOUND, {"127.0.0.2"}},
	{PH_DNS_A, "name.example.away.example", PH_DNS_TEMPFAIL, {NULL}},
};

static void
defaults(void)
{
	world_reset();
	world.dns = zone;
	world.dns_count = sizeof(zone) / sizeof(zone[0]);
	world.mydestination[0] = "recipient.example";
	self = (struct dnsbl){.reply = {.code = 554, .template = TEMPLATE}, .threshold = 1};
}

static ph_session *
session(void)
{
	ph_session *made = world_session("192.0.2.2");

	world_name_client(made, "name.example");
	made->reverse_name = strdup("reverse.example");
	made->client_status = made->reverse_status = PH_FOUND;
	made->helo = strdup("helo.example");
	made->sender = "a@sender.example";
	made->recipient = "u@recipient.example";
	return made;
}

#define BLOCKED(object) "Service unavailable; " object " blocked using bl.example"

static void
test_restrictions(void **state)
{
	static const struct {
		const char *restriction, *argument;
		ph_verdict verdict;
		const char *text;
	} cases[] = {
		{"reject_rbl_client", "bl.example", PH_REJECT, BLOCKED("Client host [192.0.2.2]") "; see bl.example"},
		{"reject_rbl", "bl.example", PH_REJECT, BLOCKED("Client host [192.0.2.2]") "; see bl.example"},
		{"reject_rbl_client", "bl.example=127.0.0.[9..10]", PH_REJECT,
			BLOCKED("Client host [192.0.2.2]") "; see bl.example"},
		{"reject_rbl_client", "bl.example=127.0.0.3", PH_DUNNO, ""},
		{"reject_rbl_client", "quiet.example", PH_REJECT,
			"Service unavailable; Client host [192.0.2.2] blocked using quiet.example"},
		{"reject_rbl_client", "other.example", PH_DUNNO, ""},
		{"reject_rbl_client", "away.example", PH_DUNNO, ""},
		{"reject_rhsbl_client", "bl.example", PH_REJECT, BLOCKED("Client host [name.example]")},
		{"reject_rhsbl_reverse_client", "bl.example", PH_REJECT,
			BLOCKED("Unverified Client host [reverse.example]")},
		{"reject_rhsbl_helo", "bl.example", PH_REJECT, BLOCKED("Helo command [helo.example]")},
		{"reject_rhsbl_sender", "bl.example", PH_REJECT, BLOCKED("Sender address [a@sender.example]")},
		{"reject_rhsbl_recipient", "bl.example", PH_REJECT,
			BLOCKED("Recipient address [u@recipient.example]")},
		{"permit_dnswl_client", "bl.example", PH_PERMIT, ""},
		{"permit_dnswl_client", "bl.example=127.0.0.3", PH_DUNNO, ""},
		{"permit_dnswl_client", "other.example", PH_DUNNO, ""},
		{"permit_dnswl_client", "away.example", PH_DEFER_IF_REJECT,
			"<192.0.2.2>: Client host rejected: Service unavailable"},
		{"permit_rhswl_client", "bl.example", PH_PERMIT, ""},
		{"permit_rhswl_client", "other.example", PH_DUNNO, ""},
		{"permit_rhswl_client", "away.example", PH_DEFER_IF_REJECT,
			"<name.example>: Client host rejected: Service unavailable"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_session *asked;
		ph_reply reply;

		defaults();
		asked = session();
		print_message("%s %s\n", cases[i].restriction, cases[i].argument);
		assert_int_equal(world_ask_argument(&posthouse_module_restriction_dnsbl, &self, cases[i].restriction,
			cases[i].argument, asked, &reply), cases[i].verdict);
		assert_string_equal(reply.text, cases[i].text);
		if (cases[i].verdict == PH_REJECT) {
			assert_int_equal(reply.code, 554);
			assert_string_equal(reply.status, "5.7.1");
		}
		assert_int_equal(strstr(world.log, "RBL lookup error") != NULL,
			strcmp(cases[i].argument, "away.example") == 0);
		world_end(asked);
	}
}

/* A welcome list lets nobody send through us. */
static void
test_relaying(void **state)
{
	static const char *const names[] = {"permit_dnswl_client", "permit_rhswl_client"};

	for (size_t i = 0; i < 2; i++) {
		ph_session *asked;
		ph_reply reply;

		defaults();
		asked = session();
		asked->recipient = "u@far.example";
		assert_int_equal(world_ask_argument(&posthouse_module_restriction_dnsbl, &self, names[i], "bl.example",
			asked, &reply), PH_DUNNO);
		world.tables_fail = true;
		asked->recipient = "u@recipient.example";
		assert_int_equal(world_ask_argument(&posthouse_module_restriction_dnsbl, &self, names[i], "bl.example",
			asked, &reply), PH_DUNNO);
		world_end(asked);
	}
}

/* What tables have to say in place of default_rbl_reply. */
static void
test_reply_maps(void **state)
{
	static const char *const entries[] = {"bl.example", "450 4.7.0 $client is listed${sender?, $sender_name}",
		"bl.example=127.0.0.10", "521 no $helo_name, no ${recipient_domain}", "quiet.example", "$nonsense",
		NULL};
	static const ph_map table = {.name = "table", .entries = entries};
	static const ph_map away = {.name = "table", .entries = entries, .fails = true};
	static const struct {
		const char *argument;
		int code;
		const char *status, *text;
	} cases[] = {
		{"bl.example", 450, "4.7.0", "name.example[192.0.2.2] is listed, a"},
		{"bl.example=127.0.0.2", 450, "4.7.0", "name.example[192.0.2.2] is listed, a"},
		{"bl.example=127.0.0.10", 521, "5.7.1", "no helo.example, no recipient.example"},
		{"quiet.example", 554, "5.7.1",
			"Service unavailable; Client host [192.0.2.2] blocked using quiet.example"},
	};
	ph_session *asked;
	ph_reply reply;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		defaults();
		self.reply.maps = &table;
		asked = session();
		assert_int_equal(world_ask_argument(&posthouse_module_restriction_dnsbl, &self, "reject_rbl_client",
			cases[i].argument, asked, &reply), cases[i].code < 500 ? PH_DEFER : PH_REJECT);
		assert_int_equal(reply.code, cases[i].code);
		assert_string_equal(reply.status, cases[i].status);
		assert_string_equal(reply.text, cases[i].text);
		world_end(asked);
	}
	defaults();
	self.reply.maps = &away;
	asked = session();
	assert_int_equal(world_ask_argument(&posthouse_module_restriction_dnsbl, &self, "reject_rbl_client",
		"bl.example", asked, &reply), PH_DEFER);
	assert_int_equal(reply.code, 451);
	world_end(asked);
}

/* A session keeps what it was told, a failure too, and no more than it may. */
static void
test_kept(void **state)
{
	static const struct world_record other[] = {
		{PH_DNS_A, "2.2.0.192.other.example", PH_DNS_FOUND, {"127.0.0.2"}},
		{PH_DNS_A, "2.2.0.192.away.example", PH_DNS_FOUND, {"127.0.0.2"}},
		{PH_DNS_A, "last.example.other.example", PH_DNS_FOUND, {"127.0.0.2"}}};
	const char *const lists[] = {"other.example", "away.example"};
	ph_session *asked;
	ph_reply reply;

	defaults();
	asked = session();
	for (size_t round = 0; round < 2; round++) {
		for (size_t i = 0; i < 2; i++)
			assert_int_equal(world_ask_argument(&posthouse_module_restriction_dnsbl, &self,
				"reject_rbl_client", lists[i], asked, &reply), PH_DUNNO);
		world.dns = other;
		world.dns_count = 3;
	}
	for (unsigned i = 0; i < 300; i++) {
		char sender[40];

		snprintf(sender, sizeof(sender), "a@n%u.example", i);
		asked->sender = sender;
		assert_int_equal(world_ask_argument(&posthouse_module_restriction_dnsbl, &self,
			"reject_rhsbl_sender", "other.example", asked, &reply), PH_DUNNO);
		if (asked->scratch_pool != NULL)
			ph_pool_reset(asked->scratch_pool);
	}
	asked->sender = "a@last.example";
	assert_int_equal(world_ask_argument(&posthouse_module_restriction_dnsbl, &self, "reject_rhsbl_sender",
		"other.example", asked, &reply), PH_REJECT);
	world_end(asked);
}

/* ---- Scores ------------------------------------------------------------------------------------ */

static void
test_scores(void **state)
{
	static const struct {
		const char *sites[4];
		int threshold, welcome;
		ph_verdict rejects, permits;
		const char *text; /* of what rejects */
	} cases[] = {
		{{NULL}, 1, -1, PH_DUNNO, PH_DUNNO, ""},
		{{"bl.example", "quiet.example*2", "other.example*9"}, 3, -1, PH_REJECT, PH_DUNNO,
			"Service unavailable; Client host [192.0.2.2] blocked using quiet.example"},
		{{"bl.example=127.0.0.[9..11]*3", "quiet.example*2"}, 4, -1, PH_REJECT, PH_DUNNO,
			"Service unavailable; Client host [192.0.2.2] blocked using bl.example; see bl.example"},
		{{"bl.example", "quiet.example*2"}, 4, -1, PH_DUNNO, PH_DUNNO, ""},
		{{"bl.example=127.0.0.3*9"}, 1, -1, PH_DUNNO, PH_DUNNO, ""},
		{{"bl.example*3", "quiet.example*-3"}, 1, -1, PH_DUNNO, PH_DUNNO, ""},
		{{"bl.example", "quiet.example*-3"}, 1, -2, PH_DUNNO, PH_PERMIT, ""},
		{{"bl.example", "quiet.example*-3"}, 1, 0, PH_DUNNO, PH_DUNNO, ""},
		{{"away.example*-3"}, 1, -3, PH_DUNNO, PH_DEFER_IF_REJECT, ""},
		{{"away.example*3"}, 1, -3, PH_DUNNO, PH_DUNNO, ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_pool *pool = ph_pool_new(0);
		ph_strings texts = {0, cases[i].sites};
		ph_session *asked;
		ph_reply reply;

		while (cases[i].sites[texts.count] != NULL)
			texts.count++;
		defaults();
		assert_int_equal(sites_parse(&self.scored, pool, "sites", &texts, true, NULL), 0);
		self.threshold = cases[i].threshold;
		self.welcome_threshold = cases[i].welcome;
		asked = session();
		assert_int_equal(world_ask(&posthouse_module_restriction_dnsbl, &self, "reject_dnsbl_score", asked,
			&reply), cases[i].rejects);
		assert_string_equal(reply.text, cases[i].text);
		assert_int_equal(world_ask(&posthouse_module_restriction_dnsbl, &self, "permit_dnsbl_score", asked,
			&reply), cases[i].permits);
		asked->recipient = "u@far.example";
		assert_int_equal(world_ask(&posthouse_module_restriction_dnsbl, &self, "permit_dnsbl_score", asked,
			&reply), PH_DUNNO);
		world_end(asked);
		ph_pool_free(pool);
	}
}

/* ---- Many lists -------------------------------------------------------------------------------- */

/* A list of restrictions of the module with one list each; returns its verdict. */
static ph_verdict
ask_lists(ph_session *asked, const char *const *lists, size_t count, ph_reply *reply)
{
	const struct ph_restriction *restriction = posthouse_module_restriction_dnsbl.operations;
	struct instance instance = {.self = &self, .module = &posthouse_module_restriction_dnsbl,
		.name = "restriction_dnsbl"};
	struct run run = {.session = asked, .where = "RCPT", .list = LIST_RECIPIENT, .reply = reply};
	struct ph_rule items[4] = {{.name = "reject_rbl_client"}};
	ph_rules rules = {count, items};
	ph_pool *pool = ph_pool_new(0);
	ph_verdict verdict;

	*reply = (ph_reply){0};
	while (strcmp(restriction->name, "reject_rbl_client") != 0)
		restriction++;
	for (size_t i = 0; i < count; i++) {
		items[i] = (struct ph_rule){.name = "reject_rbl_client", .argument = lists[i],
			.restriction = restriction, .instance = &instance};
		check(restriction->prepare(&self, pool, lists[i], &items[i].prepared, NULL) == 0);
	}
	asked->run = &run;
	verdict = run_list(&run, &rules);
	asked->run = NULL;
	ph_pool_free(pool);
	return verdict;
}

static void
at_once(void)
{
	static const char *const lists[] = {"a.example", "quiet.example=127.0.0.9", "a.example=127.0.0.1", "c.example"};
	static const char *const listed[] = {"bl.example", "d.example", "e.example"};
	ph_session *asked;
	ph_reply reply;

	defaults();
	world.dns_rounds = 5;
	asked = session();
	check(ask_lists(asked, lists, 4, &reply) == PH_DUNNO);
	check(world.dns_asked == 3 && world.dns_most == 3);
	check(ask_lists(asked, lists, 4, &reply) == PH_DUNNO);
	check(world.dns_asked == 3);
	/* the first decides: the others are not waited for, and are not known */
	check(ask_lists(asked, listed, 3, &reply) == PH_REJECT && reply.code == 554);
	check(world.dns_asked == 7 && world.dns_most == 3);
	world_end(asked);
}

static void
test_at_once(void **state)
{
	scene_run(at_once);
}

/* The client is gone while lists are asked: its session ends at once, and the queries by themselves. */
static void
leave_early(void *argument)
{
	static const char *const lists[] = {"a.example", "bl.example", "c.example"};
	bool *left = argument;
	ph_session *asked = session();
	ph_reply reply;

	check(ask_lists(asked, lists, 3, &reply) == PH_DUNNO);
	check(world.dns_waiting > 0);
	world_end(asked);
	*left = true;
}

static void
cancelled(void)
{
	bool left = false;
	ph_task task;

	defaults();
	world.dns_rounds = 1000;
	task = ph_task_spawn("asks", leave_early, &left);
	while (world.dns_waiting < 3)
		check(ph_yield() == PH_WAIT_OK);
	ph_task_cancel(task);
	check(ph_task_join(task, ph_in(5000)) == PH_WAIT_OK);
	check(left);
	while (world.dns_waiting > 0)
		check(ph_yield() == PH_WAIT_OK);
	check(strstr(world.log, "RBL lookup error") == NULL);
}

static void
test_cancelled(void **state)
{
	scene_run(cancelled);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sites),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_queries),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_restrictions),
		cmocka_unit_test(test_relaying),
		cmocka_unit_test(test_reply_maps),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_scores),
		cmocka_unit_test(test_at_once),
		cmocka_unit_test(test_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
