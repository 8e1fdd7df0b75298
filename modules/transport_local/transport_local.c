/*
 * transport_local: aliases, users, mailboxes.
 */
#include <posthouse/address.h>
#include <posthouse/log.h>
#include <posthouse/mailbox.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alias.h"
#include "confirm.h"
#include "deliver.h"
#include "expand.h"
#include "local.h"
#include "rights.h"
#include "user.h"

enum { TOLD = 400 }; /* bytes of a file, in a rehearsal */

const char local_relay[] = "local";

static const struct ph_param params[] = {
	{.name = "alias_domains", .type = PH_MATCH_LIST, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, alias_domains), .default_value = "$mydestination",
		.doc = "Domains whose addresses, when an alias names them, are looked up in alias_maps at once."},
	{.name = "alias_maps", .type = PH_MAP_REF, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, alias_maps), .default_value = "$alias_database",
		.doc = "The alias tables that local delivery asks, in order; see aliases(5)."},
	{.name = "allow_mail_to_commands", .type = PH_STRINGS, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, allow_mail_to_commands),
		.default_value = "alias, forward",
		.doc = "Where commands may be named as targets: alias tables (alias), .forward files (forward), "
		       ":include: files (include)."},
	{.name = "allow_mail_to_files", .type = PH_STRINGS, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, allow_mail_to_files),
		.default_value = "alias, forward",
		.doc = "Where files may be named as targets: alias tables (alias), .forward files (forward), "
		       ":include: files (include)."},
	{.name = "biff", .type = PH_BOOL, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, biff), .default_value = "no",
		.doc = "Understood for the sake of old configurations: nobody is told of new mail on a terminal."},
	{.name = "command_execution_directory", .type = PH_STRING, .flags = PH_PER_SECTION | PH_MACROS,
		.offset = offsetof(struct local, rights.command_execution_directory),
		.doc = "The directory in which commands run, instead of the user's home; may have ${home}, "
		       "${user} and the like in it."},
	{.name = "command_expansion_filter", .type = PH_STRING, .flags = PH_PER_SECTION | PH_MACROS,
		.offset = offsetof(struct local, rights.command_expansion_filter),
		.default_value = "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
		.doc = "The characters that what came from an address keeps in a command and its environment; "
		       "others become underscores."},
	{.name = "command_time_limit", .type = PH_TIME, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, rights.command_time_limit),
		.default_value = "1000s",
		.min = 1000, .max = 3000 * 1000,
		.doc = "How long a command may run; then it is killed, and the mail returned."},
	{.name = "duplicate_filter_limit", .type = PH_INT, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, duplicate_filter_limit), .default_value = "0",
		.min = 0,
		.max = INT32_MAX,
		.doc = "Understood for the sake of old configurations: whatever it says, each address that an alias "
		       "names comes once."},
	{.name = "expand_owner_alias", .type = PH_BOOL, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, expand_owner_alias), .default_value = "no",
		.doc = "The sender of a list's mail is the address for which owner-LIST stands, not owner-LIST."},
	{.name = "fallback_transport", .type = PH_STRING, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, fallback_transport),
		.doc = "The transport, or transport:nexthop, for names that are no users; empty: they are unknown."},
	{.name = "fallback_transport_maps", .type = PH_MAP_REF, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, fallback_transport_maps),
		.doc = "Tables of names that are no users with a fallback_transport of their own."},
	{.name = "forward_expansion_filter", .type = PH_STRING, .flags = PH_PER_SECTION | PH_MACROS,
		.offset = offsetof(struct local, forward_expansion_filter),
		.default_value = "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
		.doc = "The characters that what stands for a $name keeps in forward_path; others become "
		       "underscores."},
	{.name = "forward_path", .type = PH_STRINGS, .flags = PH_PER_SECTION | PH_MACROS,
		.offset = offsetof(struct local, forward_path),
		.default_value = "$home/.forward${recipient_delimiter}${extension}, $home/.forward",
		.doc = "The files in which a user may say where their mail goes, of which the first that is there "
		       "counts; has $user, $home, $shell, $recipient, $local, $extension, $recipient_delimiter, "
		       "$domain and the forms ${name?text}, ${name:text}."},
	{.name = "home_mailbox", .type = PH_STRING, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, rights.home_mailbox),
		.doc = "The user's mailbox within their home directory: Mailbox (mbox) or, with a slash at its "
		       "end, Maildir/; empty: it is in mail_spool_directory."},
	{.name = "local_command_shell", .type = PH_STRING, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, rights.local_command_shell),
		.doc = "A shell for all commands of users and alias tables, like /some/where/smrsh -c; empty: "
		       "/bin/sh -c, and only for those that need a shell."},
	{.name = "luser_relay", .type = PH_STRING, .flags = PH_PER_SECTION | PH_MACROS,
		.offset = offsetof(struct local, luser_relay),
		.doc = "The address that gets mail for unknown users, or @domain; has $user, $local, $extension "
		       "and the like."},
	{.name = "mailbox_command", .type = PH_STRING, .flags = PH_PER_SECTION | PH_MACROS,
		.offset = offsetof(struct local, rights.mailbox_command),
		.doc = "The command that takes mail for a user instead of a mailbox, like procmail -a "
		       "\"$EXTENSION\"; it runs with the user's rights."},
	{.name = "mailbox_command_maps", .type = PH_MAP_REF, .flags = PH_PER_SECTION | PH_FOR_USER,
		.offset = offsetof(struct local, rights.mailbox_command_maps),
		.doc = "Tables of users with a mailbox_command of their own."},
	{.name = "mailbox_size_limit", .type = PH_SIZE, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, rights.mailbox_size_limit),
		.default_value = "51200000",
		.min = 0, .max = INT64_MAX,
		.doc = "The largest size of a mailbox; mail that would make it larger is returned. 0: no limit."},
	{.name = "mailbox_transport", .type = PH_STRING, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, mailbox_transport),
		.doc = "The transport, or transport:nexthop, that takes mail for users in place of a mailbox, after "
		       "aliases and .forward files; empty: none."},
	{.name = "mailbox_transport_maps", .type = PH_MAP_REF, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, mailbox_transport_maps),
		.doc = "Tables of users with a mailbox_transport of their own."},
	{.name = "owner_request_special", .type = PH_BOOL, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, owner_request_special), .default_value = "yes",
		.doc = "With \"-\" as recipient_delimiter, owner-LIST and LIST-request are not cut."},
	{.name = "prepend_delivered_header", .type = PH_STRINGS, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, rights.prepend_delivered_header),
		.default_value = "command, file, forward",
		.doc = "Where Delivered-To is put in front of a message: of those that go to a command, into a "
		       "file or mailbox, or are forwarded; without it loops are not found."},
	{.name = "require_home_directory", .type = PH_BOOL, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, require_home_directory), .default_value = "no",
		.doc = "Mail for a user whose home directory is not there waits."},
};

/* ---- Are they right? ------------------------------------------------------------------------- */

/* words: of all that the list may have, each between blanks. */
static int
check_words(const char *name, const ph_strings *list, const char *words, ph_error *error)
{
	char word[32];

	for (size_t i = 0; i < list->count; i++) {
		int size = snprintf(word, sizeof(word), " %s ", list->items[i]);

		if (size >= (int)sizeof(word) || strstr(words, word) == NULL)
			return ph_error_set(error, "%s: \"%s\" is none of:%s", name, list->items[i],
				words);
	}
	return 0;
}

static int
local_check(void *self, ph_error *error)
{
	const struct local *local = self;
	static const char origins[] = " alias forward include ";

	if (check_words("allow_mail_to_commands", &local->allow_mail_to_commands, origins, error) == -1 ||
		check_words("allow_mail_to_files", &local->allow_mail_to_files, origins, error) == -1)
		return -1;
	return check_words("prepend_delivered_header", &local->rights.prepend_delivered_header,
		" command file forward ", error);
}

/* ---- What the steps share -------------------------------------------------------------------- */

ph_found
local_is_domain(const struct local *local, const char *domain, ph_error *error)
{
	return ph_match(local->alias_domains, domain, error);
}

bool
local_allows(const ph_strings *list, const char *word)
{
	for (size_t i = 0; i < list->count; i++)
		if (ph_strcasecmp(list->items[i], word) == 0)
			return true;
	return false;
}

bool
local_hides(const struct work *w)
{
	return ph_delivery_is_probe(w->delivery) && !ph_delivery_is_rehearsal(w->delivery);
}

void
local_tell_text(struct work *w, const char *what, const char *path, ph_span text)
{
	size_t size = text.size < TOLD ? text.size : TOLD, used = 0;
	char *line;

	if (!ph_delivery_is_rehearsal(w->delivery) ||
		(line = ph_pool_alloc(w->pool, size + 1)) == NULL)
		return;
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)text.data[i] > ' ')
			line[used++] = text.data[i];
		else if (used > 0 && line[used - 1] != ' ')
			line[used++] = ' ';
	used -= used > 0 && line[used - 1] == ' ';
	line[used] = '\0';
	ph_delivery_tell(w->delivery, "%s: %s has \"%s\"%s", what, path, line,
		size < text.size ? " and more" : "");
}

static int
get_content(struct work *w, size_t i)
{
	ph_error error = {""};
	bool dot_lines;

	if (w->have_content)
		return 0;
	if (ph_delivery_content(w->delivery, &w->fd, &w->offset, &w->length, &dot_lines, &error) == -1) {
		ph_delivery_defer(w->delivery, i, "4.3.0", local_relay,
			"cannot read the message: %s", error.text);
		return -1;
	}
	w->have_content = true;
	return 0;
}

struct ph_user_result *
local_prepare(struct work *w, size_t i)
{
	struct ph_user_result *why;

	if (get_content(w, i) == -1)
		return NULL;
	if ((why = ph_pool_alloc(w->pool, sizeof(*why))) == NULL)
		ph_delivery_defer(w->delivery, i, "4.3.0", local_relay, "no memory");
	return why;
}

int
local_was_here(struct work *w, size_t i, const char *recipient)
{
	int here;

	if (ph_delivery_is_probe(w->delivery))
		return 0;
	if (get_content(w, i) == -1)
		return -1;
	here = ph_mailbox_was_here(w->fd, w->offset, w->length, recipient);
	if (here == -1)
		ph_delivery_defer(w->delivery, i, "4.3.0", local_relay,
			"cannot read the message: %s", strerror(errno));
	return here;
}

void
local_say(struct work *w, size_t i, const struct ph_user_result *result)
{
	const char *text = rights_text(w->pool, result);

	if (result->outcome == PH_USER_SENT)
		ph_delivery_sent(w->delivery, i, result->status, local_relay, "%s", text);
	else if (result->outcome == PH_USER_BOUNCED)
		ph_delivery_bounce(w->delivery, i, result->status, local_relay, "%s", text);
	else
		ph_delivery_defer(w->delivery, i, result->status, local_relay, "%s", text);
}

/* ---- The delivery ---------------------------------------------------------------------------- */

/* A user whom an expansion named. */
static void
begin_user(struct work *w, size_t i, const struct ph_target *target)
{
	const char *original = ph_delivery_original(w->delivery, i);
	const struct addressee to = {.index = i, .user = alias_user(w->pool, target->address),
		.address = target->address, .recipient = target->address,
		.original = *original != '\0' ? original : target->address,
		.sender = target->sender,
		.forwards = target->kind == PH_TARGET_USER, .passes = true};

	if (to.user == NULL)
		ph_delivery_defer(w->delivery, i, "4.3.0", local_relay, "no memory");
	else
		deliver_to_user(w, &to);
}

static void
begin_recipient(struct work *w, size_t i)
{
	struct ph_target target = {.size = sizeof(target)};

	ph_delivery_target(w->delivery, i, &target);
	switch (target.kind) {
	case PH_TARGET_ADDRESS:
		expand(w, i);
		break;
	case PH_TARGET_USER:
	case PH_TARGET_MAILBOX:
		begin_user(w, i, &target);
		break;
	case PH_TARGET_COMMAND:
	case PH_TARGET_FILE:
		deliver_to_program(w, i, &target);
		break;
	default:
		ph_delivery_defer(w->delivery, i, "4.3.5", local_relay,
			"local delivery has handed this mail to itself: name another transport than \"%s\"",
			target.what);
		break;
	}
}

static void
report(struct work *w, size_t i)
{
	const struct letter *letter = w->letters[i];

	if (letter->done)
		local_say(w, i, &letter->result);
	else
		ph_delivery_defer(w->delivery, i, "4.3.0", local_relay,
			"the delivery did not end in time");
}

static void
local_deliver(void *self, ph_delivery *delivery)
{
	struct work w = {.local = self, .delivery = delivery, .pool = ph_delivery_pool(delivery)};
	size_t count = ph_delivery_count(delivery);
	ph_deadline deadline = rights_deadline(&w.local->rights);

	w.letters = ph_pool_array(w.pool, count, sizeof(*w.letters));
	for (size_t i = 0; i < count; i++) {
		if (w.letters != NULL)
			begin_recipient(&w, i);
		else
			ph_delivery_defer(delivery, i, "4.3.0", local_relay, "no memory");
	}
	for (size_t i = 0; w.letters != NULL && i < count; i++) {
		if (w.letters[i] == NULL)
			continue;
		batches_wait(w.letters[i], deadline);
		report(&w, i);
		batches_release(w.letters[i]);
	}
}

static void
local_deliver_as_user(void *self, const struct ph_user_context *user,
	const struct ph_user_delivery *requests, const int *fds, size_t count,
	struct ph_user_result *results)
{
	const struct local *local = self;

	user_deliver(&local->rights, user, requests, fds, count, results);
}

static int
local_confirm(void *self, const struct ph_user_context *user,
	const struct ph_user_delivery *request, struct ph_user_result *result)
{
	return confirm_target(self, user, request, result);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void
local_close(void *self)
{
	struct local *local = self;

	if (local->state == NULL)
		return;
	users_free(local->state->users);
	batches_free(local->state->batches);
	free(local->state);
	local->state = NULL;
}

static int
local_open(void *self, ph_error *error)
{
	struct local *local = self;

	local->state = calloc(1, sizeof(*local->state));
	if (local->state == NULL)
		return ph_error_set(error, "no memory");
	local->state->users = users_new();
	local->state->batches = batches_new(self);
	if (local->state->users == NULL || local->state->batches == NULL) {
		local_close(self);
		return ph_error_set(error, "no memory");
	}
	return 0;
}

static int
local_start(void *self, ph_error *error)
{
	const struct local *local = self;
	const char *propagate = ph_global("propagate_unmatched_extensions");

	local->state->propagate_alias = strstr(propagate, "alias") != NULL;
	local->state->propagate_forward = strstr(propagate, "forward") != NULL;
	local->state->propagate_include = strstr(propagate, "include") != NULL;
	return batches_start(local->state->batches) == 0 ? 0
		: ph_error_set(error, "no task is left");
}

static void
local_stop(void *self)
{
	const struct local *local = self;

	batches_stop(local->state->batches);
}

PH_MODULE(transport_local, "1.0", "delivery on this host: aliases and mailboxes",
	PH_TRANSPORT(.flags = PH_TRANSPORT_LOCAL | PH_TRANSPORT_PROBES | PH_TRANSPORT_REHEARSES,
		.deliver = local_deliver, .deliver_as_user = local_deliver_as_user,
		.confirm = local_confirm),
	PH_INSTANCE(struct local, params),
	PH_LIFE(.check = local_check, .open = local_open, .start = local_start, .stop = local_stop,
	.close = local_close));
