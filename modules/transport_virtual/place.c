#include "place.h"

#include <string.h>

/* Does a part of the path mean another folder than the one it stands in? */
static bool
leads_elsewhere(const char *path)
{
	for (const char *at = path; *at != '\0';) {
		size_t size = strcspn(at, "/");

		if ((size == 1 || size == 2) && strspn(at, ".") >= size)
			return true;
		at += size + (at[size] == '/');
	}
	return false;
}

const char *
place_path(ph_pool *pool, const char *base, const char *value, ph_error *error)
{
	size_t size = strlen(base);
	const char *path;

	while (size > 0 && base[size - 1] == '/')
		size--;
	if (leads_elsewhere(value) || value[strspn(value, "/")] == '\0') {
		ph_error_set(error, "\"%.150s\" is no mailbox below virtual_mailbox_base", value);
		return NULL;
	}
	if (*base == '\0' && *value != '/') {
		ph_error_set(error, "\"%.100s\" is no absolute path, and virtual_mailbox_base is not set", value);
		return NULL;
	}
	path = ph_pool_printf(pool, "%.*s/%s", (int)size, base, value + strspn(value, "/"));
	if (path == NULL)
		ph_error_set(error, "no memory");
	return path;
}

int
place_number(const char *what, const char *value, int64_t min, uint32_t *number, ph_error *error)
{
	int64_t n;

	if (ph_parse_int(ph_span_of(value), 1, UINT32_MAX - 1, &n) == -1)
		return ph_error_set(error, "bad %s \"%.100s\"", what, value);
	if (n < min)
		return ph_error_set(error, "bad %s %lld: it is below virtual_minimum_uid (%lld)",
			what, (long long)n, (long long)min);
	*number = (uint32_t)n;
	return 0;
}
