/*
 * Restrictions in a list where they can say nothing: what they judge is not there yet, or no more.
 */
#include "cli/check.h"

#include <string.h>

#define BIT(stage) (1u << (stage))
#define ANYWHERE (BIT(PH_STAGE_ANY) | BIT(PH_STAGE_CLIENT))
#define AT_HELO (ANYWHERE | BIT(PH_STAGE_HELO))
#define AT_MAIL (AT_HELO | BIT(PH_STAGE_SENDER))
#define AT_RCPT (AT_MAIL | BIT(PH_STAGE_RECIPIENT))
#define AT_ETRN (AT_HELO | BIT(PH_STAGE_ETRN))

/* What is there when a list is asked: at its own command, and with smtpd_delay_reject. */
static const struct place {
	const char *list, *when;
	unsigned there, delayed;
} places[] = {
	{"smtpd_client_restrictions", "when a client connects", ANYWHERE, AT_RCPT | AT_ETRN},
	{"smtpd_helo_restrictions", "at HELO", AT_HELO, AT_RCPT | AT_ETRN},
	{"smtpd_sender_restrictions", "at MAIL", AT_MAIL, AT_RCPT},
	{"smtpd_relay_restrictions", "at RCPT", AT_RCPT, AT_RCPT},
	{"smtpd_recipient_restrictions", "at RCPT", AT_RCPT, AT_RCPT},
	{"smtpd_data_restrictions", "at DATA", AT_MAIL | BIT(PH_STAGE_DATA), AT_MAIL | BIT(PH_STAGE_DATA)},
	{"smtpd_end_of_data_restrictions", "at the end of the message",
		AT_MAIL | BIT(PH_STAGE_DATA) | BIT(PH_STAGE_END_OF_DATA),
		AT_MAIL | BIT(PH_STAGE_DATA) | BIT(PH_STAGE_END_OF_DATA)},
	{"smtpd_etrn_restrictions", "at ETRN", AT_ETRN, AT_ETRN},
};

/* What a restriction judges, and the list that is its own. */
static const struct {
	const char *what, *list;
} stages[] = {
	[PH_STAGE_ANY] = {"nothing in particular", ""},
	[PH_STAGE_CLIENT] = {"the client", "smtpd_client_restrictions"},
	[PH_STAGE_HELO] = {"the name that HELO gives", "smtpd_helo_restrictions"},
	[PH_STAGE_SENDER] = {"the sender", "smtpd_sender_restrictions"},
	[PH_STAGE_RECIPIENT] = {"a recipient", "smtpd_recipient_restrictions"},
	[PH_STAGE_DATA] = {"the DATA command", "smtpd_data_restrictions"},
	[PH_STAGE_END_OF_DATA] = {"the whole message", "smtpd_end_of_data_restrictions"},
	[PH_STAGE_ETRN] = {"the domain of ETRN", "smtpd_etrn_restrictions"},
};

static const struct place *
place_of(const char *list)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (strcmp(places[i].list, list) == 0)
			return &places[i];
	return NULL;
}

/* A list being read. */
struct reading {
	const struct policy_list *list;
	const struct place *place;
	struct problems *problems;
	bool delayed;
	bool helo_named; /* it was said that HELO can be left out */
};

static void
report(const struct reading *reading, const struct ph_rule *rule, unsigned stage)
{
	const char *own = stages[stage].list;
	bool later = !reading->delayed && (reading->place->delayed & BIT(stage));
	char text[POLICY_RULE_TEXT];

	problems_warn(reading->problems, rule->file, rule->line,
		"%s: %s judges %s, and this list is asked %s, when there is none: it never says anything; "
		"put it into %s%s", reading->list->name, policy_rule_text(rule, text), stages[stage].what,
		reading->place->when, own, later ? ", or set smtpd_delay_reject = yes" : "");
}

/* A name that need not be given is given by those who have a good one. */
static void
report_helo(struct reading *reading, const struct ph_rule *rule)
{
	char text[POLICY_RULE_TEXT];

	if (reading->helo_named || reading->list->listener->policy->smtpd_helo_required ||
		strncmp(rule->name, "permit", 6) == 0)
		return;
	reading->helo_named = true;
	problems_warn(reading->problems, rule->file, rule->line,
		"%s: %s is evaded by a client that says neither HELO nor EHLO, as smtpd_helo_required is no; "
		"set smtpd_helo_required = yes", reading->list->name, policy_rule_text(rule, text));
}

static void
read_rules(struct reading *reading, const ph_rules *rules)
{
	unsigned there = reading->delayed ? reading->place->delayed : reading->place->there;

	for (size_t i = 0; i < rules->count; i++) {
		const struct ph_rule *rule = &rules->items[i];
		unsigned stage = rule->restriction ? rule->restriction->stage & 0xff : PH_STAGE_ANY;

		if (rule->rules)
			read_rules(reading, rule->rules);
		if (!rule->file || stage >= sizeof(stages) / sizeof(stages[0]))
			continue;
		if (!(there & BIT(stage)))
			report(reading, rule, stage);
		else if (stage == PH_STAGE_HELO)
			report_helo(reading, rule);
	}
}

void
check_places_list(const struct policy_list *list, struct problems *problems)
{
	struct reading reading = {.list = list, .place = place_of(list->name),
		.problems = problems};

	if (!reading.place || !list->listener)
		return;
	reading.delayed = list->listener->policy->smtpd_delay_reject;
	read_rules(&reading, list->rules);
}

static void
read_list(void *context, const struct policy_list *list)
{
	check_places_list(list, context);
}

void
check_places(const struct config *config, struct problems *problems)
{
	policy_each(config, read_list, problems);
}
