#include "process/rights.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <posthouse/transport.h>

enum {
	PASSWD_ROOM = 64 * 1024,
	NAME_ROOM = 256
};

/* With glibc nobody of that name is code 0. The manual page has more codes for it, but they all
 * mean that a service could not be asked: ENOENT is a socket of its that is not there. */

static enum rights_result
find_user(const char *name, struct rights *rights, ph_error *error)
{
	struct passwd entry, *found = NULL;
	int failed = getpwnam_r(name, &entry, rights->room, PASSWD_ROOM, &found);

	if (!found && failed) {
		ph_error_set(error, "user %s cannot be looked up: %s", name, strerror(failed));
		return RIGHTS_FAILED;
	}
	if (!found) {
		ph_error_set(error, "unknown user: \"%s\"", name);
		return RIGHTS_UNKNOWN;
	}
	rights->name = entry.pw_name;
	rights->home = entry.pw_dir;
	rights->shell = entry.pw_shell && *entry.pw_shell ? entry.pw_shell : "/bin/sh";
	rights->uid = entry.pw_uid;
	rights->gid = entry.pw_gid;
	if (entry.pw_uid != 0)
		return RIGHTS_FOUND;
	ph_error_set(error, "nothing is delivered with root's rights");
	return RIGHTS_ROOT;
}

static enum rights_result
find_group(const char *name, struct rights *rights, ph_error *error)
{
	struct group entry, *found = NULL;
	char *room = malloc(PASSWD_ROOM);
	int failed = room ? getgrnam_r(name, &entry, room, PASSWD_ROOM, &found) : ENOMEM;

	if (!found && failed) {
		ph_error_set(error, "group %s cannot be looked up: %s", name, strerror(failed));
		free(room);
		return RIGHTS_FAILED;
	}
	rights->gid = found ? entry.gr_gid : 0;
	free(room);
	rights->group_only = true;
	if (!found) {
		ph_error_set(error, "unknown group: \"%s\"", name);
		return RIGHTS_UNKNOWN;
	}
	if (rights->gid != 0)
		return RIGHTS_FOUND;
	ph_error_set(error, "nothing is delivered with the rights of root's group");
	return RIGHTS_ROOT;
}

enum rights_result
rights_find(const char *text, struct rights *rights, ph_error *error)
{
	const char *colon = strchrnul(text, ':');
	size_t size = (size_t)(colon - text);
	char name[NAME_ROOM];

	*rights = (struct rights){.room = malloc(PASSWD_ROOM)};
	if (!rights->room) {
		ph_error_set(error, "out of memory");
		return RIGHTS_FAILED;
	}
	if (size == 0 || size >= sizeof(name)) {
		ph_error_set(error, "unknown user: \"%.*s\"", (int)(size < 64 ? size : 64), text);
		return RIGHTS_UNKNOWN;
	}
	memcpy(name, text, size);
	name[size] = '\0';
	enum rights_result result = find_user(name, rights, error);
	return result == RIGHTS_FOUND && *colon ? find_group(colon + 1, rights, error) : result;
}

static int
change(const struct rights *rights)
{
	uid_t real, effective, saved;

	if (rights->group_only ? setgroups(1, &rights->gid) == -1
		: initgroups(rights->name, rights->gid) == -1)
		return -1;
	/* Behind the look at the system's groups, and while we may. */
	if (rights->confined && (fchdir(rights->root_fd) == -1 || chroot(".") == -1))
		return -1;
	if (setresgid(rights->gid, rights->gid, rights->gid) == -1 ||
		setresuid(rights->uid, rights->uid, rights->uid) == -1)
		return -1;
	if (getresuid(&real, &effective, &saved) == -1 || rights->uid == 0 || real != rights->uid ||
		effective != rights->uid || saved != rights->uid || setuid(0) != -1)
		return -1;
	return 0;
}

int
rights_take(const struct rights *rights, const struct owner *owner, bool commands)
{
	if (owner->rootless ? rights->confined : change(rights) == -1)
		return -1;
	/* Who may write there would feed a set-id program libraries and users of their own making.
	 * Its memory holds the configuration: the user may not look into it, whatever the system's
	 * default for processes that changed their rights is. */
	if (((!commands || rights->confined) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1) ||
		(!owner->rootless && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1))
		return -1;
	return 0;
}

int
rights_confine(struct rights *rights, const char *root)
{
	tzset(); /* the times in headers are local */
	rights->root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	rights->confined = rights->root_fd != -1;
	return rights->confined ? 0 : -1;
}

/* The text in the instance; NULL: it has none. */
static const char *
text_at(const struct instance *transport, uint32_t offset)
{
	return offset == 0 ? NULL : *(const char *const *)((const char *)transport->self + offset);
}

const char *
rights_of_instance(const struct instance *transport)
{
	return text_at(transport, ((const struct ph_transport_ops *)transport->ops)->rights_offset);
}

const char *
rights_root(const struct instance *transport)
{
	const char *root = text_at(transport,
		((const struct ph_transport_ops *)transport->ops)->chroot_offset);

	return root && *root ? root : NULL;
}
