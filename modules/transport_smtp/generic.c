#include "generic.h"

#include <string.h>
#include <unistd.h>

#include <posthouse/rewrite.h>

struct lookup {
	const struct smtp_settings *settings;
	ph_pool *pool;
	ph_error *error;
};

/* 0, or 1 when the lookup failed. */
static int
look_up(void *context, const char *address, const char **rewritten)
{
	struct lookup *lookup = context;
	ph_found found = ph_address_rewrite(lookup->pool, lookup->settings->smtp_generic_maps,
		address, lookup->settings->generic_extension, rewritten, lookup->error);

	return found == PH_FAILED ? 1 : 0;
}

int
generic_envelope(const struct smtp_settings *settings, ph_delivery *delivery,
	struct generic *generic, ph_error *error)
{
	struct lookup lookup = {settings, ph_delivery_pool(delivery), error};
	size_t count = ph_delivery_count(delivery);

	generic->sender = ph_delivery_sender(delivery);
	generic->recipients = ph_pool_array(lookup.pool, count, sizeof(generic->recipients[0]));
	if (generic->recipients == NULL)
		return ph_error_set(error, "out of memory");
	if (*generic->sender != '\0' && look_up(&lookup, generic->sender, &generic->sender) != 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		generic->recipients[i] = ph_delivery_recipient(delivery, i);
		if (look_up(&lookup, generic->recipients[i], &generic->recipients[i]) != 0)
			return -1;
	}
	return 0;
}

static int
read_start(int fd, int64_t offset, int64_t length, char *buffer, size_t *size)
{
	size_t want = length < PH_HEADERS_MOST ? (size_t)length : PH_HEADERS_MOST;

	for (*size = 0; *size < want;) {
		ssize_t got = pread(fd, buffer + *size, want - *size,
			(off_t)(offset + (int64_t)*size));

		if (got <= 0)
			return -1;
		*size += (size_t)got;
	}
	return 0;
}

/* The addresses in a head, or at the start of the content. */
static int
rewrite(const struct smtp_settings *settings, ph_delivery *delivery, ph_span bytes,
	struct generic *generic, ph_error *error)
{
	struct lookup lookup = {settings, ph_delivery_pool(delivery), error};
	size_t used;
	int result = ph_headers_rewrite(lookup.pool, bytes, look_up, &lookup, &generic->head,
		&used);

	generic->used = (int64_t)used;
	if (result == -1)
		return ph_error_set(error, "out of memory");
	return result == 0 ? 0 : -1;
}

/* The head that checks made is rewritten; what of it was not read stays. */
static int
rewrite_checked(const struct smtp_settings *settings, ph_delivery *delivery,
	struct generic *generic, ph_error *error)
{
	ph_span checked = generic->head;
	int64_t used = generic->used;
	char *whole;

	if (rewrite(settings, delivery, checked, generic, error) == -1)
		return -1;
	size_t rest = checked.size - (size_t)generic->used, size = generic->head.size + rest;

	if ((whole = ph_pool_alloc(ph_delivery_pool(delivery), size + 1)) == NULL)
		return ph_error_set(error, "out of memory");
	if (generic->head.size > 0)
		memcpy(whole, generic->head.data, generic->head.size);
	if (rest > 0)
		memcpy(whole + generic->head.size, checked.data + generic->used, rest);
	generic->head = (ph_span){whole, size};
	generic->used = used;
	return 0;
}

int
generic_head(const struct smtp_settings *settings, ph_delivery *delivery, struct checks *checks,
	int fd, int64_t offset, int64_t length, struct generic *generic, ph_error *error)
{
	char *buffer = ph_pool_alloc(ph_delivery_pool(delivery), PH_HEADERS_MOST);
	ph_span start = {buffer, 0};

	if (buffer == NULL)
		return ph_error_set(error, "out of memory");
	if (read_start(fd, offset, length, buffer, &start.size) == -1)
		return ph_error_set(error, "the message's headers cannot be read");
	if (checks == NULL)
		return rewrite(settings, delivery, start, generic, error);
	if (checks_head(checks, start, (int64_t)start.size == length, &generic->head,
		&generic->used, error) == -1)
		return -1;
	return ph_map_is_empty(settings->smtp_generic_maps) ? 0
		: rewrite_checked(settings, delivery, generic, error);
}
