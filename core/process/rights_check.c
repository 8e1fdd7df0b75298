/* At the start: whose rights will deliveries have? */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <posthouse/transport.h>

#include "process/rights.h"

static void
check_one(const char *name, const char *text, const char *file, int line, const struct owner *owner,
	struct problems *problems)
{
	struct rights rights;
	ph_error error = {""};

	if (rights_find(text, &rights, &error) != RIGHTS_FOUND)
		problems_add(problems, file, line,
			"%s = %s: %s; name an ordinary user, as in %s = nobody",
			name, text, error.text, name);
	else if (rights.uid == owner->uid)
		problems_add(problems, file, line,
			"%s = %s: that is mail_owner, to whom the queue belongs; "
			"name another user", name, text);
	free(rights.room);
}

static void
check_root(const struct instance *transport, const struct owner *owner, struct problems *problems)
{
	const char *root = rights_root(transport);
	struct rights rights;

	if (!root)
		return;
	if (owner->rootless)
		problems_add(problems, transport->file, transport->line,
			"chroot = %s: that takes root's rights, with which posthoused was not started", root);
	else if (rights_confine(&rights, root) == -1)
		problems_add(problems, transport->file, transport->line, "chroot = %s: %s", root,
			strerror(errno));
	else
		close(rights.root_fd);
}

void
rights_check(const struct config *config, const char *path, const struct owner *owner,
	struct problems *problems)
{
	struct instance *transport;

	if (!owner->rootless)
		check_one("default_privs", config_settings(config)->default_privs, path, 0, owner,
			problems);
	for (size_t i = 0; (transport = config_instance(config, PH_CLASS_TRANSPORT, i)) != NULL;
		i++) {
		const char *text = rights_of_instance(transport);

		check_root(transport, owner, problems);
		if (text && *text && !owner->rootless)
			check_one("user", text, transport->file, transport->line, owner, problems);
	}
}
