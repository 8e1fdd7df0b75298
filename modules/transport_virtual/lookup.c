#include "lookup.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "place.h"

/* An address with a slash in it may not choose a path by way of a pattern's "$1". */
ph_found
lookup_mailbox(ph_pool *pool, const struct virtual *virtual, const char *recipient,
	const char **value, ph_error *error)
{
	if (strchr(recipient, '/') != NULL)
		return ph_map_lookup_fixed(pool, virtual->virtual_mailbox_maps, recipient, value,
			error);
	return ph_map_lookup_address(pool, virtual->virtual_mailbox_maps, recipient,
		PH_ADDRESS_DOMAIN, value, NULL, error);
}

static void PH_PRINTF(3, 4)
later(struct ph_user_rights *rights, const char *status, const char *format, ...)
{
	va_list arguments;

	rights->outcome = PH_USER_DEFERRED;
	snprintf(rights->status, sizeof(rights->status), "%s", status);
	va_start(arguments, format);
	vsnprintf(rights->text, sizeof(rights->text), format, arguments);
	va_end(arguments);
}

/* One of the numbers. min: the smallest. 0, or -1: it has an outcome. */
static int
find_number(ph_pool *pool, const ph_map *map, const char *parameter, const char *what,
	const char *recipient, int64_t min, uint32_t *number, struct ph_user_rights *rights)
{
	ph_error error = {""};
	const char *value = NULL;

	switch (ph_map_lookup_address(pool, map, recipient, PH_ADDRESS_DOMAIN, &value, NULL,
		&error)) {
	case PH_FAILED:
		later(rights, "4.3.0", "%s lookup: %.200s", parameter, error.text);
		return -1;
	case PH_NOT_FOUND:
		later(rights, "4.3.5", "recipient %.100s: not found in %s", recipient, parameter);
		return -1;
	case PH_FOUND:
		break;
	}
	if (place_number(what, value, min, number, &error) == 0)
		return 0;
	later(rights, "4.3.5", "recipient %.80s: %.100s in %s", recipient, error.text, parameter);
	return -1;
}

void
lookup_rights(ph_pool *pool, const struct virtual *virtual, const char *recipient,
	struct ph_user_rights *rights)
{
	ph_error error = {""};
	const char *value;

	switch (lookup_mailbox(pool, virtual, recipient, &value, &error)) {
	case PH_FAILED:
		later(rights, "4.3.0", "mailbox lookup: %.200s", error.text);
		return;
	case PH_NOT_FOUND:
		later(rights, "5.1.1", "unknown user: \"%.200s\"", recipient);
		rights->outcome = PH_USER_BOUNCED;
		return;
	case PH_FOUND:
		break;
	}
	if (find_number(pool, virtual->virtual_uid_maps, "virtual_uid_maps", "uid", recipient,
		virtual->virtual_minimum_uid, &rights->uid, rights) == 0 &&
		find_number(pool, virtual->virtual_gid_maps, "virtual_gid_maps", "gid", recipient,
		1, &rights->gid, rights) == 0)
		rights->outcome = PH_USER_SENT;
}
