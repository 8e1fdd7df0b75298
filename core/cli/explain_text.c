/*
 * A rehearsed session as text.
 *
 * Verdicts stand in a column of their own, as what one looks for; then the restriction, and where
 * it is written. What it looked up is under it. The reply of a command is behind an arrow.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/explain.h"

enum { VERDICT_WIDTH = 17, NAME_WIDTH_MOST = 52, INDENT = 2 };

/* The file as it is seen from the folder of the configuration: "posthouse.conf",
 * "modules.d/x.conf". */
static const char *
short_file(const struct explain *explain, const char *file)
{
	const char *slash = strrchr(explain->configuration, '/');
	size_t size = slash != NULL ? (size_t)(slash - explain->configuration) + 1 : 0;

	return size > 0 && strncmp(file, explain->configuration, size) == 0 ? file + size : file;
}

/* ---- Restrictions ---------------------------------------------------------------------------- */

/* Is it a list of restrictions, without a verdict of its own? */
static bool
is_class(const struct step *step)
{
	return !step->judged && step->skipped == NULL;
}

static const char *
verdict_text(const struct step *step)
{
	if (step->skipped != NULL)
		return "not asked";
	if (is_class(step))
		return "class";
	if (step->warn && step->reply.code != 0)
		return "warns only";
	switch (step->verdict) {
	case PH_REJECT:
		return "REJECT";
	case PH_DEFER:
		return "DEFER";
	case PH_DISCARD:
		return "DISCARD";
	case PH_DUNNO:
	case PH_PERMIT:
	case PH_DEFER_IF_PERMIT:
	case PH_DEFER_IF_REJECT:
		break;
	}
	return trail_verdict_name(step->verdict);
}

static const char *
prefix_of(const struct step *step)
{
	return step->behind ? "warn_if_reject " : "";
}

static int
name_width(const struct step *step)
{
	size_t argument = strlen(step->argument);

	return (int)(strlen(prefix_of(step)) + strlen(step->text) +
		(argument > 0 ? argument + 1 : 0));
}

/* The width of the column of names that suits a command. */
static int
widest(const struct steps *steps, int indent)
{
	int width = 0;

	for (const struct step *step = steps->first; step != NULL; step = step->next) {
		int here = indent + name_width(step), inner = widest(&step->steps, indent + INDENT);

		if (step->kind != STEP_RULE)
			continue;
		width = here > width && here <= NAME_WIDTH_MOST ? here : width;
		width = inner > width ? inner : width;
	}
	return width;
}

/* Where it stands; a default and the answer of a table are in no file. */
static void
print_place(const struct explain *explain, const struct step *step, unsigned depth)
{
	if (step->file != NULL)
		printf("  %s:%d", short_file(explain, step->file), step->line);
	else
		printf("  %s", depth > 1 ? "(from the answer above)" : "(default)");
}

/* A line under a restriction, in the column of the names. */
PH_PRINTF(2, 3)
static void
print_under(int indent, const char *format, ...)
{
	va_list arguments;

	printf("    %-*s%*s", VERDICT_WIDTH, "", indent + INDENT, "");
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
}

/* Does a restriction that this one had asked say the same already? */
static bool
said_within(const struct step *step)
{
	for (const struct step *inner = step->steps.first; inner != NULL; inner = inner->next)
		if (inner->kind == STEP_RULE && ((inner->reply.code == step->reply.code &&
			strcmp(inner->reply.text, step->reply.text) == 0) || said_within(inner)))
			return true;
	return false;
}

/* What ends the command is its reply, behind the arrow. */
static void
print_reply_of(const struct exchange *exchange, const struct step *step, int indent)
{
	const ph_reply *reply = &step->reply;
	bool last = step == exchange->decider &&
		(step->verdict == PH_REJECT || step->verdict == PH_DEFER);

	if (reply->code != 0 && !last && !said_within(step))
		print_under(indent, "%d %s%s%s", reply->code, reply->status,
			reply->status[0] != '\0' ? " " : "", reply->text);
}

static void
print_rule(const struct explain *explain, const struct step *step, int width, unsigned depth)
{
	int indent = (int)(depth - 1) * INDENT;

	printf("    %-*s%*s%s%s%s%s", VERDICT_WIDTH, verdict_text(step), indent, "",
		prefix_of(step), step->text, step->argument[0] != '\0' ? " " : "", step->argument);
	printf("%*s", width > indent + name_width(step) ? width - indent - name_width(step) : 0,
		"");
	print_place(explain, step, depth);
	if (step->skipped != NULL)
		printf(": %s", step->skipped);
	putchar('\n');
}

static void
print_steps(const struct explain *explain, const struct exchange *exchange,
	const struct steps *steps, int width, unsigned depth)
{
	int indent = depth > 1 ? (int)(depth - 2) * INDENT : 0;

	for (const struct step *step = steps->first; step != NULL; step = step->next) {
		switch (step->kind) {
		case STEP_RULE:
			print_rule(explain, step, width, depth);
			print_steps(explain, exchange, &step->steps, width, depth + 1);
			print_reply_of(exchange, step, (int)(depth - 1) * INDENT);
			break;
		case STEP_NOTE:
			print_under(indent, "%s", step->text);
			break;
		case STEP_WISH:
			print_under(indent, "wants %s %s", step->text, step->argument);
			break;
		}
	}
}

/* ---- Lists ----------------------------------------------------------------------------------- */

static bool
same_step(const struct step *a, const struct step *b)
{
	return a->kind == b->kind && a->line == b->line && a->judged == b->judged &&
		a->verdict == b->verdict && a->skipped == b->skipped &&
		strcmp(a->text, b->text) == 0 &&
		strcmp(a->argument, b->argument) == 0 && strcmp(a->reply.text, b->reply.text) == 0;
}

static bool
same_steps(const struct steps *left, const struct steps *right)
{
	const struct step *a = left->first, *b = right->first;

	if (left->count != right->count)
		return false;
	for (; a != NULL; a = a->next, b = b->next)
		if (!same_step(a, b) || !same_steps(&a->steps, &b->steps))
			return false;
	return true;
}

/* The command before this one at which the list came to the same in the same way; NULL: there is
 * none, or it is what refuses this one. */
static const struct exchange *
told_before(const struct explain *explain, const struct exchange *exchange,
	const struct story_list *list)
{
	const struct exchange *found = NULL;

	if (exchange->decider != NULL && strcmp(exchange->decider_list, list->name) == 0)
		return NULL;
	for (const struct exchange *e = explain->story.exchanges; e != exchange; e = e->next)
		for (const struct story_list *l = e->lists; l != NULL; l = l->next)
			if (found == NULL && l->rules == list->rules &&
				strcmp(l->name, list->name) == 0 &&
				same_steps(&l->steps, &list->steps))
				found = e;
	return found;
}

/* ---- Commands -------------------------------------------------------------------------------- */

static void
print_list(const struct explain *explain, const struct exchange *exchange,
	const struct story_list *list, int width)
{
	const struct exchange *before = told_before(explain, exchange, list);
	char unasked[256];

	if (list->rules->count == 0 || before != NULL) {
		printf("  %s: %s%s\n", list->name, list->rules->count == 0 ? "empty" : "as at ",
			list->rules->count == 0 ? "" : before->command);
		return;
	}
	printf("  %s:\n", list->name);
	print_steps(explain, exchange, &list->steps, width, 1);
	if (story_unasked(list, unasked, sizeof(unasked))[0] != '\0')
		printf("    %-*s%s\n", VERDICT_WIDTH, "not reached", unasked);
}

/* Who refused it, "by reject (smtpd_relay_restrictions, posthouse.conf:12)". */
static void
print_decider(const struct explain *explain, const struct exchange *exchange)
{
	const struct step *step = exchange->decider;

	printf("by %s%s%s (%s", step->text, step->argument[0] != '\0' ? " " : "", step->argument,
		exchange->decider_list);
	if (step->file != NULL)
		printf(", %s:%d", short_file(explain, step->file), step->line);
	puts(")");
}

static void
print_reply(const struct exchange *exchange)
{
	if (exchange->code != 0)
		printf("%d %s%s", exchange->code, exchange->status,
			exchange->status[0] != '\0' ? " " : "");
	puts(exchange->text);
}

void
explain_text_exchange(const struct explain *explain, const struct exchange *exchange)
{
	int width = 0;

	/* A command at which nothing was asked is one line. */
	if (exchange->lists == NULL && exchange->notes.count == 0) {
		printf("%-38s  => ", exchange->command);
		print_reply(exchange);
		fflush(stdout);
		return;
	}
	for (const struct story_list *list = exchange->lists; list != NULL; list = list->next) {
		int wide = widest(&list->steps, 0);

		width = wide > width ? wide : width;
	}
	printf("\n%s\n", exchange->command);
	for (const struct story_list *list = exchange->lists; list != NULL; list = list->next)
		print_list(explain, exchange, list, width);
	for (const struct step *step = exchange->notes.first; step != NULL; step = step->next)
		printf("  %s\n", step->text);
	printf("  => ");
	print_reply(exchange);
	if (exchange->decider != NULL) {
		printf("     ");
		print_decider(explain, exchange);
	}
	fflush(stdout);
}

/* ---- Before and after ------------------------------------------------------------------------ */

void
explain_text_head(const struct explain *explain)
{
	const struct rehearsal *rehearsal = &explain->script.rehearsal;
	const struct story *story = &explain->story;
	char address[PH_ADDRESS_TEXT];

	printf("Client    %s\n", ph_address_text(&rehearsal->client, address));
	if (rehearsal->client_name == NULL)
		printf("          its name is %s\n", story->client_text);
	else
		printf("          its name is %s, as you say\n", rehearsal->client_name);
	if (story->client_name == NULL && rehearsal->reverse_name != NULL &&
		rehearsal->client_name != NULL)
		printf("          its unverified name is %s, as you say\n",
			rehearsal->reverse_name);
	printf("Listener  %s, of %s\n", rehearsal->listener->name, explain->configuration);
	if (rehearsal->listener->policy->smtpd_delay_reject)
		puts("          smtpd_delay_reject = yes: all lists but those of DATA are asked at RCPT");
	for (size_t i = 0; i < explain->unreadable.count; i++)
		printf("Table     %s\n", explain->unreadable.items[i]);
	putchar('\n');
	fflush(stdout);
}

static void
print_copy(struct explain *explain, const char *what, const char *address)
{
	printf("  %s %s: ", what, address);
	outlook_print(explain_outlook(explain, address), INDENT);
}

/* always_bcc, sender_bcc_maps, recipient_bcc_maps. */
static void
print_copies(struct explain *explain)
{
	const struct outlook *copies = explain_copies(explain);

	if (copies == NULL)
		return;
	for (const struct outlook_note *note = copies->notes; note != NULL; note = note->next)
		printf("  %s\n", note->text);
	if (copies->targets == NULL)
		printf("  The message is refused: %s %s\n", copies->status, copies->text);
	for (const struct outlook *copy = copies->targets; copy != NULL; copy = copy->next) {
		printf("  a copy to %s: ", copy->address);
		outlook_print(copy, INDENT);
	}
}

static void
print_message(struct explain *explain)
{
	const struct story_message *message = &explain->story.message;

	if (message->discard != NULL)
		printf("  The message is accepted and thrown away: %s said DISCARD\n",
			message->discard);
	if (message->hold != NULL)
		printf("  HOLD: it waits in the queue until it is released: %s\n", message->hold);
	if (message->filter != NULL)
		printf("  FILTER %s: all of it goes there\n", message->filter);
	if (message->redirect != NULL)
		print_copy(explain, "REDIRECT, in place of all recipients, to", message->redirect);
	for (size_t i = 0; i < message->bcc.count; i++)
		print_copy(explain, "BCC, a copy to", message->bcc.items[i]);
	for (size_t i = 0; i < message->prepend.count; i++)
		printf("  PREPEND %s\n", message->prepend.items[i]);
}

static void
print_accepted(struct explain *explain, const struct exchange *exchange)
{
	printf("  %s: accepted, ", exchange->object);
	outlook_print(explain_outlook(explain, exchange->object), INDENT);
}

static void
print_refused(const struct explain *explain, const struct exchange *exchange)
{
	printf("  %s: %s, ", exchange->object[0] != '\0' ? exchange->object : exchange->command,
		exchange->code >= 500 ? "REFUSED" : "refused for now");
	if (exchange->decider == NULL) {
		print_reply(exchange);
		return;
	}
	printf("%d ", exchange->code);
	print_decider(explain, exchange);
}

void
explain_text_result(struct explain *explain)
{
	bool any = false;

	puts("\nResult");
	for (const struct exchange *e = explain->story.exchanges; e != NULL; e = e->next) {
		bool recipient = strcmp(e->verb, "RCPT") == 0;

		any = any || recipient || !e->accepted;
		if (!e->accepted)
			print_refused(explain, e);
		else if (recipient)
			print_accepted(explain, e);
	}
	if (!any)
		puts("  all commands were accepted");
	print_copies(explain);
	print_message(explain);
}
