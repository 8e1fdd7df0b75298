/*
 * A rehearsed session as one JSON object; posthouse(1) has its keys.
 */
#include <stdio.h>
#include <string.h>

#include "cli/explain.h"
#include "cli/json.h"

static void
put_bool(const char *name, bool value)
{
	printf(", \"%s\": %s", name, value ? "true" : "false");
}

/* "file" and "line"; null for what is in no file. */
static void
put_place(const struct step *step)
{
	json_member(stdout, "file", step->file, 0);
	if (step->file != NULL)
		printf(", \"line\": %d", step->line);
	else
		printf(", \"line\": null");
}

static void
put_reply(int code, const char *status, const char *text)
{
	if (code == 0) {
		printf(", \"reply\": null");
		return;
	}
	printf(", \"reply\": {\"code\": %d", code);
	json_member(stdout, "status", status, 0);
	json_member(stdout, "text", text, 0);
	putchar('}');
}

static void put_rules(const struct steps *steps);

static void
put_texts(const char *name, const struct steps *steps, enum step_kind kind)
{
	bool first = true;

	printf(", \"%s\": [", name);
	for (const struct step *step = steps->first; step != NULL; step = step->next) {
		if (step->kind != kind)
			continue;
		if (!first)
			printf(", ");
		first = false;
		if (kind == STEP_WISH) {
			printf("{");
			json_member(stdout, "action", step->text, 1);
			json_member(stdout, "text", step->argument, 0);
			printf("}");
		} else {
			json_string(stdout, step->text);
		}
	}
	putchar(']');
}

static const char *
verdict_of(const struct step *step)
{
	if (step->skipped != NULL)
		return "not asked";
	return step->judged ? trail_verdict_name(step->verdict) : "class";
}

static void
put_rule(const struct step *step)
{
	putchar('{');
	json_member(stdout, "name", step->text, 1);
	json_member(stdout, "argument", step->argument, 0);
	put_place(step);
	json_member(stdout, "verdict", verdict_of(step), 0);
	put_bool("warn_if_reject", step->warn);
	json_member(stdout, "skipped", step->skipped, 0);
	put_reply(step->reply.code, step->reply.status, step->reply.text);
	put_texts("notes", &step->steps, STEP_NOTE);
	put_texts("actions", &step->steps, STEP_WISH);
	put_rules(&step->steps);
	putchar('}');
}

static void
put_rules(const struct steps *steps)
{
	bool first = true;

	printf(", \"restrictions\": [");
	for (const struct step *step = steps->first; step != NULL; step = step->next) {
		if (step->kind != STEP_RULE)
			continue;
		if (!first)
			printf(", ");
		first = false;
		put_rule(step);
	}
	putchar(']');
}

static void
put_list(const struct story_list *list)
{
	bool first = true;

	putchar('{');
	json_member(stdout, "list", list->name, 1);
	put_rules(&list->steps);
	printf(", \"not_reached\": [");
	for (size_t i = list->asked; i < list->rules->count; i++) {
		if (strcmp(list->rules->items[i].name, "warn_if_reject") == 0)
			continue;
		if (!first)
			printf(", ");
		first = false;
		json_string(stdout, list->rules->items[i].name);
	}
	printf("]}");
}

static void
put_decider(const struct exchange *exchange)
{
	const struct step *step = exchange->decider;

	if (step == NULL) {
		printf(", \"refused_by\": null");
		return;
	}
	printf(", \"refused_by\": {");
	json_member(stdout, "list", exchange->decider_list, 1);
	json_member(stdout, "name", step->text, 0);
	json_member(stdout, "argument", step->argument, 0);
	put_place(step);
	json_member(stdout, "verdict", verdict_of(step), 0);
	putchar('}');
}

static void
put_exchange(const struct exchange *exchange)
{
	putchar('{');
	json_member(stdout, "verb", exchange->verb, 1);
	json_member(stdout, "command", exchange->command, 0);
	put_bool("accepted", exchange->accepted);
	put_reply(exchange->code, exchange->status, exchange->text);
	put_decider(exchange);
	put_texts("notes", &exchange->notes, STEP_NOTE);
	printf(", \"lists\": [");
	for (const struct story_list *list = exchange->lists; list != NULL; list = list->next) {
		put_list(list);
		if (list->next != NULL)
			printf(", ");
	}
	printf("]}");
}

/* ---- What becomes of it ---------------------------------------------------------------------- */

static void
put_notes(const struct outlook *outlook)
{
	printf(", \"lookups\": [");
	for (const struct outlook_note *note = outlook->notes; note != NULL; note = note->next) {
		if (note != outlook->notes)
			printf(", ");
		json_string(stdout, note->text);
	}
	putchar(']');
}

static void put_outlook(const struct outlook *outlook);

static void
put_targets(const struct outlook *outlook)
{
	printf(", \"targets\": [");
	for (const struct outlook *target = outlook->targets; target != NULL;
		target = target->next) {
		if (target != outlook->targets)
			printf(", ");
		printf("{");
		json_member(stdout, "address", target->address, 1);
		json_member(stdout, "kind", outlook_kind_name(target->kind), 0);
		json_member(stdout, "what", target->what[0] != '\0' ? target->what : NULL, 0);
		json_member(stdout, "sender", target->sender[0] != '\0' ? target->sender : NULL, 0);
		put_outlook(target);
		printf("}");
	}
	putchar(']');
}

static void
put_outlook(const struct outlook *outlook)
{
	json_member(stdout, "transport", outlook->transport, 0);
	json_member(stdout, "nexthop", outlook->transport != NULL ? outlook->nexthop : NULL, 0);
	json_member(stdout, "why", outlook->why[0] != '\0' ? outlook->why : NULL, 0);
	json_member(stdout, "fate", outlook_fate_name(outlook->fate), 0);
	json_member(stdout, "status", outlook->status[0] != '\0' ? outlook->status : NULL, 0);
	json_member(stdout, "text", outlook->text[0] != '\0' ? outlook->text : NULL, 0);
	put_notes(outlook);
	put_targets(outlook);
}

/* What the tables of copies add. */
static void
put_copies(struct explain *explain)
{
	const struct outlook *copies = explain_copies(explain);

	printf(", \"copies\": {");
	json_member(stdout, "refused",
		copies != NULL && copies->targets == NULL ? copies->text : NULL, 1);
	if (copies != NULL) {
		put_notes(copies);
		put_targets(copies);
	} else {
		printf(", \"lookups\": [], \"targets\": []");
	}
	putchar('}');
}

static void
put_recipients(struct explain *explain)
{
	bool first = true;

	printf(", \"recipients\": [");
	for (const struct exchange *e = explain->story.exchanges; e != NULL; e = e->next) {
		if (strcmp(e->verb, "RCPT") != 0)
			continue;
		printf(first ? "{" : ", {");
		first = false;
		json_member(stdout, "recipient", e->object, 1);
		put_bool("accepted", e->accepted);
		put_reply(e->code, e->status, e->text);
		if (e->accepted)
			put_outlook(explain_outlook(explain, e->object));
		putchar('}');
	}
	putchar(']');
}

static void
put_strings(const char *name, const ph_strings *list)
{
	printf(", \"%s\": [", name);
	for (size_t i = 0; i < list->count; i++) {
		if (i > 0)
			printf(", ");
		json_string(stdout, list->items[i]);
	}
	putchar(']');
}

static void
put_message(const struct story_message *message)
{
	printf(", \"message\": {");
	json_member(stdout, "hold", message->hold, 1);
	json_member(stdout, "filter", message->filter, 0);
	json_member(stdout, "redirect", message->redirect, 0);
	json_member(stdout, "discard", message->discard, 0);
	put_strings("bcc", &message->bcc);
	put_strings("prepend", &message->prepend);
	putchar('}');
}

static void
put_client(const struct story *story)
{
	printf(", \"client\": {");
	json_member(stdout, "address", story->client, 1);
	json_member(stdout, "name", story->client_name, 0);
	json_member(stdout, "reverse_name", story->reverse_name, 0);
	json_member(stdout, "explanation", story->client_text, 0);
	putchar('}');
}

void
explain_json(struct explain *explain)
{
	const struct instance *listener = explain->script.rehearsal.listener;

	putchar('{');
	json_member(stdout, "configuration", explain->configuration, 1);
	json_member(stdout, "listener", listener->name, 0);
	put_bool("delay_reject", listener->policy->smtpd_delay_reject);
	put_strings("unreadable", &explain->unreadable);
	put_client(&explain->story);
	put_bool("accepted", explain->status == 0);
	printf(", \"commands\": [");
	for (const struct exchange *e = explain->story.exchanges; e != NULL; e = e->next) {
		put_exchange(e);
		if (e->next != NULL)
			printf(", ");
	}
	putchar(']');
	put_recipients(explain);
	put_copies(explain);
	put_message(&explain->story.message);
	puts("}");
}
