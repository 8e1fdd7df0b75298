/*
 * What becomes of a recipient, as text and in words.
 */
#include <stdio.h>
#include <string.h>

#include "cli/outlook.h"

enum { STEP = 2, NOTE = 4 };

const char *
outlook_kind_name(enum ph_target_kind kind)
{
	static const char *const names[] = {"address", "user", "mailbox", "command", "file",
		"transport", "forward"};

	return (size_t)kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "unknown";
}

const char *
outlook_fate_name(enum fate fate)
{
	static const char *const names[] = {"becomes", "goes", "delivered", "waits", "returns"};

	return names[fate];
}

/* A target of local delivery is named by what it is; how it gets there is plain. */
static bool
is_at_home(const struct outlook *outlook)
{
	return outlook->kind >= PH_TARGET_USER && outlook->kind <= PH_TARGET_FILE;
}

static void
print_name(const struct outlook *outlook)
{
	switch (outlook->kind) {
	case PH_TARGET_COMMAND:
	case PH_TARGET_FILE:
		printf("%s %s", outlook_kind_name(outlook->kind),
			outlook->what[0] != '\0' ? outlook->what : "that an alias names");
		break;
	case PH_TARGET_MAILBOX:
		printf("%s, whatever is forwarded", outlook->address);
		break;
	case PH_TARGET_FORWARD:
		printf("%s, in a message of its own%s%s", outlook->address,
			outlook->sender[0] != '\0' ? " from " : "", outlook->sender);
		break;
	case PH_TARGET_ADDRESS:
	case PH_TARGET_USER:
	case PH_TARGET_TRANSPORT:
	case PH_TARGET_KINDS:
		fputs(outlook->address, stdout);
		break;
	}
}

static void
print_fate(const struct outlook *outlook)
{
	if (outlook->fate == FATE_DELIVERED)
		printf("%s\n", outlook->text);
	else
		printf("%s: %s %s\n", outlook->fate == FATE_RETURNS ? "comes back" : "waits",
			outlook->status, outlook->text);
}

/* What stands on the first line, and ends it. */
static void
print_head(const struct outlook *outlook)
{
	bool last = outlook->fate != FATE_BECOMES && outlook->fate != FATE_GOES;

	if (outlook->transport != NULL && (!is_at_home(outlook) || outlook->fate == FATE_GOES))
		printf("goes to transport %s, next hop %s: %s\n", outlook->transport,
			outlook->nexthop, outlook->why);
	else if (outlook->transport == NULL && last && outlook->why[0] != '\0')
		printf("goes nowhere: it %s: %s %s; %s\n",
			outlook->fate == FATE_RETURNS ? "comes back" : "waits",
			outlook->status, outlook->text, outlook->why);
	else if (last)
		print_fate(outlook);
	else
		puts("becomes:");
}

void
outlook_print(const struct outlook *outlook, int indent)
{
	bool last = outlook->fate != FATE_BECOMES && outlook->fate != FATE_GOES;

	print_head(outlook);
	for (const struct outlook_note *note = outlook->notes; note != NULL; note = note->next)
		printf("%*s%s\n", indent + NOTE, "", note->text);
	if (last && outlook->transport != NULL && !is_at_home(outlook)) {
		printf("%*s", indent + NOTE, "");
		print_fate(outlook);
	}
	for (const struct outlook *target = outlook->targets; target != NULL;
		target = target->next) {
		printf("%*s", indent + STEP, "");
		print_name(target);
		fputs(": ", stdout);
		outlook_print(target, indent + STEP);
	}
}
