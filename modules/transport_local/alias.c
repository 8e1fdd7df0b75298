#include "alias.h"

#include <string.h>

#include <posthouse/address.h>

#include "set.h"
#include "targets.h"

/* A name on its way. */
struct node {
	const char *address;
	const char *user;     /* NULL: not ours */
	const char *sender;   /* the owner of the alias that named it; "" */
	enum ph_target_kind kind; /* PH_TARGET_ADDRESS: to be looked up */
	bool included;
	unsigned depth;
	struct node *parent;  /* whose alias named it */
	struct node *next;
};

/* A text with targets: the value of an alias, or a file. */
struct list {
	const char *name;     /* for errors: "alias x", "file x" */
	ph_span text;
	enum target_syntax syntax;
	const char *sender;
	const char *extension; /* for its targets; "" */
	bool pattern;         /* pieces of an address that came in may be in it */
};

struct walk {
	const struct alias_source *source;
	ph_pool *pool;
	struct alias_expansion *out;
	const char *address;    /* which is expanded */
	const char *own_domain; /* its domain, which was found to be local before */
	size_t results_room;
	size_t nodes, includes;
	struct set seen_results, seen_programs, seen_names;
	ph_error *error;
};

/* ---- Names ----------------------------------------------------------------------------------- */

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
alias_base(ph_pool *pool, const char *user, const char *delimiters, bool owner_special)
{
	size_t n = strcspn(user, delimiters);

	if (n == 0 || user[n] == '\0' || strcmp(user, "mailer-daemon") == 0 ||
		strcmp(user, "double-bounce") == 0)
		return user;
	if (owner_special && strchr(delimiters, '-') != NULL &&
		(strncmp(user, "owner-", 6) == 0 || ends_with(user, "-request")))
		return user;
	return ph_pool_copy(pool, (ph_span){user, n});
}

const char *
alias_extend(ph_pool *pool, const char *address, const char *extension)
{
	ph_span local = ph_address_local_part(address);
	size_t size = strlen(extension);

	if (size == 0 || *address == '"' || extension[size - 1] == '.' ||
		strstr(extension, "..") != NULL)
		return address;
	for (const char *c = extension; *c != '\0'; c++)
		if ((unsigned char)*c <= ' ' || *c == 127 || strchr("\"\\,:;<>()@[]", *c) != NULL)
			return address;
	return ph_pool_printf(pool, "%.*s%s%s", (int)local.size, local.data, extension,
		address + local.size);
}

/* ---- The walk -------------------------------------------------------------------------------- */

static enum alias_outcome
no_memory(struct walk *w)
{
	ph_error_set(w->error, "no memory");
	return ALIAS_LATER;
}

static enum alias_outcome
make_room(struct walk *w)
{
	struct alias_expansion *out = w->out;
	size_t room = w->results_room > 0 ? w->results_room * 4 : 4;
	struct alias_result *more;

	if (out->count == ALIAS_MAX_RESULTS) {
		ph_error_set(w->error, "more than %d addresses", ALIAS_MAX_RESULTS);
		return ALIAS_TOO_LARGE;
	}
	if (out->count < w->results_room)
		return ALIAS_DONE;
	if ((more = ph_pool_array(w->pool, room, sizeof(*more))) == NULL)
		return no_memory(w);
	if (out->count > 0)
		memcpy(more, out->results, out->count * sizeof(*more));
	out->results = more;
	w->results_room = room;
	return ALIAS_DONE;
}

/* key: what makes it the same as another one. */
static enum alias_outcome
keep(struct walk *w, struct set *seen, const char *key, const struct alias_result *result)
{
	enum alias_outcome outcome;
	int is_new;

	if (*result->sender != '\0')
		key = ph_pool_printf(w->pool, "%s\n%s", key != NULL ? key : "", result->sender);
	is_new = key != NULL ? set_add(seen, w->pool, key) : -1;
	if (is_new == -1)
		return no_memory(w);
	if (is_new == 0)
		return ALIAS_DONE;
	if ((outcome = make_room(w)) == ALIAS_DONE)
		w->out->results[w->out->count++] = *result;
	return outcome;
}

/* The mailbox of a user who gets the message anyway is not another one. */
static enum alias_outcome
add_result(struct walk *w, const struct node *node)
{
	struct alias_result result = {.address = node->address, .what = "", .sender = node->sender,
		.included = node->included};

	if (node->kind == PH_TARGET_MAILBOX)
		result.kind = PH_TARGET_MAILBOX;
	else
		result.kind = node->user == NULL || *node->sender != '\0' ? PH_TARGET_FORWARD
			: PH_TARGET_USER;
	result.user = result.kind != PH_TARGET_FORWARD ? node->user : NULL;
	return keep(w, &w->seen_results, node->address, &result);
}

/* A command or a file: nobody from outside can write it, or a piece of it. */
static enum alias_outcome
add_program(struct walk *w, const struct list *list, const struct target *target)
{
	bool command = target->kind == TARGET_COMMAND;
	struct alias_result result = {.kind = command ? PH_TARGET_COMMAND : PH_TARGET_FILE,
		.address = w->address, .what = target->text, .sender = list->sender,
		.included = list->syntax == TARGET_LINES};

	if (list->pattern) {
		ph_error_set(w->error, "%s: a table of patterns may not name %s (%s)", list->name,
			command ? "a command" : "a file", target->text);
		return ALIAS_BAD_ENTRY;
	}
	if (*target->text == '~') {
		ph_error_set(w->error, "%s: \"~\" is nobody's home here (%s)", list->name,
			target->text);
		return ALIAS_BAD_ENTRY;
	}
	return keep(w, &w->seen_programs,
		ph_pool_printf(w->pool, "%c%s", command ? '|' : ' ', target->text), &result);
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

static enum alias_outcome push_list(struct walk *w, struct node *parent, const struct list *list,
	struct node ***at);

static enum alias_outcome
push_include(struct walk *w, struct node *parent, const struct list *from, const char *path,
	struct node ***at)
{
	struct list list = {.syntax = TARGET_LINES, .sender = from->sender,
		.extension = w->source->propagate_included ? from->extension : ""};
	const char *name = ph_pool_printf(w->pool, ":include:%s", path);
	int is_new;

	if (from->pattern || *path != '/') {
		ph_error_set(w->error, from->pattern ?
			"%s: a table of patterns may not name a file to include (%s)" :
			"%s: the file to include is no absolute path (%s)", from->name, path);
		return ALIAS_BAD_ENTRY;
	}
	if (name == NULL || (is_new = set_add(&w->seen_names, w->pool, name)) == -1)
		return no_memory(w);
	if (is_new == 0)
		return ALIAS_DONE;
	if (parent->depth > ALIAS_MAX_DEPTH || ++w->includes > ALIAS_MAX_DEPTH) {
		ph_error_set(w->error, "more than %d files to include", ALIAS_MAX_DEPTH);
		return ALIAS_TOO_LARGE;
	}
	switch (w->source->include(w->source->context, w->pool, path, &list.text, w->error)) {
	case PH_FAILED:
		return ALIAS_LATER;
	case PH_NOT_FOUND:
		return ALIAS_BAD_ENTRY;
	case PH_FOUND:
		break;
	}
	list.name = name;
	return push_list(w, parent, &list, at);
}

static enum alias_outcome
push_name(struct walk *w, struct node *parent, const struct list *list, const struct target *target,
	struct node ***at)
{
	struct node *node = ph_pool_alloc(w->pool, sizeof(*node));
	const char *address = alias_extend(w->pool, target->text, list->extension);
	enum alias_outcome outcome;

	if (node == NULL || address == NULL)
		return no_memory(w);
	*node = (struct node){.depth = parent->depth + 1, .parent = parent, .next = **at,
		.sender = list->sender, .included = list->syntax == TARGET_LINES,
		.kind = target->kind == TARGET_USER ? PH_TARGET_MAILBOX : PH_TARGET_ADDRESS};
	if ((outcome = place(w, node, address)) != ALIAS_DONE)
		return outcome;
	/* "\\user" of another host is theirs */
	if (node->user == NULL)
		node->kind = PH_TARGET_ADDRESS;
	**at = node;
	*at = &node->next;
	return ALIAS_DONE;
}

/* The targets of a list, in order, in front of what still waits. */
static enum alias_outcome
push_list(struct walk *w, struct node *parent, const struct list *list, struct node ***at)
{
	ph_span rest = list->text;
	enum alias_outcome outcome = ALIAS_DONE;
	struct target target;
	ph_error why = {""};
	int more = 1;

	while (outcome == ALIAS_DONE &&
		(more = targets_next(w->pool, &rest, list->syntax, &target, &why)) == 1) {
		if (target.kind == TARGET_NOWHERE)
			w->out->nowhere = true;
		else if (target.kind == TARGET_INCLUDE)
			outcome = push_include(w, parent, list, target.text, at);
		else if (target.kind == TARGET_ADDRESS || target.kind == TARGET_USER)
			outcome = push_name(w, parent, list, &target, at);
		else
			outcome = add_program(w, list, &target);
	}
	if (more == -1) {
		ph_error_set(w->error, "%s: %s", list->name, why.text);
		return ALIAS_BAD_ENTRY;
	}
	return outcome;
}

/* The whole name first, then the name without its extension. Fills the list's name, text and
 * extension. */
static ph_found
find(struct walk *w, const char *user, const char **key, struct list *list)
{
	const struct alias_source *source = w->source;
	const char *value = "";
	ph_found found = source->find(source->context, w->pool, user, &value, &list->pattern,
		w->error);

	*key = user;
	if (found == PH_NOT_FOUND) {
		*key = alias_base(w->pool, user, source->delimiters, source->owner_special);
		if (*key != NULL && strcmp(*key, user) != 0)
			found = source->find(source->context, w->pool, *key, &value, &list->pattern,
				w->error);
		if (found == PH_FOUND && source->propagate)
			list->extension = user + strlen(*key);
	}
	if (*key == NULL || (list->name = ph_pool_printf(w->pool, "alias %s", *key)) == NULL) {
		no_memory(w);
		return PH_FAILED;
	}
	list->text = ph_span_of(value);
	return found;
}

/* The first address in the value of owner-NAME. */
static const char *
first_address(struct walk *w, const char *value)
{
	ph_span rest = ph_span_of(value);
	struct target target;
	ph_error why = {""};

	while (targets_next(w->pool, &rest, TARGET_VALUE, &target, &why) == 1)
		if (target.kind == TARGET_ADDRESS || target.kind == TARGET_USER)
			return target.text;
	return NULL;
}

/* The sender of what goes to the alias: its owner, where there is one; *sender else. */
static enum alias_outcome
find_owner(struct walk *w, const char *key, const char **sender)
{
	const struct alias_source *source = w->source;
	char *owner = ph_pool_printf(w->pool, "owner-%s", key);
	const char *value, *address = NULL;
	bool pattern = false;
	ph_found found;

	if (!source->owners || strncmp(key, "owner-", 6) == 0 ||
		key[strcspn(key, " \t\"\\,:;<>()@[]")] != '\0')
		return ALIAS_DONE;
	if (owner == NULL)
		return no_memory(w);
	found = source->find(source->context, w->pool, owner, &value, &pattern, w->error);
	if (found == PH_FAILED)
		return ALIAS_LATER;
	if (found == PH_NOT_FOUND)
		return ALIAS_DONE;
	if (source->expand_owner && !pattern)
		address = first_address(w, value);
	if (address == NULL)
		address = owner;
	*sender = *ph_address_domain(address) != '\0' ? address :
		ph_pool_printf(w->pool, "%s@%s", address, source->origin);
	return *sender != NULL ? ALIAS_DONE : no_memory(w);
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
	struct list root = {.name = "alias postmaster", .text = ph_span_of("root"),
		.sender = node->sender, .extension = ""};

	if (strcmp(node->user, "postmaster") == 0 && ancestor(node, "root") == NULL)
		return push_list(w, node, &root, &pending);
	if (is_postmaster(node)) {
		w->out->postmaster = true;
		return ALIAS_DONE;
	}
	node->kind = PH_TARGET_USER;
	return add_result(w, node);
}

static enum alias_outcome
look_up(struct walk *w, struct node *node, struct node **pending)
{
	const struct node *same = ancestor(node, node->user);
	struct list list = {.sender = node->sender, .extension = ""};
	enum alias_outcome outcome;
	const char *key;
	int is_new;

	if (same != NULL && same == node->parent) {
		/* "joe: joe, joe@elsewhere": a new message to joe would bring all of that again */
		node->kind = *node->sender != '\0' ? PH_TARGET_MAILBOX : PH_TARGET_USER;
		return add_result(w, node);
	}
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
	switch (find(w, node->user, &key, &list)) {
	case PH_FAILED:
		return ALIAS_LATER;
	case PH_NOT_FOUND:
		return without_alias(w, node, pending);
	case PH_FOUND:
		break;
	}
	if ((outcome = find_owner(w, key, &list.sender)) != ALIAS_DONE)
		return outcome;
	return push_list(w, node, &list, &pending);
}

enum alias_outcome
alias_expand(const struct alias_source *source, ph_pool *pool, const char *address,
	struct alias_expansion *expansion, ph_error *error)
{
	struct walk w = {.source = source, .pool = pool, .out = expansion,
		.address = address, .own_domain = ph_address_domain(address), .error = error};
	struct node *pending = ph_pool_alloc(pool, sizeof(*pending));
	enum alias_outcome outcome = ALIAS_DONE;

	*expansion = (struct alias_expansion){0};
	w.seen_programs.exact = true;
	if (pending == NULL)
		return no_memory(&w);
	pending->sender = "";
	if (*w.own_domain == '\0')
		w.own_domain = source->origin;
	outcome = place(&w, pending, address);
	while (pending != NULL && outcome == ALIAS_DONE) {
		struct node *node = pending;

		pending = node->next;
		if (++w.nodes > ALIAS_MAX_NAMES) {
			ph_error_set(error, "more than %d names to look up", ALIAS_MAX_NAMES);
			return ALIAS_TOO_LARGE;
		}
		outcome = node->user == NULL || node->kind != PH_TARGET_ADDRESS ? add_result(&w, node) :
			look_up(&w, node, &pending);
	}
	return outcome;
}
