/* What mail for one user, one command, one file comes to; the order is that of local(8). */
#include "deliver.h"

#include <string.h>

#include <posthouse/address.h>
#include <posthouse/log.h>

#include "alias.h"
#include "forward.h"
#include "rights.h"

/* ---- Another transport ----------------------------------------------------------------------- */

/* The address stays what it is; "transport:nexthop" says where it goes. */
static void
pass_on(struct work *w, const struct addressee *to, const char *route)
{
	struct ph_target target = {.size = sizeof(target), .kind = PH_TARGET_TRANSPORT,
		.address = to->address, .what = route, .sender = to->sender};

	ph_delivery_expand_to(w->delivery, to->index, &target, 1);
}

/* Routes by name, and one for all others. */
struct routes {
	const ph_map *maps;
	const char *parameter, *otherwise;
};

/* Is there a route for that name? PH_FAILED: it was put off. */
static ph_found
find_route(struct work *w, const struct addressee *to, const char *name,
	const struct routes *routes, const char **route)
{
	ph_error error = {""};
	ph_found found = PH_NOT_FOUND;

	if (to->passes && !ph_map_is_empty(routes->maps))
		found = ph_map_lookup(w->pool, routes->maps, name, route, &error);
	if (found == PH_FAILED)
		ph_delivery_defer(w->delivery, to->index, "4.3.0", local_relay,
			"transport lookup of \"%s\": %s", name, error.text);
	if (found != PH_NOT_FOUND)
		return found;
	*route = routes->otherwise;
	if (!to->passes || *routes->otherwise == '\0')
		return PH_NOT_FOUND;
	ph_delivery_tell(w->delivery, "%s is %s", routes->parameter, routes->otherwise);
	return PH_FOUND;
}

/* ---- Nobody ---------------------------------------------------------------------------------- */

/* The address of luser_relay for this name. NULL with the error. */
static const char *
relay_address(struct work *w, const struct addressee *to, ph_error *error)
{
	const char *origin = ph_global("myorigin"), *text, *address;
	struct forward_names names;
	ph_span rest;

	if (forward_names(w, to, NULL, &names) == -1) {
		ph_error_set(error, "no memory");
		return NULL;
	}
	text = ph_macros_expand(w->pool, w->local->luser_relay, NULL, forward_name, &names, error);
	/* "@domain" is the same name there */
	if (text != NULL && *text == '@')
		text = ph_pool_printf(w->pool, "%s%s", names.local, text);
	if (text == NULL || ph_path_parse(w->pool, ph_span_of(text), PH_PATH_UTF8, &address, &rest,
		error) == -1)
		return NULL;
	if (rest.size > 0 || *address == '\0') {
		ph_error_set(error, "\"%s\" is not an address", text);
		return NULL;
	}
	return *ph_address_domain(address) != '\0' ? address :
		ph_pool_printf(w->pool, "%s@%s", address, origin);
}

static void
relay_user(struct work *w, const struct addressee *to)
{
	ph_error error = {"no memory"};
	const char *address = relay_address(w, to, &error);
	struct ph_target target = {.size = sizeof(target), .address = address,
		.sender = to->sender};

	if (address == NULL) {
		ph_log(PH_LOG_WARNING, "luser_relay for %s: %s", to->recipient, error.text);
		ph_delivery_defer(w->delivery, to->index, "4.3.5", local_relay, "luser_relay: %s",
			error.text);
	} else if (forward_place(w, to, &target) == 0) {
		ph_delivery_tell(w->delivery, "luser_relay is %s", w->local->luser_relay);
		ph_delivery_expand_to(w->delivery, to->index, &target, 1);
	}
}

/* With mailbox_transport the other transport knows who is there. */
static void
nobody(struct work *w, const struct addressee *to)
{
	const struct local *local = w->local;
	const struct routes mailbox = {local->mailbox_transport_maps, "mailbox_transport",
		local->mailbox_transport};
	const struct routes fallback = {local->fallback_transport_maps, "fallback_transport",
		local->fallback_transport};
	const char *route, *name = alias_base(w->pool, to->user, ph_global("recipient_delimiter"),
		local->owner_request_special);
	ph_found found;

	if (name == NULL)
		name = to->user;
	found = find_route(w, to, name, &mailbox, &route);
	if (found == PH_NOT_FOUND)
		found = find_route(w, to, name, &fallback, &route);
	if (found == PH_FAILED)
		return;
	if (found == PH_FOUND)
		pass_on(w, to, route);
	else if (to->passes && *local->luser_relay != '\0')
		relay_user(w, to);
	else
		ph_delivery_bounce(w->delivery, to->index, "5.1.1", local_relay,
			"unknown user: \"%s\"", to->user);
}

/* ---- Somebody -------------------------------------------------------------------------------- */

static void
fill_dispatch(struct work *w, const struct addressee *to, const char *user,
	struct dispatch *dispatch)
{
	const char *delimiters = ph_global("recipient_delimiter");
	const char *extension = to->user + strcspn(to->user, *delimiters != '\0' ? delimiters : "");

	*dispatch = (struct dispatch){.delivery = w->delivery, .user = user, .sender = to->sender,
		.recipient = to->recipient, .address = to->address, .original = to->original,
		.extension = user != NULL && *extension != '\0' && strcmp(user, to->user) != 0 ?
			extension + 1 : "",
		.fd = w->fd, .offset = w->offset, .length = w->length};
}

static void
rehearse_mailbox(struct work *w, const struct addressee *to, const struct user *user)
{
	ph_error error = {"no memory"};
	const char *text = rights_mailbox_text(w->pool, &w->local->rights, user, &error);

	if (text != NULL)
		ph_delivery_sent(w->delivery, to->index, "2.0.0", local_relay, "%s", text);
	else
		ph_delivery_defer(w->delivery, to->index, "4.3.0", local_relay, "%s", error.text);
}

static void
deliver_to_mailbox(struct work *w, const struct addressee *to, const struct user *user)
{
	struct ph_user_result *why;
	struct dispatch dispatch;

	if (local_hides(w)) {
		ph_delivery_sent(w->delivery, to->index, "2.0.0", local_relay,
			"delivers to mailbox");
		return;
	}
	if (ph_delivery_is_rehearsal(w->delivery)) {
		rehearse_mailbox(w, to, user);
		return;
	}
	if ((why = local_prepare(w, to->index)) == NULL)
		return;
	fill_dispatch(w, to, user->name, &dispatch);
	w->letters[to->index] = rights_mailbox(w->local->state->batches, &w->local->rights,
		&dispatch, why);
	if (w->letters[to->index] == NULL)
		local_say(w, to->index, why);
}

static void
somebody(struct work *w, const struct addressee *to, const struct user *user)
{
	const struct local *local = w->local;
	const struct routes routes = {local->mailbox_transport_maps, "mailbox_transport",
		local->mailbox_transport};
	const char *route;

	if (user->uid == 0) {
		ph_delivery_defer(w->delivery, to->index, "4.3.5", local_relay,
			"mail is not delivered with "
			"root's rights: add an alias for \"%s\" that names an ordinary user", user->name);
		return;
	}
	if (!local_hides(w) && forward(w, to, user))
		return;
	switch (find_route(w, to, user->name, &routes, &route)) {
	case PH_FAILED:
		break;
	case PH_FOUND:
		pass_on(w, to, route);
		break;
	case PH_NOT_FOUND:
		deliver_to_mailbox(w, to, user);
		break;
	}
}

/* With its extension, then without. */
static ph_found
find_user(struct work *w, const char *name, struct user *user, ph_error *error)
{
	struct users *users = w->local->state->users;
	ph_found found = users_find(users, w->pool, name, user, error);
	const char *base;

	if (found != PH_NOT_FOUND)
		return found;
	base = alias_base(w->pool, name, ph_global("recipient_delimiter"),
		w->local->owner_request_special);
	if (base == NULL || strcmp(base, name) == 0)
		return PH_NOT_FOUND;
	return users_find(users, w->pool, base, user, error);
}

void
deliver_to_user(struct work *w, const struct addressee *to)
{
	ph_error error = {""};
	struct user user;

	switch (find_user(w, to->user, &user, &error)) {
	case PH_FAILED:
		ph_delivery_defer(w->delivery, to->index, "4.3.0", local_relay,
			"user lookup of \"%s\": %s", to->user, error.text);
		break;
	case PH_NOT_FOUND:
		nobody(w, to);
		break;
	case PH_FOUND:
		somebody(w, to, &user);
		break;
	}
}

void
deliver_to_owner(struct work *w, const struct addressee *to)
{
	struct state *state = w->local->state;
	struct addressee owner = *to;
	char name[USER_NAME_SIZE];
	ph_error error = {""};

	if (users_self(name, &error) != PH_FOUND) {
		ph_delivery_defer(w->delivery, to->index, "4.3.5", local_relay,
			"no alias for postmaster or root%s%s", *error.text != '\0' ? ": " : "", error.text);
		return;
	}
	if (!state->warned_of_postmaster)
		ph_log(PH_LOG_WARNING,
			"no alias for postmaster or root: mail for postmaster goes to the "
			"mailbox of \"%s\"", name);
	state->warned_of_postmaster = true;
	owner.user = name;
	owner.passes = false;
	deliver_to_user(w, &owner);
}

/* ---- Commands and files ---------------------------------------------------------------------- */

void
deliver_to_program(struct work *w, size_t i, const struct ph_target *target)
{
	bool command = target->kind == PH_TARGET_COMMAND;
	const char *original = ph_delivery_original(w->delivery, i);
	const char *name = ph_pool_copy(w->pool, ph_address_local_part(target->address));
	const struct addressee to = {.index = i, .user = name != NULL ? name : "",
		.address = target->address,
		.recipient = target->address, .sender = target->sender,
		.original = *original != '\0' ? original : target->address};
	struct ph_user_result *why;
	struct dispatch dispatch;

	if (*target->what == '\0') {
		ph_delivery_bounce(w->delivery, i, "5.7.1", local_relay, "mail to %s is restricted",
			command ? "command" : "file");
		return;
	}
	if (ph_delivery_is_rehearsal(w->delivery)) {
		ph_delivery_sent(w->delivery, i, "2.0.0", local_relay,
			"delivers to %s with the rights of %s",
			command ? "command" : "file", *target->user != '\0' ? target->user :
			ph_global("default_privs"));
		return;
	}
	if ((why = local_prepare(w, i)) == NULL)
		return;
	fill_dispatch(w, &to, *target->user != '\0' ? target->user : NULL, &dispatch);
	w->letters[i] = command ?
		rights_command(w->local->state->batches, &w->local->rights, &dispatch, target->what,
		why) : rights_file(w->local->state->batches, &dispatch, target->what, why);
	if (w->letters[i] == NULL)
		local_say(w, i, why);
}
