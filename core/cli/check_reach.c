/*
 * Rules that no session can reach: something in front of them always decides, or has said the same.
 */
#include "cli/check.h"

#include <stdio.h>
#include <string.h>

#include "session/result.h"

enum { SEEN_MOST = 500 };

/* One way through a list, and through the classes in it: what has been asked when it comes to the
 * end. */
struct way {
	const struct policy_list *list;
	const struct ph_rule *seen[SEEN_MOST]; /* those that only warn are not in it */
	size_t count;
	const struct ph_rule *inward, *outward; /* which decide of recipients here, and elsewhere */
};

/* ---- What always decides --------------------------------------------------------------------- */

static bool
is_about_recipients(const struct policy_list *list)
{
	return strcmp(list->name, "smtpd_relay_restrictions") == 0 ||
		strcmp(list->name, "smtpd_recipient_restrictions") == 0;
}

/* Tables that are always asked, as what they look up is always there. */
static bool
is_asked(const struct way *way, const char *name)
{
	if (strcmp(name, "check_client_access") == 0)
		return true;
	return is_about_recipients(way->list) && (strcmp(name, "check_recipient_access") == 0 ||
		strcmp(name, "check_sender_access") == 0);
}

/* The one answer of a "static:" table. */
static enum result_kind
static_result(const char *argument)
{
	ph_span text = ph_span_of(argument + strlen("static:"));

	while (text.size && (text.data[0] == '{' || text.data[0] == ' ')) {
		text.data++;
		text.size--;
	}
	while (text.size && (text.data[text.size - 1] == '}' || text.data[text.size - 1] == ' '))
		text.size--;
	return result_kind(text);
}

static bool
table_decides(const struct way *way, const struct ph_rule *rule, bool warned)
{
	if (strncmp(rule->argument, "static:", 7) != 0 || !is_asked(way, rule->name))
		return false;
	switch (static_result(rule->argument)) {
	case RESULT_PERMITS:
	case RESULT_DISCARDS:
		return true;
	case RESULT_REFUSES:
		return !warned;
	case RESULT_GOES_ON:
	case RESULT_NAMES:
		break;
	}
	return false;
}

/* Recipients here are permitted by one, and those elsewhere refused by another: none is left. */
static bool
pair_decides(struct way *way, const struct ph_rule *rule, bool warned)
{
	if (!is_about_recipients(way->list))
		return false;
	if (strcmp(rule->name, "permit_auth_destination") == 0)
		way->inward = rule;
	else if ((rule->restriction->stage & PH_REFUSES_STRANGERS) && !warned)
		way->outward = rule;
	return way->inward && way->outward;
}

static bool
decides(struct way *way, const struct ph_rule *rule, bool warned)
{
	if (rule->restriction && rule->argument && rule->restriction->argument == PH_ARGUMENT_MAP)
		return table_decides(way, rule, warned);
	if (rule->restriction)
		return pair_decides(way, rule, warned);
	if (strcmp(rule->name, "permit") == 0)
		return true;
	return !warned && (strcmp(rule->name, "reject") == 0 || strcmp(rule->name, "defer") == 0);
}

/* ---- What has been said ---------------------------------------------------------------------- */

static bool
same_rule(const struct ph_rule *a, const struct ph_rule *b)
{
	const char *left = a->argument ? a->argument : "", *right = b->argument ? b->argument : "";

	return strcmp(a->name, b->name) == 0 && strcmp(left, right) == 0;
}

/* Where the same was asked before; NULL: nowhere. To wait twice is to wait longer. */
static const struct ph_rule *
asked_before(const struct way *way, const struct ph_rule *rule)
{
	for (size_t i = 0; i < way->count; i++)
		if (same_rule(way->seen[i], rule) && strcmp(rule->name, "sleep") != 0)
			return way->seen[i];
	return NULL;
}

/* ---- Going the way --------------------------------------------------------------------------- */

static const struct ph_rule *take(struct way *way, const struct ph_rule *rule, bool warned);

/* Goes through a class; the rule in it that always decides, or NULL. */
static const struct ph_rule *
take_class(struct way *way, const ph_rules *rules, bool outer)
{
	bool warned = outer;

	for (size_t i = 0; i < rules->count; i++) {
		const struct ph_rule *decider;

		if (policy_is_warning(&rules->items[i])) {
			warned = true;
			continue;
		}
		decider = take(way, &rules->items[i], warned);
		if (decider)
			return decider;
		warned = outer;
	}
	return NULL;
}

static const struct ph_rule *
take(struct way *way, const struct ph_rule *rule, bool warned)
{
	if (!warned && way->count < SEEN_MOST)
		way->seen[way->count++] = rule;
	if (rule->rules)
		return take_class(way, rule->rules, warned);
	return decides(way, rule, warned) ? rule : NULL;
}

/* The rules behind the one that decides. */
static void
report_rest(const struct policy_list *list, size_t first, const struct ph_rule *decider,
	struct problems *problems)
{
	char name[POLICY_RULE_TEXT], by[POLICY_RULE_TEXT], place[POLICY_PLACE_TEXT], more[48] = "";
	const struct ph_rule *behind = NULL;
	size_t count = 0;

	for (size_t i = first; i < list->rules->count; i++) {
		if (policy_is_warning(&list->rules->items[i]))
			continue;
		if (!behind)
			behind = &list->rules->items[i];
		count++;
	}
	if (!behind || !behind->file)
		return;
	if (count > 1)
		snprintf(more, sizeof(more), " (and %zu more behind it)", count - 1);
	problems_warn(problems, behind->file, behind->line,
		"%s: %s%s is never asked: %s (%s) has always decided before; put it in front of that, or "
		"delete it", list->name, policy_rule_text(behind, name), more,
		policy_rule_text(decider, by), policy_place(decider, behind, place));
}

static void
report_twice(const struct policy_list *list, const struct ph_rule *rule,
	const struct ph_rule *before, struct problems *problems)
{
	char name[POLICY_RULE_TEXT], place[POLICY_PLACE_TEXT];

	if (rule->file)
		problems_warn(problems, rule->file, rule->line,
			"%s: %s was asked before (%s), and what it left open there it leaves open here; "
			"delete it", list->name, policy_rule_text(rule, name),
			policy_place(before, rule, place));
}

static void
report_nothing_behind(const struct policy_list *list, const struct ph_rule *rule,
	struct problems *problems)
{
	if (rule->file)
		problems_warn(problems, rule->file, rule->line,
			"%s: warn_if_reject does nothing, as no restriction stands behind it; delete it, or "
			"put it in front of one", list->name);
}

void
check_reach_list(const struct policy_list *list, struct problems *problems)
{
	const ph_rules *rules = list->rules;
	struct way way = {.list = list};
	bool warned = false;

	for (size_t i = 0; i < rules->count; i++) {
		const struct ph_rule *rule = &rules->items[i], *found;

		if (policy_is_warning(rule)) {
			if (i + 1 == rules->count)
				report_nothing_behind(list, rule, problems);
			warned = true;
			continue;
		}
		if ((found = asked_before(&way, rule)))
			report_twice(list, rule, found, problems);
		if ((found = take(&way, rule, warned))) {
			report_rest(list, i + 1, found, problems);
			return;
		}
		warned = false;
	}
}

static void
reach(void *context, const struct policy_list *list)
{
	check_reach_list(list, context);
}

void
check_reach(const struct config *config, struct problems *problems)
{
	policy_each(config, reach, problems);
}
