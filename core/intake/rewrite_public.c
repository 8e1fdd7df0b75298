/*
 * Rewriting for modules.
 */
#include <posthouse/rewrite.h>

#include <string.h>

#include "config/config.h"
#include "intake/address_map.h"
#include "intake/header.h"
#include "intake/rewrite_header.h"

_Static_assert(PH_HEADERS_MOST == HEADER_SCAN_LIMIT, "PH_HEADERS_MOST");

ph_found
ph_address_rewrite(ph_pool *pool, const ph_map *map, const char *address, bool extension,
	const char **rewritten, ph_error *error)
{
	ph_strings list;
	ph_found found = address_map_find(pool, config_settings(config_current()), map, address,
		extension, &list, error);

	if (found == PH_FOUND)
		*rewritten = list.items[0];
	return found;
}

/* The field as it is to be: its name and line end stay. */
static int
rewrite_field(ph_pool *pool, struct header *field, ph_header_rewrite_fn *rewrite, void *context)
{
	ph_span value = header_value(field), result;

	if (header_role(header_name(field)) == HEADER_ROLE_NONE)
		return 0;
	int outcome = header_rewrite(pool, value, rewrite, context, &result);

	if (outcome != 0 || result.data == value.data)
		return outcome;
	return header_set_value(pool, field, result);
}

static int
join(ph_pool *pool, const struct header *fields, size_t count, ph_span *head)
{
	size_t size = 0;
	char *data;

	for (size_t i = 0; i < count; i++)
		size += fields[i].raw.size;
	if ((data = ph_pool_alloc(pool, size + 1)) == NULL)
		return -1;
	*head = (ph_span){data, size};
	for (size_t i = 0; i < count; i++) {
		memcpy(data, fields[i].raw.data, fields[i].raw.size);
		data += fields[i].raw.size;
	}
	return 0;
}

int
ph_headers_rewrite(ph_pool *pool, ph_span bytes, ph_header_rewrite_fn *rewrite, void *context,
	ph_span *head, size_t *used)
{
	struct header_scan scan = {.line = 0};

	*used = header_scan(&scan, bytes) == HEADER_MORE ? bytes.size : scan.section;
	*head = (ph_span){bytes.data, *used};
	size_t count = header_count_fields(*head);
	struct header *fields = ph_pool_array(pool, count + 1, sizeof(*fields));

	if (fields == NULL)
		return -1;
	header_split(*head, fields);
	for (size_t i = 0; i < count; i++) {
		int outcome = rewrite_field(pool, &fields[i], rewrite, context);

		if (outcome != 0)
			return outcome;
	}
	return join(pool, fields, count, head);
}
