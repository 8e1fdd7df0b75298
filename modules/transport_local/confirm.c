/*
 * The local role runs as mail_owner. It says of a command or a file that a .forward of the user's
 * names it, and of a file to be read that it is a .forward, or included by one. But who takes the
 * role over, or writes into the queue, could say so of any command and any file, for any user. So
 * the process that is the user reads the .forward again and looks whether the target stands there.
 * A role that lies gets a user's rights for what the user asked for, and nothing else.
 *
 * Which of the files in forward_path it was is not asked of the role: what an address brings into
 * their names (the extension, the domain) stands for anything here, and every file that fits is
 * looked at. All of them are the user's or root's. Targets that are in none of them, because the
 * user changed the file meanwhile, wait: a file may be away for a moment, and its mail must not be
 * lost for that.
 */
#include "confirm.h"

#include <fnmatch.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include <posthouse/address.h>
#include <posthouse/mailbox.h>

#include "forward.h"
#include "targets.h"

enum {
	FILES_MAX = 1000, /* that are looked at for one delivery */
	INCLUDES_MAX = 20
};

struct search {
	const struct local *local;
	const struct ph_user_context *user;
	const struct ph_user_delivery *request;
	ph_pool *pool;
	unsigned files, includes;
	bool unread;   /* a file could not be read now */
	ph_error why;
};

/* ---- What stands in a file ------------------------------------------------------------------- */

static bool
is_target(const struct search *search, const struct target *target, bool included)
{
	bool command = search->request->kind == PH_USER_COMMAND;
	bool read = search->request->kind == PH_USER_READ;
	const ph_strings *allowed = command ? &search->local->allow_mail_to_commands :
		&search->local->allow_mail_to_files;

	return target->kind == (read ? TARGET_INCLUDE : command ? TARGET_COMMAND : TARGET_FILE) &&
		strcmp(target->text, search->request->target) == 0 &&
		(read || local_allows(allowed, included ? "include" : "forward"));
}

/* One of forward_path, to be read; what they include has not to be the user's own. */
static bool
is_forward(const struct ph_user_delivery *request)
{
	return request->kind == PH_USER_READ && (request->flags & PH_USER_OWN_FILE) != 0;
}

static bool look_into(struct search *search, const char *path, bool included);

/* One that cannot be understood was not followed either. */
static bool
look_through(struct search *search, ph_span text, bool included)
{
	struct target target;
	ph_error why = {""};

	while (targets_next(search->pool, &text, TARGET_LINES, &target, &why) == 1) {
		if (is_target(search, &target, included))
			return true;
		if (target.kind == TARGET_INCLUDE && search->includes++ < INCLUDES_MAX &&
			look_into(search, target.text, true))
			return true;
	}
	return false;
}

static bool
look_into(struct search *search, const char *path, bool included)
{
	ph_span text;

	if (search->files++ == FILES_MAX)
		return false;
	switch (ph_user_file(search->pool, search->user, path, included ? 0 : PH_USER_OWN_FILE,
		&text, &search->why)) {
	case PH_READ_TEXT:
		return look_through(search, text, included);
	case PH_READ_LATER:
		search->unread = true;
		return false;
	case PH_READ_REFUSED:
	case PH_READ_ABSENT:
		break;
	}
	return false;
}

/* ---- Which files ----------------------------------------------------------------------------- */

/* The text as a pattern that fits nothing else; a name, whatever its letters' case. */
static const char *
literally(ph_pool *pool, const char *text, bool any_case)
{
	char *pattern = ph_pool_alloc(pool, strlen(text) * 4 + 1), *at = pattern;

	for (; pattern != NULL && *text != '\0'; text++) {
		char lower = (char)(*text | 0x20);

		if (any_case && lower >= 'a' && lower <= 'z') {
			*at++ = '[';
			*at++ = lower;
			*at++ = (char)(lower & ~0x20);
			*at++ = ']';
			continue;
		}
		if (strchr("\\[]*?", *text) != NULL)
			*at++ = '\\';
		*at++ = *text;
	}
	if (pattern != NULL)
		*at = '\0';
	return pattern;
}

/* What the names in forward_path stand for, as patterns: with an extension behind this delimiter,
 * or without one ("\0"). -1: no memory. */
static int
make_names(struct search *search, char delimiter, struct forward_names *names)
{
	const struct ph_user_context *user = search->user;
	const char text[] = {delimiter, '\0'}, *local = literally(search->pool, user->name, true);

	*names = (struct forward_names){.user = literally(search->pool, user->name, false),
		.home = literally(search->pool, user->home, false),
		.shell = literally(search->pool, user->shell, false), .domain = "*",
		.extension = delimiter != '\0' ? "*" : "",
		.delimiter = literally(search->pool, text, false)};
	if (local == NULL || names->delimiter == NULL)
		return -1;
	names->local = ph_pool_printf(search->pool, "%s%s%s", local, names->delimiter,
		names->extension);
	if (names->local == NULL)
		return -1;
	names->recipient = ph_pool_printf(search->pool, "%s*", names->local);
	return names->user && names->home && names->shell && names->recipient ? 0 : -1;
}

/* Only the file itself is asked for, or what stands in those that there are. */
static bool
look_at_matches(struct search *search, const char *pattern)
{
	glob_t found = {0};
	bool there = false;

	if (is_forward(search->request))
		return fnmatch(pattern, search->request->target, FNM_PATHNAME) == 0;
	if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc && !there; i++)
			there = look_into(search, found.gl_pathv[i], false);
	globfree(&found);
	return there;
}

/* The path may have characters of its own that mean something in a pattern. ("?" fits itself.) */
static const char *
without_magic(ph_pool *pool, const char *path)
{
	char *copy = ph_pool_alloc(pool, strlen(path) * 2 + 1), *at = copy;

	for (; copy != NULL && *path != '\0'; path++) {
		if (strchr("\\[*", *path) != NULL)
			*at++ = '\\';
		*at++ = *path;
	}
	if (copy != NULL)
		*at = '\0';
	return copy;
}

/* The files of forward_path, with one kind of address. */
static bool
look_with(struct search *search, char delimiter)
{
	const ph_strings *templates = &search->local->forward_path;
	struct forward_names names;
	bool there = false;

	if (make_names(search, delimiter, &names) == -1)
		return false;
	for (size_t i = 0; i < templates->count && !there; i++) {
		const char *path = without_magic(search->pool, templates->items[i]);
		const char *pattern = path == NULL ? NULL :
			ph_macros_expand(search->pool, path, NULL, forward_name, &names,
			&search->why);

		there = pattern != NULL && *pattern == '/' && look_at_matches(search, pattern);
	}
	return there;
}

static bool
look_everywhere(struct search *search)
{
	bool there = look_with(search, '\0');

	for (const char *delimiter = ph_global("recipient_delimiter"); *delimiter != '\0' && !there;
		delimiter++)
		there = look_with(search, *delimiter);
	return there;
}

/* ---- The answer ------------------------------------------------------------------------------ */

/* The mailbox of home_mailbox is the configuration's wish. */
static bool
is_home_mailbox(const struct local *local, const struct ph_user_delivery *request)
{
	return (request->flags & PH_USER_HOME_MAILBOX) != 0 &&
		strncmp(request->target, "~/", 2) == 0 && *local->rights.home_mailbox != '\0' &&
		strcmp(request->target + 2, local->rights.home_mailbox) == 0;
}

static int
refuse(const struct search *search, struct ph_user_result *result)
{
	const char *what = search->request->kind == PH_USER_COMMAND ? "command" : "file";

	if (is_forward(search->request)) {
		ph_user_answer(result, PH_USER_DEFERRED, "4.3.5", "%.150s is not in forward_path",
			search->request->target);
		return -1;
	}

	if (search->unread)
		ph_user_answer(result, PH_USER_DEFERRED, "4.3.0",
			"cannot read the .forward of \"%s\": %s",
			search->user->name, search->why.text);
	else
		ph_user_answer(result, PH_USER_DEFERRED, "4.3.5",
			"no .forward of \"%s\" names this %s: %.100s",
			search->user->name, what, search->request->target);
	return -1;
}

int
confirm_target(const struct local *local, const struct ph_user_context *user,
	const struct ph_user_delivery *request, struct ph_user_result *result)
{
	struct search search = {.local = local, .user = user, .request = request,
		.pool = ph_pool_new(0)};
	bool there;

	if (search.pool == NULL) {
		ph_user_answer(result, PH_USER_DEFERRED, "4.3.0", "no memory");
		return -1;
	}
	there = is_home_mailbox(local, request) ||
		((request->flags & PH_USER_HOME_MAILBOX) == 0 && look_everywhere(&search));
	ph_pool_free(search.pool);
	return there ? 0 : refuse(&search, result);
}
