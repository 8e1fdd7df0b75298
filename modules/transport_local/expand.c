#include "expand.h"

#include <string.h>

#include <posthouse/address.h>
#include <posthouse/log.h>

#include "alias.h"
#include "deliver.h"
#include "rights.h"

/* ---- The tables ------------------------------------------------------------------------------ */

/* Only letters, digits and what else an atom may hold are put into patterns: what a pattern makes
 * of a key is an address, and must not become two. */
static bool
is_plain(const char *key)
{
	return key[strcspn(key, " \t\r\n\"\\,:;<>()@[]|")] == '\0';
}

/* What only patterns find may hold pieces of the key. */
static ph_found
find_alias(void *context, ph_pool *pool, const char *key, const char **value, bool *pattern,
	ph_error *error)
{
	const struct work *w = context;
	const ph_map *maps = w->local->alias_maps;
	const char *fixed;
	ph_found found;

	if (!is_plain(key))
		return ph_map_lookup_fixed(pool, maps, key, value, error);
	found = ph_map_lookup(pool, maps, key, value, error);
	if (found != PH_FOUND)
		return found;
	found = ph_map_lookup_fixed(pool, maps, key, &fixed, error);
	*pattern = found == PH_NOT_FOUND || (found == PH_FOUND && strcmp(*value, fixed) != 0);
	return found == PH_FAILED ? PH_FAILED : PH_FOUND;
}

static ph_found
read_include(void *context, ph_pool *pool, const char *path, ph_span *text, ph_error *error)
{
	struct work *w = context;

	switch (rights_include(w->local, pool, NULL, path, text, error)) {
	case FILE_TEXT:
		local_tell_text(w, "include", path, *text);
		return PH_FOUND;
	case FILE_ABSENT:
		ph_error_set(error, "there is no file %s to include", path);
		return PH_NOT_FOUND;
	case FILE_REFUSED:
		return PH_NOT_FOUND;
	case FILE_LATER:
		break;
	}
	return PH_FAILED;
}

static ph_found
is_local(void *context, const char *domain, ph_error *error)
{
	const struct work *w = context;

	return local_is_domain(w->local, domain, error);
}

/* ---- What comes of it ------------------------------------------------------------------------ */

/* The names behind an alias are not for the eyes of an SMTP client. */
static void
answer_probe(struct work *w, size_t i, const struct alias_expansion *expansion)
{
	ph_delivery_sent(w->delivery, i, "2.0.0", local_relay, "aliased to %zu address%s",
		expansion->count, expansion->count == 1 ? "" : "es");
}

/* One target. A command or a file that must not be there keeps its place, and is refused in it. */
static struct ph_target
target_of(struct work *w, const struct addressee *to, const struct alias_result *result)
{
	const struct local *local = w->local;
	struct ph_target target = {.size = sizeof(target), .kind = result->kind,
		.address = result->address, .what = result->what, .sender = result->sender};
	const char *origin = result->included ? "include" : "alias";

	if (result->kind == PH_TARGET_FORWARD)
		target.what = local_allows(&local->rights.prepend_delivered_header, "forward") ? to->recipient : "";
	if ((result->kind == PH_TARGET_COMMAND &&
		!local_allows(&local->allow_mail_to_commands, origin)) ||
		(result->kind == PH_TARGET_FILE &&
		!local_allows(&local->allow_mail_to_files, origin)))
		target.what = "";
	return target;
}

static void
hand_on(struct work *w, const struct addressee *to, const struct alias_expansion *expansion)
{
	struct ph_target *list = ph_pool_array(w->pool, expansion->count, sizeof(*list));
	bool forwards = false;
	int here;

	if (list == NULL) {
		ph_delivery_defer(w->delivery, to->index, "4.3.0", local_relay, "no memory");
		return;
	}
	for (size_t k = 0; k < expansion->count; k++) {
		list[k] = target_of(w, to, &expansion->results[k]);
		forwards |= list[k].kind == PH_TARGET_FORWARD;
	}
	here = forwards ? local_was_here(w, to->index, to->recipient) : 0;
	if (here == 1)
		ph_delivery_bounce(w->delivery, to->index, "5.4.6", local_relay,
			"mail forwarding loop for %s", to->recipient);
	else if (here == 0)
		ph_delivery_expand_to(w->delivery, to->index, list, expansion->count);
}

static void
become_user(struct work *w, struct addressee *to, const struct alias_result *result)
{
	if (ph_strcasecmp(result->address, to->address) != 0)
		ph_delivery_becomes(w->delivery, to->index, result->address);
	to->address = result->address;
	to->user = result->user;
	to->forwards = result->kind == PH_TARGET_USER;
	deliver_to_user(w, to);
}

/* The headers name the address that came here, the log the mailbox as well. */
static void
follow(struct work *w, struct addressee *to, const struct alias_expansion *expansion)
{
	const struct alias_result *first = expansion->results;
	size_t i = to->index;

	if (expansion->loop != NULL && expansion->count > 0)
		ph_log(PH_LOG_WARNING, "alias database loop for %s, found on the way from %s",
			expansion->loop, to->recipient);
	if (expansion->count == 1 && first->user != NULL && *first->sender == '\0')
		become_user(w, to, first);
	else if (expansion->count > 0 && local_hides(w))
		answer_probe(w, i, expansion);
	else if (expansion->count > 0)
		hand_on(w, to, expansion);
	else if (expansion->postmaster)
		deliver_to_owner(w, to);
	else if (expansion->nowhere)
		ph_delivery_sent(w->delivery, i, "2.0.0", local_relay,
			"delivered to file: /dev/null");
	else if (expansion->loop != NULL)
		ph_delivery_bounce(w->delivery, i, "5.4.6", local_relay,
			"alias database loop for %s", expansion->loop);
	else
		ph_delivery_defer(w->delivery, i, "4.3.5", local_relay, "an alias has no targets");
}

static int
begin(struct work *w, size_t i, struct addressee *to)
{
	const char *original = ph_delivery_original(w->delivery, i);

	*to = (struct addressee){.index = i, .sender = ph_delivery_sender(w->delivery), .passes = true};
	to->recipient = to->address = ph_pool_strdup(w->pool,
		ph_delivery_recipient(w->delivery, i));
	to->original = *original != '\0' ? ph_pool_strdup(w->pool, original) : to->recipient;
	if (to->recipient != NULL && to->original != NULL)
		return 0;
	ph_delivery_defer(w->delivery, i, "4.3.0", local_relay, "no memory");
	return -1;
}

void
expand(struct work *w, size_t i)
{
	struct alias_source source = {.context = w, .find = find_alias, .include = read_include,
		.is_local = is_local, .origin = ph_global("myorigin"),
		.delimiters = ph_global("recipient_delimiter"),
		.owners = *ph_delivery_sender(w->delivery) != '\0' && !local_hides(w),
		.owner_special = w->local->owner_request_special,
		.expand_owner = w->local->expand_owner_alias,
		.propagate = w->local->state->propagate_alias,
		.propagate_included = w->local->state->propagate_include};
	struct alias_expansion expansion;
	struct addressee to;
	ph_error error = {""};

	if (begin(w, i, &to) == -1)
		return;
	switch (alias_expand(&source, w->pool, to.address, &expansion, &error)) {
	case ALIAS_DONE:
		follow(w, &to, &expansion);
		break;
	case ALIAS_LATER:
		ph_delivery_defer(w->delivery, i, "4.3.0", local_relay, "alias lookup: %s",
			error.text);
		break;
	case ALIAS_BAD_ENTRY:
		ph_log(PH_LOG_WARNING, "%s", error.text);
		ph_delivery_defer(w->delivery, i, "4.3.5", local_relay, "%s", error.text);
		break;
	case ALIAS_TOO_LARGE:
		ph_log(PH_LOG_WARNING, "alias expansion of %s: %s", to.recipient, error.text);
		ph_delivery_bounce(w->delivery, i, "5.4.6", local_relay, "alias expansion: %s",
			error.text);
		break;
	}
}
