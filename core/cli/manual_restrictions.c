/*
 * posthouse-restrictions(5): every restriction with its sentence and an example, by what it judges.
 */
#include "cli/manual.h"

#include <posthouse/restriction.h>

#include <stdlib.h>
#include <string.h>

#include "config/state.h"

/* A restriction, and the module whose it is (NULL: the core). */
struct entry {
	const struct ph_restriction *restriction;
	const struct module *owner;
};

/* The sections, in the order of the page. */
static const struct group {
	enum ph_stage stage;
	const char *title, *text;
	const char *list;   /* of the example */
} groups[] = {
	{PH_STAGE_ANY, "IN ANY LIST", "These may stand in every list.", "smtpd_recipient_restrictions"},
	{PH_STAGE_CLIENT, "CLIENT", "These judge the client, by its address and its names.\nThey may stand in "
		"every list; smtpd_client_restrictions is theirs.", "smtpd_client_restrictions"},
	{PH_STAGE_HELO, "HELO", "These judge the name that the client gave with HELO or EHLO, and are passed "
		"by when it gave none.\nThey may stand in smtpd_helo_restrictions and in all lists behind it.",
		"smtpd_helo_restrictions"},
	{PH_STAGE_SENDER, "SENDER", "These judge the sender's address, and are passed by for the empty one "
		"of bounces unless they say otherwise.\nThey may stand in smtpd_sender_restrictions and in all "
		"lists behind it.", "smtpd_sender_restrictions"},
	{PH_STAGE_RECIPIENT, "RELAY AND RECIPIENT", "These judge the recipient's address.\nThey may stand in "
		"smtpd_relay_restrictions and smtpd_recipient_restrictions and, with smtpd_delay_reject, in "
		"the lists before these.", "smtpd_recipient_restrictions"},
	{PH_STAGE_DATA, "DATA", "These judge the DATA command, when all recipients are known.",
		"smtpd_data_restrictions"},
	{PH_STAGE_END_OF_DATA, "END OF DATA", "These judge the message when all of it is there.",
		"smtpd_end_of_data_restrictions"},
	{PH_STAGE_ETRN, "ETRN", "These judge the domain of the ETRN command.", "smtpd_etrn_restrictions"},
};

static int
compare(const void *a, const void *b)
{
	const struct entry *left = a, *right = b;

	return strcmp(left->restriction->name, right->restriction->name);
}

/* All of them, sorted; the caller's, for free(). NULL: no memory. */
static struct entry *
collect(const struct config *config, size_t *count)
{
	size_t room = rule_word_count;
	struct entry *entries;

	*count = 0;
	for (size_t i = 0; i < config->module_count; i++)
		room += config->modules[i]->descriptor.operation_count;
	entries = calloc(room, sizeof(*entries));
	for (size_t i = 0; entries && i < rule_word_count; i++)
		entries[(*count)++] = (struct entry){&rule_words[i], NULL};
	for (size_t i = 0; entries && i < config->module_count; i++) {
		const struct module *module = config->modules[i];
		const struct ph_restriction *restrictions = module->descriptor.operations;

		for (size_t j = 0; module->class->number == PH_CLASS_RESTRICTION &&
			j < module->descriptor.operation_count; j++)
			entries[(*count)++] = (struct entry){&restrictions[j], module};
	}
	if (entries)
		qsort(entries, *count, sizeof(*entries), compare);
	return entries;
}

static void
put_name(FILE *out, const struct ph_restriction *restriction)
{
	static const char *const arguments[] = {[PH_NO_ARGUMENT] = "", [PH_ARGUMENT_STRING] = " Ar argument",
		[PH_ARGUMENT_MAP] = " Ar type : Ns Ar table", [PH_OPTIONAL_STRING] = " Op Ar argument"};

	fprintf(out, ".It Ic %s%s\n", restriction->name,
		restriction->argument <= PH_OPTIONAL_STRING ? arguments[restriction->argument] : "");
}

static void
put_example(FILE *out, const struct group *group, const struct ph_restriction *restriction)
{
	const char *text = restriction->example ? restriction->example : restriction->name;
	const char *quote = strchr(text, ' ') ? "'" : "";

	fprintf(out, ".Dl %s = {", group->list);
	fputs(quote, out);
	manual_text(out, text, true);
	fprintf(out, "%s}\n", quote);
}

static void
put_entry(FILE *out, const struct group *group, const struct entry *entry)
{
	put_name(out, entry->restriction);
	if (entry->restriction->doc && entry->restriction->doc[0]) {
		manual_text(out, entry->restriction->doc, false);
		fputc('\n', out);
	}
	put_example(out, group, entry->restriction);
	if (entry->owner)
		fprintf(out, "Module:\n.Sy %s .\n", entry->owner->name);
}

static void
put_group(FILE *out, const struct group *group, const struct entry *entries, size_t count)
{
	bool any = false;

	for (size_t i = 0; i < count; i++) {
		if ((entries[i].restriction->stage & 0xff) != group->stage || entries[i].restriction->instead)
			continue;
		if (!any)
			fprintf(out, ".Sh %s\n%s\n.Bl -tag -width Ds\n", group->title, group->text);
		any = true;
		put_entry(out, group, &entries[i]);
	}
	if (any)
		fputs(".El\n", out);
}

static void
put_old_names(FILE *out, const struct entry *entries, size_t count)
{
	bool any = false;

	for (size_t i = 0; i < count; i++) {
		const struct ph_restriction *restriction = entries[i].restriction;

		if (!restriction->instead)
			continue;
		if (!any)
			fputs(".Sh OLD NAMES\nThese are understood, with a warning.\n.Bl -tag -width Ds\n",
				out);
		any = true;
		put_name(out, restriction);
		fputs("Now written:\n.Ic \"", out);
		manual_text(out, restriction->instead, true);
		fprintf(out, "\" .\nModule:\n.Sy %s .\n", entries[i].owner->name);
	}
	if (any)
		fputs(".El\n", out);
}

int
manual_restrictions(const struct config *config, FILE *out)
{
	size_t count;
	struct entry *entries = collect(config, &count);

	for (size_t i = 0; entries && i < sizeof(groups) / sizeof(groups[0]); i++)
		put_group(out, &groups[i], entries, count);
	if (entries)
		put_old_names(out, entries, count);
	free(entries);
	return 0;
}
