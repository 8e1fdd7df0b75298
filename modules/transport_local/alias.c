#include "alias.h"

#include <string.h>

#include <posthouse/address.h>

#include "targets.h"

/* A name on its way. */
struct node {
	const char *address;
	const char *user;     /* NULL: not ours */
	bool is_user;         /* not to be looked up */
	unsigned depth;
	struct node *parent;  /* whose alias named it */
	struct node *next;
};

struct set {
	const char **slots;
	size_t room, count;
};

struct walk {
	const struct alias_source *source;
	ph_pool *pool;
	struct alias_expansion *out;
	const char *own_domain; /* that of the address, which was found to be local before */
	size_t results_room;
	size_t nodes;
	struct set seen_results, seen_names;
	ph_error *error;
};

/* ---- A set of strings, letters without case ---------------------------------------------------- */

static size_t
hash_of(const char *text)
{
	size_t hash = 5381;

	for (; *text != '\0'; text++) {
		char c = *text >= 'A' && *text <= 'Z' ? (char)(*text + 'a' - 'A') : *text;

		hash = hash * 33 ^ (unsigned char)c;
	}
	return hash ^ hash >> 15;
}

static const char **
set_slot(const struct set *set, const char *text)
{
	size_t slot = hash_of(text) & (set->room - 1);

	while (set->slots[slot] != NULL && ph_strcasecmp(set->slots[slot], text) != 0)
		slot = (slot + 1) & (set->room - 1);
	return &set->slots[slot];
}

/* 1: it is new; 0: it was there; -1: no memory. */
static int
set_add(struct set *set, ph_pool *pool, const char *text)
{
	const char **slot;

	if (set->count * 2 >= set->room) {
		struct set larger = {.room = set->room > 0 ? set->room * 4 : 16, .count = set->count};

		larger.slots = ph_pool_array(pool, larger.room, sizeof(*larger.slots));
		if (larger.slots == NULL)
			return -1;
		for (size_t i = 0; i < set->room; i++)
			if (set->slots[i] != NULL)
				*set_slot(&larger, set->slots[i]) = set->slots[i];
		*set = larger;
	}
	slot = set_slot(set, text);
	if (*slot != NULL)
		return 0;
	*slot = text;
	set->count++;
	return 1;
}

/* ---- Names ------------------------------------------------------------------------------------- */

const char *
alias_user(ph_pool *pool, const char *address)
{
	const char *unquoted = ph_address_unquoted(pool, address);
	char *user = unquoted != NULL ? ph_pool_strdup(pool, unquoted) : NULL;

	for (char *c = user; c != NULL && *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c += 'a' - 'A';
	return user;
}

static bool
ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n > m && strcmp(text + n - m, end) == 0;
}

const char *
alias_base(ph_pool *pool, const char *user, const char *delimiters)
{
	size_t n = strcspn(user, delimiters);

	if (n == 0 || user[n] == '\0' || strcmp(user, "mailer-daemon") == 0 ||
		strcmp(user, "double-bounce") == 0)
		return user;
	if (strchr(delimiters, '-') != NULL &&
		(strncmp(user, "owner-", 6) == 0 || ends_with(user, "-request")))
		return user;
	return ph_pool_copy(pool, (ph_span){user, n});
}

/* ---- The walk ---------------------------------------------------------------------------------- */

static enum alias_outcome
no_memory(struct walk *w)
{
	ph_error_set(w->error, "no memory");
	return ALIAS_LATER;
}

static enum alias_outcome
add_result(struct walk *w, const struct node *node)
{
	struct alias_expansion *out = w->out;
	int is_new = set_add(&w->seen_results, w->pool, node->address);

	if (is_new == -1)
		return no_memory(w);
	if (is_new == 0)
		return ALIAS_DONE;
	if (out->count == ALIAS_MAX_RESULTS) {
		ph_error_set(w->error, "more than %d addresses", ALIAS_MAX_RESULTS);
		return ALIAS_TOO_LARGE;
	}
	if (out->count == w->results_room) {
		size_t room = w->results_room > 0 ? w->results_room * 4 : 4;
		struct alias_result *more = ph_pool_array(w->pool, room, sizeof(*more));

		if (more == NULL)
			return no_memory(w);
		if (out->count > 0)
			memcpy(more, out->results, out->count * sizeof(*more));
		out->results = more;
		w->results_room = room;
	}
	out->results[out->count++] = (struct alias_result){node->address, node->user};
	return ALIAS_DONE;
}

/* Completes the address and finds out whose it is. */
static enum alias_outcome
place(struct walk *w, struct node *node, const char *address)
{
	const char *domain = ph_address_domain(address);
	ph_found local = PH_FOUND;

	node->address = address;
	if (*domain == '\0') {
		domain = w->source->origin;
		node->address = ph_pool_printf(w->pool, "%s@%s", address, domain);
		if (node->address == NULL)
			return no_memory(w);
	}
	if (ph_strcasecmp(domain, w->own_domain) != 0)
		local = w->source->is_local(w->source->context, domain, w->error);
	if (local == PH_FAILED)
		return ALIAS_LATER;
	if (local == PH_FOUND && (node->user = alias_user(w->pool, node->address)) == NULL)
		return no_memory(w);
	return ALIAS_DONE;
}

static enum alias_outcome
bad_target(struct walk *w, const char *key, const struct target *target)
{
	static const char *const what[] = {
		[TARGET_FILE] = "a file", [TARGET_COMMAND] = "a command", [TARGET_INCLUDE] = "an include file",
	};

	ph_error_set(w->error, "alias %s: %s (%s): not supported yet", key, what[target->kind],
		target->text);
	return ALIAS_BAD_ENTRY;
}

/* The targets of an alias, in order, in front of what still waits. */
static enum alias_outcome
push_targets(struct walk *w, struct node *parent, const char *key, const char *value,
	struct node **pending)
{
	ph_span rest = ph_span_of(value);
	struct node **at = pending;
	struct target target;
	ph_error why = {""};
	int more;

	while ((more = targets_next(w->pool, &rest, &target, &why)) == 1) {
		struct node *node = ph_pool_alloc(w->pool, sizeof(*node));
		enum alias_outcome outcome;

		if (node == NULL)
			return no_memory(w);
		if (target.kind == TARGET_NOWHERE) {
			w->out->nowhere = true;
			continue;
		}
		if (target.kind != TARGET_ADDRESS && target.kind != TARGET_USER)
			return bad_target(w, key, &target);
		*node = (struct node){.is_user = target.kind == TARGET_USER, .depth = parent->depth + 1,
			.parent = parent, .next = *at};
		if ((outcome = place(w, node, target.text)) != ALIAS_DONE)
			return outcome;
		*at = node;
		at = &node->next;
	}
	if (more == -1) {
		ph_error_set(w->error, "alias %s: %s", key, why.text);
		return ALIAS_BAD_ENTRY;
	}
	return ALIAS_DONE;
}

/* The whole name first, then the name without its extension. */
static ph_found
find(struct walk *w, const char *user, const char **key, const char **value)
{
	ph_found found = w->source->find(w->source->context, w->pool, user, value, w->error);

	*key = user;
	if (found != PH_NOT_FOUND)
		return found;
	*key = alias_base(w->pool, user, w->source->delimiters);
	if (*key == NULL) {
		no_memory(w);
		return PH_FAILED;
	}
	return strcmp(*key, user) != 0 ?
		w->source->find(w->source->context, w->pool, *key, value, w->error) : PH_NOT_FOUND;
}

/* The nearest bearer of that name above the node; NULL: none. */
static const struct node *
ancestor(const struct node *node, const char *name)
{
	for (const struct node *n = node->parent; n != NULL; n = n->parent)
		if (n->user != NULL && strcmp(n->user, name) == 0)
			return n;
	return NULL;
}

/* postmaster, or root on the way from there. */
static bool
is_postmaster(const struct node *node)
{
	return strcmp(node->user, "postmaster") == 0 ||
		(strcmp(node->user, "root") == 0 && ancestor(node, "postmaster") != NULL);
}

/* RFC 5321, 4.5.1: postmaster is always there. */
static enum alias_outcome
without_alias(struct walk *w, struct node *node, struct node **pending)
{
	if (strcmp(node->user, "postmaster") == 0 && ancestor(node, "root") == NULL)
		return push_targets(w, node, node->user, "root", pending);
	if (is_postmaster(node)) {
		w->out->postmaster = true;
		return ALIAS_DONE;
	}
	return add_result(w, node);
}

static enum alias_outcome
look_up(struct walk *w, struct node *node, struct node **pending)
{
	const struct node *same = ancestor(node, node->user);
	const char *key, *value;
	int is_new;

	if (same != NULL && same == node->parent)
		return add_result(w, node); /* "joe: joe, joe@elsewhere" */
	if (same != NULL && is_postmaster(node)) {
		w->out->postmaster = true;
		return ALIAS_DONE;
	}
	if (same != NULL) {
		w->out->loop = node->user;
		return ALIAS_DONE;
	}
	if (node->depth > ALIAS_MAX_DEPTH) {
		ph_error_set(w->error, "aliases are nested more than %d deep", ALIAS_MAX_DEPTH);
		return ALIAS_TOO_LARGE;
	}
	is_new = set_add(&w->seen_names, w->pool, node->user);
	if (is_new == 0)
		return ALIAS_DONE;
	if (is_new == -1)
		return no_memory(w);
	switch (find(w, node->user, &key, &value)) {
	case PH_FAILED:
		return ALIAS_LATER;
	case PH_NOT_FOUND:
		return without_alias(w, node, pending);
	case PH_FOUND:
		break;
	}
	return push_targets(w, node, key, value, pending);
}

enum alias_outcome
alias_expand(const struct alias_source *source, ph_pool *pool, const char *address,
	struct alias_expansion *expansion, ph_error *error)
{
	struct walk w = {.source = source, .pool = pool, .out = expansion,
		.own_domain = ph_address_domain(address), .error = error};
	struct node *pending = ph_pool_alloc(pool, sizeof(*pending));
	enum alias_outcome outcome = ALIAS_DONE;

	*expansion = (struct alias_expansion){0};
	if (pending == NULL)
		return no_memory(&w);
	if (*w.own_domain == '\0')
		w.own_domain = source->origin;
	outcome = place(&w, pending, address);
	while (pending != NULL && outcome == ALIAS_DONE) {
		struct node *node = pending;

		pending = node->next;
		if (++w.nodes > 4 * ALIAS_MAX_RESULTS) {
			ph_error_set(error, "more than %d names to look up", 4 * ALIAS_MAX_RESULTS);
			return ALIAS_TOO_LARGE;
		}
		outcome = node->user == NULL || node->is_user ? add_result(&w, node) :
			look_up(&w, node, &pending);
	}
	return outcome;
}
