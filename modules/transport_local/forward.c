#include "forward.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <posthouse/address.h>
#include <posthouse/log.h>

#include "alias.h"
#include "rights.h"
#include "targets.h"

enum {
	LOOK_TIME = 60000,
	PATHS_MAX = 16,
	INCLUDES_MAX = 20,
	TARGETS_MAX = 100000
};

/* ---- Names ------------------------------------------------------------------------------------- */

int
forward_names(struct work *w, const struct addressee *to, const struct user *user,
	struct forward_names *names)
{
	const char *delimiters = ph_global("recipient_delimiter");
	const char *local = ph_pool_copy(w->pool, ph_address_local_part(to->address));
	size_t n;

	*names = (struct forward_names){.home = "", .shell = "", .recipient = to->address,
		.extension = "", .delimiter = "", .domain = ph_address_domain(to->address)};
	if (local == NULL)
		return -1;
	names->local = local;
	if (user != NULL) {
		names->user = user->name;
		names->home = user->home;
		names->shell = user->shell;
	} else {
		names->user = alias_base(w->pool, local, delimiters, w->local->owner_request_special);
	}
	if (names->user == NULL)
		return -1;
	n = strlen(names->user);
	if (strlen(local) > n && strchr(delimiters, local[n]) != NULL &&
		ph_span_equal_nocase((ph_span){local, n}, (ph_span){names->user, n})) {
		/* it must not lead out of a folder */
		names->extension = strchr(local + n, '/') == NULL ? local + n + 1 : "";
		names->delimiter = ph_pool_copy(w->pool, (ph_span){local + n, 1});
	}
	return names->delimiter != NULL ? 0 : -1;
}

const char *
forward_name(void *context, const char *name)
{
	const struct forward_names *names = context;
	const struct {
		const char *name, *value;
	} known[] = {{"user", names->user}, {"home", names->home}, {"shell", names->shell},
		{"recipient", names->recipient}, {"extension", names->extension},
		{"recipient_delimiter", names->delimiter}, {"local", names->local},
		{"domain", names->domain}};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].name, name) == 0)
			return known[i].value;
	return NULL;
}

/* ---- Is there one? ----------------------------------------------------------------------------- */

/* Paths to look at, on a thread: in one piece of memory. */
struct look {
	bool any;
	bool home_missing;
	const char *home;
	size_t count;
	const char *paths[PATHS_MAX];
	char room[];
};

/* What we may not see the user may: that counts as there. */
static void
run_look(void *job)
{
	struct look *look = job;
	struct stat status;

	look->home_missing = stat(look->home, &status) == -1 && (errno == ENOENT || errno == ENOTDIR);
	for (size_t i = 0; i < look->count && !look->any; i++)
		look->any = lstat(look->paths[i], &status) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

static struct look *
look_new(const char *home, const char *const *paths, size_t count)
{
	size_t size = strlen(home) + 1;
	struct look *look;
	char *at;

	for (size_t i = 0; i < count; i++)
		size += strlen(paths[i]) + 1;
	if ((look = calloc(1, sizeof(*look) + size)) == NULL)
		return NULL;
	at = look->room;
	look->home = strcpy(at, home);
	at += strlen(home) + 1;
	for (size_t i = 0; i < count; i++) {
		look->paths[i] = strcpy(at, paths[i]);
		at += strlen(paths[i]) + 1;
	}
	look->count = count;
	return look;
}

/* Spares most deliveries the spawner's child. -1: the recipient was put off. */
static int
is_there(struct work *w, const struct addressee *to, const struct user *user,
	const char *const *paths, size_t count)
{
	struct look *look = look_new(user->home, paths, count);
	bool any, missing;

	if (look == NULL) {
		ph_delivery_defer(w->delivery, to->index, "4.3.0", local_relay, "no memory");
		return -1;
	}
	if (ph_blocking(run_look, free, look, ph_in(LOOK_TIME)) != PH_WAIT_OK) {
		ph_delivery_defer(w->delivery, to->index, "4.3.0", local_relay,
			"the home directory of \"%s\" does not answer", user->name);
		return -1;
	}
	any = look->any;
	missing = look->home_missing;
	free(look);
	if (!missing || !w->local->require_home_directory)
		return any ? 1 : 0;
	ph_delivery_defer(w->delivery, to->index, "4.3.0", local_relay,
		"cannot find the home directory of \"%s\" (%s)", user->name, user->home);
	return -1;
}

/* ---- Its targets ------------------------------------------------------------------------------- */

/* A .forward on its way to a list of targets. */
struct reading {
	struct work *w;
	const struct addressee *to;
	const struct user *user;
	struct ph_target *list;
	size_t count, room;
	unsigned includes;
	const char *extension; /* for its addresses; "" */
	bool nowhere;
	bool forwards;   /* there is one that gets a message of its own */
};

static void
put_off(const struct reading *r, const char *path, const char *why)
{
	ph_log(PH_LOG_WARNING, "%s: %s", path, why);
	ph_delivery_defer(r->w->delivery, r->to->index, "4.3.5", local_relay, "%s: %s", path, why);
}

static int
add(struct reading *r, const struct ph_target *target)
{
	if (r->count == r->room) {
		size_t room = r->room > 0 ? r->room * 4 : 4;
		struct ph_target *more = ph_pool_array(r->w->pool, room, sizeof(*more));

		if (more == NULL || r->count > TARGETS_MAX) {
			ph_delivery_defer(r->w->delivery, r->to->index, "4.3.0", local_relay,
				more == NULL ? "no memory" : "a .forward names too many addresses");
			return -1;
		}
		if (r->count > 0)
			memcpy(more, r->list, r->count * sizeof(*more));
		r->list = more;
		r->room = room;
	}
	r->list[r->count++] = *target;
	return 0;
}

int
forward_place(struct work *w, const struct addressee *to, struct ph_target *target)
{
	ph_error error = {""};
	ph_found local = local_is_domain(w->local, ph_address_domain(target->address), &error);

	if (local == PH_FAILED) {
		ph_delivery_defer(w->delivery, to->index, "4.3.0", local_relay, "%s", error.text);
		return -1;
	}
	target->kind = local == PH_FOUND ? PH_TARGET_ADDRESS : PH_TARGET_FORWARD;
	if (local == PH_FOUND)
		return 0;
	target->what = local_allows(&w->local->rights.prepend_delivered_header, "forward") ? to->recipient : "";
	switch (local_was_here(w, to->index, to->recipient)) {
	case 1:
		ph_delivery_bounce(w->delivery, to->index, "5.4.6", local_relay,
			"mail forwarding loop for %s", to->recipient);
		return -1;
	case 0:
		return 0;
	default:
		return -1;
	}
}

/* The user's own name, in whatever domain of ours and with whatever extension, is their mailbox. */
static int
is_own_name(const struct reading *r, const char *address)
{
	const char *user = alias_user(r->w->pool, address);
	const char *base = user == NULL ? NULL : alias_base(r->w->pool, user,
		ph_global("recipient_delimiter"), r->w->local->owner_request_special);

	if (base == NULL) {
		ph_delivery_defer(r->w->delivery, r->to->index, "4.3.0", local_relay, "no memory");
		return -1;
	}
	return strcmp(user, r->user->name) == 0 || strcmp(base, r->user->name) == 0;
}

static int
add_address(struct reading *r, const struct target *from)
{
	struct ph_target target = {.size = sizeof(target), .sender = r->to->sender};
	int own;

	target.address = alias_extend(r->w->pool, from->text, r->extension);
	if (target.address != NULL && *ph_address_domain(target.address) == '\0')
		target.address = ph_pool_printf(r->w->pool, "%s@%s", target.address, ph_global("myorigin"));
	if (target.address == NULL || forward_place(r->w, r->to, &target) == -1)
		return -1;
	if (target.kind == PH_TARGET_ADDRESS) {
		if ((own = is_own_name(r, target.address)) == -1)
			return -1;
		if (own == 1 || from->kind == TARGET_USER)
			target.kind = PH_TARGET_MAILBOX;
		/* The user's copy stays addressed as it was. */
		if (own == 1 && is_own_name(r, r->to->recipient) == 1)
			target.address = r->to->recipient;
	}
	return add(r, &target);
}

static int
add_program(struct reading *r, const struct target *from, bool included)
{
	const struct local *local = r->w->local;
	bool command = from->kind == TARGET_COMMAND;
	const ph_strings *allowed = command ? &local->allow_mail_to_commands : &local->allow_mail_to_files;
	const struct ph_target target = {.size = sizeof(target),
		.kind = command ? PH_TARGET_COMMAND : PH_TARGET_FILE, .address = r->to->recipient,
		.what = local_allows(allowed, included ? "include" : "forward") ? from->text : "",
		.user = r->user->name, .sender = r->to->sender};

	return add(r, &target);
}

static int take_targets(struct reading *r, const char *path, ph_span text, bool included);

static int
add_include(struct reading *r, const char *from, const char *path)
{
	ph_error why = {""};
	ph_span text;

	if (++r->includes > INCLUDES_MAX) {
		put_off(r, from, "it includes too many files");
		return -1;
	}
	if (rights_include(r->w->local, r->w->pool, r->user->name, path, &text, &why) == FILE_TEXT) {
		const char *extension = r->extension;
		int result;

		local_tell_text(r->w, "include", path, text);
		r->extension = r->w->local->state->propagate_include ? extension : "";
		result = take_targets(r, path, text, true);
		r->extension = extension;
		return result;
	}
	put_off(r, from, *why.text != '\0' ? why.text : "a file that it includes is not there");
	return -1;
}

static int
take_targets(struct reading *r, const char *path, ph_span text, bool included)
{
	struct target target;
	ph_error why = {""};
	int more, result = 0;

	while (result == 0 &&
		(more = targets_next(r->w->pool, &text, TARGET_LINES, &target, &why)) != 0) {
		if (more == -1) {
			put_off(r, path, why.text);
			return -1;
		}
		if (target.kind == TARGET_NOWHERE)
			r->nowhere = true;
		else if (target.kind == TARGET_INCLUDE)
			result = add_include(r, path, target.text);
		else if (target.kind == TARGET_FILE || target.kind == TARGET_COMMAND)
			result = add_program(r, &target, included);
		else
			result = add_address(r, &target);
	}
	return result;
}

/* True: there is something that is not simply the mailbox. */
static bool
follow(const struct reading *r)
{
	ph_delivery *delivery = r->w->delivery;

	if (r->count == 1 && r->list[0].kind == PH_TARGET_MAILBOX &&
		is_own_name(r, r->list[0].address) == 1)
		return false;
	if (r->count > 0)
		ph_delivery_expand_to(delivery, r->to->index, r->list, r->count);
	else if (r->nowhere)
		ph_delivery_sent(delivery, r->to->index, "2.0.0", local_relay, "delivered to file: /dev/null");
	return r->count > 0 || r->nowhere;
}

/* ---- The whole --------------------------------------------------------------------------------- */

/* The paths of forward_path for this user. Their number; -1: the recipient was put off. */
static int
make_paths(struct work *w, const struct addressee *to, const struct user *user, const char **paths)
{
	const ph_strings *templates = &w->local->forward_path;
	struct forward_names names;
	ph_error error = {"no memory"};
	int count = 0;

	if (forward_names(w, to, user, &names) == -1)
		goto fail;
	for (size_t i = 0; i < templates->count && count < PATHS_MAX; i++) {
		const char *path = ph_macros_expand(w->pool, templates->items[i],
			w->local->forward_expansion_filter, forward_name, &names, &error);

		if (path == NULL)
			goto fail;
		/* twice the same, when there is no extension */
		if (*path == '/' && (count == 0 || strcmp(paths[count - 1], path) != 0))
			paths[count++] = path;
	}
	return count;
fail:
	ph_log(PH_LOG_WARNING, "forward_path: %s", error.text);
	ph_delivery_defer(w->delivery, to->index, "4.3.5", local_relay, "forward_path: %s", error.text);
	return -1;
}

/* With its delimiter, the extension that a file has not in its path, when it goes to the addresses in it
 * (propagate_unmatched_extensions). "": there is none. NULL: no memory, or what cannot be expanded. */
static const char *
unmatched(struct work *w, const struct addressee *to, const struct user *user, const char *path)
{
	const ph_strings *templates = &w->local->forward_path;
	struct forward_names names, bare;
	ph_error error;

	if (!w->local->state->propagate_forward)
		return "";
	if (forward_names(w, to, user, &names) == -1)
		return NULL;
	bare = names;
	bare.extension = bare.delimiter = "";
	for (size_t i = 0; i < templates->count && *names.extension != '\0'; i++) {
		const char *other = ph_macros_expand(w->pool, templates->items[i],
			w->local->forward_expansion_filter, forward_name, &bare, &error);

		if (other != NULL && strcmp(other, path) == 0)
			return ph_pool_printf(w->pool, "%s%s", names.delimiter, names.extension);
	}
	return "";
}

/* Reads and follows it. */
static bool
use(struct work *w, const struct addressee *to, const struct user *user, const char *const *paths,
	size_t count)
{
	struct reading reading = {.w = w, .to = to, .user = user};
	ph_error why = {""};
	ph_span text;
	size_t which = 0;

	switch (rights_forward(w->local, w->pool, user->name, paths, count, &which, &text, &why)) {
	case FILE_TEXT:
		local_tell_text(w, "forward_path", paths[which], text);
		if ((reading.extension = unmatched(w, to, user, paths[which])) == NULL)
			break;
		return take_targets(&reading, paths[which], text, false) == -1 || follow(&reading);
	case FILE_ABSENT:
		return false;
	case FILE_REFUSED:
		ph_log(PH_LOG_WARNING, "%s: not used: %s", paths[which], why.text);
		return false;
	case FILE_LATER:
		break;
	}
	ph_delivery_defer(w->delivery, to->index, "4.3.0", local_relay, "cannot read the .forward of \"%s\": %s",
		user->name, *why.text != '\0' ? why.text : "no memory");
	return true;
}

bool
forward(struct work *w, const struct addressee *to, const struct user *user)
{
	const char **paths = ph_pool_array(w->pool, PATHS_MAX, sizeof(*paths));
	int count = 0, there;

	if (paths == NULL) {
		ph_delivery_defer(w->delivery, to->index, "4.3.0", local_relay, "no memory");
		return true;
	}
	if (to->forwards && (count = make_paths(w, to, user, paths)) == -1)
		return true;
	if (count == 0 && !w->local->require_home_directory)
		return false;
	there = is_there(w, to, user, paths, (size_t)count);
	return there == -1 || (there == 1 && use(w, to, user, paths, (size_t)count));
}
