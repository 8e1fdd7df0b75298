/*
 * transport_local: aliases, users, mailboxes.
 */
#include <posthouse/address.h>
#include <posthouse/log.h>
#include <posthouse/map.h>
#include <posthouse/transport.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alias.h"
#include "batches.h"
#include "rights.h"
#include "user.h"
#include "users.h"

static const char relay[] = "local";

/* What changes while the instance is read-only. */
struct state {
	struct users *users;
	struct batches *batches;
	bool warned_of_postmaster;
};

struct local {
	const ph_map *alias_maps;
	const ph_match_list *alias_domains;
	struct params rights;
	struct state *state;
};

static const struct ph_param params[] = {
	{.name = "alias_domains", .type = PH_MATCH_LIST, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, alias_domains), .default_value = "$mydestination",
		.doc = "Domains whose addresses, when an alias names them, are looked up in alias_maps at once."},
	{.name = "alias_maps", .type = PH_MAP_REF, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, alias_maps), .default_value = "$alias_database",
		.doc = "The alias tables that local delivery asks, in order; see aliases(5)."},
	{.name = "command_execution_directory", .type = PH_STRING, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, rights.command_execution_directory),
		.doc = "The directory in which commands run, instead of the user's home; may have ${home}, "
		       "${user} and the like in it."},
	{.name = "command_expansion_filter", .type = PH_STRING, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, rights.command_expansion_filter),
		.default_value = "1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
		.doc = "The characters that what came from an address keeps in a command and its environment; "
		       "others become underscores."},
	{.name = "command_time_limit", .type = PH_TIME, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, rights.command_time_limit), .default_value = "1000s",
		.min = 1000, .max = 3000 * 1000,
		.doc = "How long a command may run; then it is killed, and the mail returned."},
	{.name = "home_mailbox", .type = PH_STRING, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, rights.home_mailbox),
		.doc = "The user's mailbox within their home directory: Mailbox (mbox) or, with a slash at its "
		       "end, Maildir/; empty: it is in mail_spool_directory."},
	{.name = "local_command_shell", .type = PH_STRING, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, rights.local_command_shell),
		.doc = "A shell for all commands of users and alias tables, like /some/where/smrsh -c; empty: "
		       "/bin/sh -c, and only for those that need a shell."},
	{.name = "mailbox_command", .type = PH_STRING, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, rights.mailbox_command),
		.doc = "The command that takes mail for a user instead of a mailbox, like procmail -a "
		       "\"$EXTENSION\"; it runs with the user's rights."},
	{.name = "mailbox_command_maps", .type = PH_MAP_REF, .flags = PH_PER_SECTION | PH_FOR_USER,
		.offset = offsetof(struct local, rights.mailbox_command_maps),
		.doc = "Tables of users with a mailbox_command of their own."},
	{.name = "mailbox_size_limit", .type = PH_SIZE, .flags = PH_PER_SECTION,
		.offset = offsetof(struct local, rights.mailbox_size_limit), .default_value = "51200000",
		.min = 0, .max = INT64_MAX,
		.doc = "The largest size of a mailbox; mail that would make it larger is returned. 0: no limit."},
};

/* A delivery in hand. */
struct work {
	struct local *local;
	ph_delivery *delivery;
	struct letter **letters; /* for each recipient; NULL: none is under way */
	bool have_content;
	int fd;
	int64_t offset, length;
};

/* ---- One mailbox ------------------------------------------------------------------------------- */

static int
get_content(struct work *w, size_t i)
{
	ph_error error = {""};
	bool dot_lines;

	if (w->have_content)
		return 0;
	if (ph_delivery_content(w->delivery, &w->fd, &w->offset, &w->length, &dot_lines, &error) == -1) {
		ph_delivery_defer(w->delivery, i, "4.3.0", relay, "cannot read the message: %s", error.text);
		return -1;
	}
	w->have_content = true;
	return 0;
}

/* A result in the form that a child of the spawner gives it. */
static void
say(struct work *w, size_t i, const struct ph_user_result *result)
{
	const char *text = rights_text(ph_delivery_pool(w->delivery), result);

	if (result->outcome == USER_SENT)
		ph_delivery_sent(w->delivery, i, result->status, relay, "%s", text);
	else if (result->outcome == USER_BOUNCED)
		ph_delivery_bounce(w->delivery, i, result->status, relay, "%s", text);
	else
		ph_delivery_defer(w->delivery, i, result->status, relay, "%s", text);
}

/* Sends the message on its way to a user who exists. recipient and original as the headers show
 * them. */
static void
post(struct work *w, size_t i, const char *user, const char *recipient, const char *original)
{
	struct dispatch dispatch = {.delivery = w->delivery, .user = user, .recipient = recipient,
		.original = original};
	struct ph_user_result *why;

	if (ph_delivery_is_probe(w->delivery)) {
		ph_delivery_sent(w->delivery, i, "2.0.0", relay, "delivers to mailbox");
		return;
	}
	if (get_content(w, i) == -1)
		return;
	why = ph_pool_alloc(ph_delivery_pool(w->delivery), sizeof(*why));
	if (why == NULL) {
		ph_delivery_defer(w->delivery, i, "4.3.0", relay, "no memory");
		return;
	}
	dispatch.fd = w->fd;
	dispatch.offset = w->offset;
	dispatch.length = w->length;
	w->letters[i] = rights_mailbox(w->local->state->batches, &w->local->rights, &dispatch, why);
	if (w->letters[i] == NULL)
		say(w, i, why);
}

/* The user of a local part: with its extension, then without. On PH_FOUND *user is the name. */
static ph_found
find_user(struct work *w, const char **user, uint32_t *uid, ph_error *error)
{
	struct users *users = w->local->state->users;
	ph_found found = users_find(users, *user, uid, error);
	const char *base;

	if (found != PH_NOT_FOUND)
		return found;
	base = alias_base(ph_delivery_pool(w->delivery), *user, ph_global("recipient_delimiter"));
	if (base == NULL || strcmp(base, *user) == 0)
		return PH_NOT_FOUND;
	*user = base;
	return users_find(users, base, uid, error);
}

/* recipient and original: what the headers show. */
static void
deliver_to_user(struct work *w, size_t i, const char *user, const char *recipient,
	const char *original)
{
	const char *name = user;
	ph_error error = {""};
	uint32_t uid = 0;

	switch (find_user(w, &name, &uid, &error)) {
	case PH_FAILED:
		ph_delivery_defer(w->delivery, i, "4.3.0", relay, "user lookup of \"%s\": %s", user, error.text);
		return;
	case PH_NOT_FOUND:
		ph_delivery_bounce(w->delivery, i, "5.1.1", relay, "unknown user: \"%s\"", user);
		return;
	case PH_FOUND:
		break;
	}
	if (uid == 0)
		ph_delivery_defer(w->delivery, i, "4.3.5", relay, "mail is not delivered with root's rights: "
			"add an alias for \"%s\" that names an ordinary user", name);
	else
		post(w, i, name, recipient, original);
}

/* Nobody is named as postmaster: the user as whom we run takes the mail rather than nobody. */
static void
deliver_to_owner(struct work *w, size_t i, const char *recipient, const char *original)
{
	struct state *state = w->local->state;
	char name[USER_NAME_SIZE];
	ph_error error = {""};

	if (users_self(name, &error) != PH_FOUND) {
		ph_delivery_defer(w->delivery, i, "4.3.5", relay, "no alias for postmaster or root%s%s",
			*error.text != '\0' ? ": " : "", error.text);
		return;
	}
	if (!state->warned_of_postmaster)
		ph_log(PH_LOG_WARNING, "no alias for postmaster or root: mail for postmaster goes to the "
			"mailbox of \"%s\"", name);
	state->warned_of_postmaster = true;
	deliver_to_user(w, i, name, recipient, original);
}

/* ---- Aliases ----------------------------------------------------------------------------------- */

static ph_found
find_alias(void *context, ph_pool *pool, const char *key, const char **value, ph_error *error)
{
	const struct local *local = context;

	return ph_map_lookup(pool, local->alias_maps, key, value, error);
}

static ph_found
is_alias_domain(void *context, const char *domain, ph_error *error)
{
	const struct local *local = context;

	return ph_match(local->alias_domains, domain, error);
}

/* The names behind an alias are not for the eyes of an SMTP client. */
static void
answer_probe(struct work *w, size_t i, const struct alias_expansion *expansion)
{
	ph_delivery_sent(w->delivery, i, "2.0.0", relay, "aliased to %zu address%s", expansion->count,
		expansion->count == 1 ? "" : "es");
}

static void
hand_on(struct work *w, size_t i, const struct alias_expansion *expansion)
{
	struct ph_expansion *list = ph_pool_array(ph_delivery_pool(w->delivery), expansion->count,
		sizeof(*list));

	if (list == NULL) {
		ph_delivery_defer(w->delivery, i, "4.3.0", relay, "no memory");
		return;
	}
	for (size_t k = 0; k < expansion->count; k++)
		list[k] = (struct ph_expansion){expansion->results[k].address,
			expansion->results[k].user != NULL};
	ph_delivery_expand(w->delivery, i, list, expansion->count);
}

/* The headers name the address that came here, the log the mailbox as well. */
static void
follow(struct work *w, size_t i, const struct alias_expansion *expansion)
{
	const char *recipient = ph_delivery_recipient(w->delivery, i);
	const char *original = ph_delivery_original(w->delivery, i);
	ph_pool *pool = ph_delivery_pool(w->delivery);

	recipient = ph_pool_strdup(pool, recipient);
	original = *original != '\0' ? ph_pool_strdup(pool, original) : recipient;
	if (recipient == NULL || original == NULL) {
		ph_delivery_defer(w->delivery, i, "4.3.0", relay, "no memory");
		return;
	}
	if (expansion->loop != NULL && expansion->count > 0)
		ph_log(PH_LOG_WARNING, "alias database loop for %s, found on the way from %s",
			expansion->loop, recipient);
	if (expansion->count == 1 && expansion->results[0].user != NULL) {
		if (ph_strcasecmp(expansion->results[0].address, recipient) != 0)
			ph_delivery_becomes(w->delivery, i, expansion->results[0].address);
		deliver_to_user(w, i, expansion->results[0].user, recipient, original);
	} else if (expansion->count > 0 && ph_delivery_is_probe(w->delivery))
		answer_probe(w, i, expansion);
	else if (expansion->count > 0)
		hand_on(w, i, expansion);
	else if (expansion->postmaster)
		deliver_to_owner(w, i, recipient, original);
	else if (expansion->nowhere)
		ph_delivery_sent(w->delivery, i, "2.0.0", relay, "delivered to file: /dev/null");
	else if (expansion->loop != NULL)
		ph_delivery_bounce(w->delivery, i, "5.4.6", relay, "alias database loop for %s",
			expansion->loop);
	else
		ph_delivery_defer(w->delivery, i, "4.3.5", relay, "an alias has no targets");
}

static void
expand(struct work *w, size_t i)
{
	const char *recipient = ph_delivery_recipient(w->delivery, i);
	struct alias_source source = {.context = w->local, .find = find_alias,
		.is_local = is_alias_domain, .origin = ph_global("myorigin"),
		.delimiters = ph_global("recipient_delimiter")};
	struct alias_expansion expansion;
	ph_error error = {""};

	switch (alias_expand(&source, ph_delivery_pool(w->delivery), recipient, &expansion, &error)) {
	case ALIAS_DONE:
		follow(w, i, &expansion);
		break;
	case ALIAS_LATER:
		ph_delivery_defer(w->delivery, i, "4.3.0", relay, "alias lookup: %s", error.text);
		break;
	case ALIAS_BAD_ENTRY:
		ph_log(PH_LOG_WARNING, "%s", error.text);
		ph_delivery_defer(w->delivery, i, "4.3.5", relay, "%s", error.text);
		break;
	case ALIAS_TOO_LARGE:
		ph_log(PH_LOG_WARNING, "alias expansion of %s: %s", recipient, error.text);
		ph_delivery_bounce(w->delivery, i, "5.4.6", relay, "alias expansion: %s", error.text);
		break;
	}
}

/* ---- The delivery ------------------------------------------------------------------------------ */

static void
begin_recipient(struct work *w, size_t i)
{
	const char *recipient = ph_delivery_recipient(w->delivery, i);
	const char *original = ph_delivery_original(w->delivery, i);
	const char *user;

	if (!ph_delivery_is_final(w->delivery, i)) {
		expand(w, i);
		return;
	}
	user = alias_user(ph_delivery_pool(w->delivery), recipient);
	if (user == NULL)
		ph_delivery_defer(w->delivery, i, "4.3.0", relay, "no memory");
	else
		deliver_to_user(w, i, user, recipient, *original != '\0' ? original : recipient);
}

static void
report(struct work *w, size_t i)
{
	const struct letter *letter = w->letters[i];

	if (letter->done)
		say(w, i, &letter->result);
	else
		ph_delivery_defer(w->delivery, i, "4.3.0", relay, "the delivery did not end in time");
}

static void
local_deliver(void *self, ph_delivery *delivery)
{
	struct work w = {.local = self, .delivery = delivery};
	size_t count = ph_delivery_count(delivery);
	ph_deadline deadline = rights_deadline(&w.local->rights);

	w.letters = ph_pool_array(ph_delivery_pool(delivery), count, sizeof(*w.letters));
	for (size_t i = 0; i < count; i++) {
		if (w.letters != NULL)
			begin_recipient(&w, i);
		else
			ph_delivery_defer(delivery, i, "4.3.0", relay, "no memory");
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

/* ---- Life -------------------------------------------------------------------------------------- */

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

	return batches_start(local->state->batches) == 0 ? 0 : ph_error_set(error, "no task is left");
}

static void
local_stop(void *self)
{
	const struct local *local = self;

	batches_stop(local->state->batches);
}

PH_MODULE(transport_local, "1.0", "delivery on this host: aliases and mailboxes",
	PH_TRANSPORT(.flags = PH_TRANSPORT_LOCAL | PH_TRANSPORT_PROBES, .deliver = local_deliver,
		.deliver_as_user = local_deliver_as_user),
	PH_INSTANCE(struct local, params),
	PH_LIFE(.open = local_open, .start = local_start, .stop = local_stop, .close = local_close));
