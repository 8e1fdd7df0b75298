/*
 * restriction_dnsbl: lists in the DNS, of addresses and of domains, that refuse and that welcome.
 */
#include <posthouse/restriction.h>

#include <string.h>

#include "listing.h"
#include "query.h"
#include "reply.h"
#include "site.h"

struct dnsbl {
	struct reply_settings reply;
	ph_strings old_domains; /* maps_rbl_domains */
	ph_strings weighted;    /* postscreen_dnsbl_sites */
	int64_t threshold, welcome_threshold;

	/* From open on, in the pool. */
	ph_pool *pool;
	struct sites old_sites, scored;
};

static const struct ph_param params[] = {
	{"default_rbl_reply", PH_STRING, PH_MACROS, offsetof(struct dnsbl, reply.template),
		"$rbl_code Service unavailable; $rbl_class [$rbl_what] blocked using $rbl_domain"
		"${rbl_reason?; $rbl_reason}", 0, 0, NULL,
		"The reply to those whom a DNS list has, a code and a text; names in it are expanded."},
	{"maps_rbl_domains", PH_STRINGS, 0, offsetof(struct dnsbl, old_domains), NULL, 0, 0, NULL,
		"The DNS lists that reject_maps_rbl asks; write reject_rbl_client for each of them instead."},
	{"maps_rbl_reject_code", PH_INT, 0, offsetof(struct dnsbl, reply.code), "554", 400, 599, NULL,
		"The reply code for those whom a DNS list has."},
	{"postscreen_dnsbl_allowlist_threshold", PH_INT, 0, offsetof(struct dnsbl, welcome_threshold), "0",
		INT32_MIN, 0, NULL,
		"The score, a negative one, at or below which permit_dnsbl_score permits; 0: none."},
	{"postscreen_dnsbl_sites", PH_STRINGS, 0, offsetof(struct dnsbl, weighted), NULL, 0, 0, NULL,
		"The DNS lists whose weights make a client's score: domain, domain=filter, either with *weight."},
	{"postscreen_dnsbl_threshold", PH_INT, 0, offsetof(struct dnsbl, threshold), "1", 1, INT32_MAX, NULL,
		"The score at or above which reject_dnsbl_score refuses."},
	{"rbl_reply_maps", PH_MAP_REF, 0, offsetof(struct dnsbl, reply.maps), NULL, 0, 0, NULL,
		"Replies in place of default_rbl_reply, by a list's domain, or domain=filter."},
};

/* ---- What is looked up ------------------------------------------------------------------------- */

/* What is looked up for a restriction. */
enum object {
	OBJECT_ADDRESS,
	OBJECT_NAME,
	OBJECT_REVERSE,
	OBJECT_HELO,
	OBJECT_SENDER,
	OBJECT_RECIPIENT
};

static const char *
object_text(const ph_session *session, enum object object)
{
	switch (object) {
	case OBJECT_ADDRESS:
		return ph_client_address_text(session);
	case OBJECT_NAME:
		return ph_client_name(session);
	case OBJECT_REVERSE:
		return ph_client_reverse_name(session);
	case OBJECT_HELO:
		return ph_helo(session);
	case OBJECT_SENDER:
		return ph_sender(session);
	case OBJECT_RECIPIENT:
		return ph_recipient(session);
	}
	return "";
}

static const char *
object_class(enum object object)
{
	static const char *const classes[] = {[OBJECT_ADDRESS] = "Client host", [OBJECT_NAME] = "Client host",
		[OBJECT_REVERSE] = "Unverified Client host", [OBJECT_HELO] = "Helo command",
		[OBJECT_SENDER] = "Sender address", [OBJECT_RECIPIENT] = "Recipient address"};

	return classes[object];
}

/* The name that a list is asked for; NULL: none. */
static const char *
query_name(ph_session *session, enum object object, const struct site *site)
{
	ph_pool *pool = ph_scratch_pool(session);

	if (object == OBJECT_ADDRESS)
		return query_of_address(pool, ph_client_address(session), site->domain);
	return query_of_domain(pool, object_text(session, object), site->domain);
}

/* ---- What a rule asks -------------------------------------------------------------------------- */

enum lists {
	LIST_OF_RULE,  /* that of the rule's argument */
	LISTS_OLD,     /* maps_rbl_domains */
	LISTS_SCORED   /* postscreen_dnsbl_sites */
};

static const struct kind {
	const char *name;
	enum object object;
	enum lists lists;
} kinds[] = {
	{"permit_dnsbl_score", OBJECT_ADDRESS, LISTS_SCORED},
	{"permit_dnswl_client", OBJECT_ADDRESS, LIST_OF_RULE},
	{"permit_rhswl_client", OBJECT_NAME, LIST_OF_RULE},
	{"reject_dnsbl_score", OBJECT_ADDRESS, LISTS_SCORED},
	{"reject_maps_rbl", OBJECT_ADDRESS, LISTS_OLD},
	{"reject_rbl", OBJECT_ADDRESS, LIST_OF_RULE},
	{"reject_rbl_client", OBJECT_ADDRESS, LIST_OF_RULE},
	{"reject_rhsbl_client", OBJECT_NAME, LIST_OF_RULE},
	{"reject_rhsbl_helo", OBJECT_HELO, LIST_OF_RULE},
	{"reject_rhsbl_recipient", OBJECT_RECIPIENT, LIST_OF_RULE},
	{"reject_rhsbl_reverse_client", OBJECT_REVERSE, LIST_OF_RULE},
	{"reject_rhsbl_sender", OBJECT_SENDER, LIST_OF_RULE},
};

static const struct kind *
kind_of(const ph_rule *rule)
{
	size_t i = 0;

	while (strcmp(kinds[i].name, ph_rule_name(rule)) != 0)
		i++;
	return &kinds[i];
}

static struct sites
sites_of(const ph_rule *rule)
{
	const struct dnsbl *self = ph_rule_instance(rule);

	switch (kind_of(rule)->lists) {
	case LISTS_OLD:
		return self->old_sites;
	case LISTS_SCORED:
		return self->scored;
	case LIST_OF_RULE:
		break;
	}
	return (struct sites){1, ph_rule_prepared(rule)};
}

/* The questions of a rule, behind those that there are. */
static size_t
add_questions(ph_session *session, const ph_rule *rule, struct question *questions, size_t count)
{
	const struct kind *kind = kind_of(rule);
	struct sites sites = sites_of(rule);

	for (size_t i = 0; i < sites.count; i++) {
		const char *name = query_name(session, kind->object, &sites.items[i]);

		if (name != NULL)
			questions[count++] = (struct question){.site = &sites.items[i], .name = name,
				.decides = kind->lists != LISTS_SCORED};
	}
	return count;
}

/*
 * Asks what the rule wants to know, and at the same time what those behind it in the list will want to:
 * they find their answers there. Returns the questions of the rule; NULL with count 0: it has none.
 */
static const struct question *
ask(ph_session *session, const ph_rule *rule, size_t *count)
{
	struct question *questions;
	size_t room = 0, all;

	*count = 0;
	for (const ph_rule *r = rule; r != NULL; r = ph_rule_next(session, r))
		room += sites_of(r).count;
	questions = ph_pool_array(ph_scratch_pool(session), room + 1, sizeof(*questions));
	if (questions == NULL)
		return NULL;
	all = *count = add_questions(session, rule, questions, 0);
	if (all == 0)
		return NULL;
	for (const ph_rule *r = ph_rule_next(session, rule); r != NULL; r = ph_rule_next(session, r))
		all = add_questions(session, r, questions, all);
	listing_ask(session, questions, all);
	return questions;
}

/* ---- Refusing ---------------------------------------------------------------------------------- */

/* Why it is listed, in the list's own words; "" without. */
static const char *
look_up_reason(ph_session *session, const char *name)
{
	const ph_dns_answer *answer = ph_dns_lookup(session, PH_DNS_TXT, name);

	if (ph_dns_status(answer) == PH_DNS_TEMPFAIL)
		ph_log(PH_LOG_WARNING, "%s: RBL TXT lookup error: %s", name, ph_dns_reason(answer));
	if (ph_dns_status(answer) != PH_DNS_FOUND)
		return "";
	return reply_reason(ph_scratch_pool(session), ph_dns_data(answer, 0));
}

static ph_verdict
refuse(const ph_rule *rule, ph_session *session, const struct question *question)
{
	const struct dnsbl *self = ph_rule_instance(rule);
	enum object object = kind_of(rule)->object;
	struct refusal refusal = {.session = session, .settings = &self->reply, .site = question->site,
		.class = object_class(object), .what = object_text(session, object),
		.reason = look_up_reason(session, question->name)};

	return reply_refuse(&refusal);
}

/* Refuses for the first list that has the object. */
static ph_verdict
reject_listed(const ph_rule *rule, ph_session *session)
{
	size_t count;
	const struct question *questions = ask(session, rule, &count);

	for (size_t i = 0; i < count; i++) {
		listing_explain(session, &questions[i]);
		if (listing_match(&questions[i]) != NULL)
			return refuse(rule, session, &questions[i]);
	}
	return PH_DUNNO;
}

/* ---- Permitting -------------------------------------------------------------------------------- */

/* A welcome list opens no relay: the owner of it does not decide who may send through us. */
static bool
would_relay(ph_session *session)
{
	ph_destination destination;

	if (strcmp(ph_command(session), "RCPT") != 0)
		return false;
	destination = ph_destination_of(session, ph_recipient(session));
	if (destination == PH_DESTINATION_FINAL || destination == PH_DESTINATION_RELAY)
		return false;
	ph_explain(session, "%s is none of our domains: no list may permit that", ph_recipient(session));
	return true;
}

static ph_verdict
cannot_tell(const ph_rule *rule, ph_session *session)
{
	enum object object = kind_of(rule)->object;

	return ph_defer_if_reject(session, 450, "4.7.1", "<%s>: %s rejected: Service unavailable",
		object_text(session, object), object_class(object));
}

static ph_verdict
permit_listed(const ph_rule *rule, ph_session *session)
{
	const struct question *question;
	size_t count;

	if (would_relay(session))
		return PH_DUNNO;
	question = ask(session, rule, &count);
	if (count == 0)
		return PH_DUNNO;
	listing_explain(session, question);
	if (question->listing->result == PH_DNS_TEMPFAIL)
		return cannot_tell(rule, session);
	return listing_match(question) != NULL ? PH_PERMIT : PH_DUNNO;
}

/* ---- Scores ------------------------------------------------------------------------------------ */

struct score {
	int64_t sum;
	const struct question *heaviest; /* of the lists that have it and weigh more than nothing */
	bool welcome_failed;             /* a list that would have lowered it could not be asked */
};

static struct score
score_of(ph_session *session, const ph_rule *rule)
{
	struct score score = {0};
	size_t count;
	const struct question *questions = ask(session, rule, &count);

	for (size_t i = 0; i < count; i++) {
		const struct question *q = &questions[i];
		int64_t weight = q->site->weight;

		listing_explain(session, q);
		if (q->listing->result == PH_DNS_TEMPFAIL && weight < 0)
			score.welcome_failed = true;
		if (listing_match(q) == NULL)
			continue;
		score.sum += weight;
		if (weight > 0 && (score.heaviest == NULL || weight > score.heaviest->site->weight))
			score.heaviest = q;
		ph_explain(session, "%s weighs %lld: the score is %lld", q->site->text, (long long)weight,
			(long long)score.sum);
	}
	return score;
}

static ph_verdict
reject_dnsbl_score(const ph_rule *rule, ph_session *session)
{
	const struct dnsbl *self = ph_rule_instance(rule);
	struct score score = score_of(session, rule);

	ph_explain(session, "the score is %lld; from %lld on it is refused", (long long)score.sum,
		(long long)self->threshold);
	return score.sum >= self->threshold ? refuse(rule, session, score.heaviest) : PH_DUNNO;
}

static ph_verdict
permit_dnsbl_score(const ph_rule *rule, ph_session *session)
{
	const struct dnsbl *self = ph_rule_instance(rule);
	struct score score;

	if (self->welcome_threshold == 0) {
		ph_explain(session, "postscreen_dnsbl_allowlist_threshold is 0: nobody is permitted");
		return PH_DUNNO;
	}
	if (would_relay(session))
		return PH_DUNNO;
	score = score_of(session, rule);
	ph_explain(session, "the score is %lld; down from %lld it is permitted", (long long)score.sum,
		(long long)self->welcome_threshold);
	if (score.sum <= self->welcome_threshold)
		return PH_PERMIT;
	return score.welcome_failed ? cannot_tell(rule, session) : PH_DUNNO;
}

/* ---- Life -------------------------------------------------------------------------------------- */

static int
prepare(const void *instance, ph_pool *pool, const char *argument, const void **prepared, ph_error *error)
{
	struct site *site = ph_pool_alloc(pool, sizeof(*site));

	if (site == NULL)
		return ph_error_set(error, "out of memory");
	*prepared = site;
	return site_parse(site, pool, ph_span_of(argument), false, error);
}

/* Reads the parameters that are lists of lists. */
static int
read_sites(struct dnsbl *self, ph_pool *pool, ph_error *error)
{
	if (sites_parse(&self->old_sites, pool, "maps_rbl_domains", &self->old_domains, false, error) == -1)
		return -1;
	return sites_parse(&self->scored, pool, "postscreen_dnsbl_sites", &self->weighted, true, error);
}

static int
dnsbl_check(void *instance, ph_error *error)
{
	struct dnsbl checked = *(struct dnsbl *)instance;
	ph_pool *pool = ph_pool_new(0);
	int result = read_sites(&checked, pool, error);
	ph_error why;

	ph_pool_free(pool);
	if (result == 0 && reply_check(checked.reply.template, &why) == -1)
		result = ph_error_set(error, "default_rbl_reply: %s", why.text);
	return result;
}

static int
dnsbl_open(void *instance, ph_error *error)
{
	struct dnsbl *self = instance;

	self->pool = ph_pool_new(0);
	return read_sites(self, self->pool, error);
}

static void
dnsbl_close(void *instance)
{
	struct dnsbl *self = instance;

	ph_pool_free(self->pool);
	self->pool = NULL;
}

#define ONE_LIST(of_stage, function) .stage = (of_stage) | PH_ASKS_OTHERS, \
	.argument = PH_ARGUMENT_STRING, .prepare = prepare, .check = (function)
#define ALL_LISTS(function) .stage = PH_STAGE_CLIENT | PH_ASKS_OTHERS, .check = (function)

static const struct ph_restriction restrictions[] = {
	{.name = "permit_dnsbl_score", ALL_LISTS(permit_dnsbl_score),
		.doc = "Permits clients whose score is not above $postscreen_dnsbl_allowlist_threshold, unless the "
			"recipient is in none of our domains."},
	{.name = "permit_dnswl_client", ONE_LIST(PH_STAGE_CLIENT, permit_listed),
		.example = "permit_dnswl_client list.example=127.0.[2..15].[1..3]",
		.doc = "Permits clients whose address a DNS list has, unless the recipient is in none of our domains."},
	{.name = "permit_rhswl_client", ONE_LIST(PH_STAGE_CLIENT, permit_listed),
		.example = "permit_rhswl_client names.example",
		.doc = "Permits clients whose verified name a DNS list has, unless the recipient is in none of our "
			"domains."},
	{.name = "reject_dnsbl_score", ALL_LISTS(reject_dnsbl_score),
		.doc = "Refuses clients whose score, the sum of the weights of those $postscreen_dnsbl_sites that have "
			"their address, is $postscreen_dnsbl_threshold or more."},
	{.name = "reject_maps_rbl", ALL_LISTS(reject_listed), .instead = "reject_rbl_client",
		.doc = "Refuses clients whose address one of $maps_rbl_domains has."},
	{.name = "reject_rbl", ONE_LIST(PH_STAGE_CLIENT, reject_listed), .instead = "reject_rbl_client",
		.example = "reject_rbl zen.example",
		.doc = "The old name of reject_rbl_client."},
	{.name = "reject_rbl_client", ONE_LIST(PH_STAGE_CLIENT, reject_listed),
		.example = "reject_rbl_client zen.example=127.0.0.[2..11]",
		.doc = "Refuses clients whose address a DNS list has."},
	{.name = "reject_rhsbl_client", ONE_LIST(PH_STAGE_CLIENT, reject_listed),
		.example = "reject_rhsbl_client names.example",
		.doc = "Refuses clients whose verified name a DNS list has."},
	{.name = "reject_rhsbl_helo", ONE_LIST(PH_STAGE_HELO, reject_listed),
		.example = "reject_rhsbl_helo names.example",
		.doc = "Refuses a HELO name that a DNS list has."},
	{.name = "reject_rhsbl_recipient", ONE_LIST(PH_STAGE_RECIPIENT, reject_listed),
		.example = "reject_rhsbl_recipient names.example",
		.doc = "Refuses recipients whose domain a DNS list has."},
	{.name = "reject_rhsbl_reverse_client", ONE_LIST(PH_STAGE_CLIENT, reject_listed),
		.example = "reject_rhsbl_reverse_client names.example",
		.doc = "Refuses clients for whose address a name is found that a DNS list has, verified or not."},
	{.name = "reject_rhsbl_sender", ONE_LIST(PH_STAGE_SENDER, reject_listed),
		.example = "reject_rhsbl_sender names.example",
		.doc = "Refuses senders whose domain a DNS list has."},
};

PH_MODULE(restriction_dnsbl, "1.0", "lists in the DNS",
	PH_INSTANCE(struct dnsbl, params),
	PH_LIFE(.check = dnsbl_check, .open = dnsbl_open, .close = dnsbl_close),
	PH_RESTRICTION_TABLE(restrictions));
