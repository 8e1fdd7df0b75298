#include "query.h"

#include <posthouse/address.h>
#include <string.h>
#include <sys/socket.h>

/* Of a name in the DNS, in text without a final dot (RFC 1035, 2.3.4). */
enum { NAME_MAX_SIZE = 253, LABEL_MAX_SIZE = 63 };

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '-' || c == '_';
}

bool
query_is_domain(ph_span name)
{
	size_t label = 0;
	bool digits = true;

	if (name.size > NAME_MAX_SIZE)
		return false;
	for (size_t i = 0; i < name.size; i++) {
		if (name.data[i] == '.') {
			if (label == 0)
				return false;
			label = 0;
			digits = true;
			continue;
		}
		if (!is_letter(name.data[i]) || ++label > LABEL_MAX_SIZE)
			return false;
		digits = digits && is_digit(name.data[i]);
	}
	return label > 0 && !digits;
}

static const char *
reverse_ipv4(ph_pool *pool, const uint8_t *bytes, const char *list)
{
	return ph_pool_printf(pool, "%u.%u.%u.%u.%s", bytes[3], bytes[2], bytes[1], bytes[0], list);
}

const char *
query_of_address(ph_pool *pool, const ph_address *address, const char *list)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	static const char digits[] = "0123456789abcdef";
	char text[65];

	if (address->family == AF_INET)
		return reverse_ipv4(pool, address->bytes, list);
	if (address->family != AF_INET6)
		return NULL;
	if (memcmp(address->bytes, mapped, sizeof(mapped)) == 0)
		return reverse_ipv4(pool, address->bytes + sizeof(mapped), list);
	for (unsigned i = 0; i < 16; i++) {
		char *at = text + (15 - i) * 4;

		at[0] = digits[address->bytes[i] & 0x0f];
		at[2] = digits[address->bytes[i] >> 4];
		at[1] = at[3] = '.';
	}
	text[64] = '\0';
	return ph_pool_printf(pool, "%s%s", text, list);
}

const char *
query_of_domain(ph_pool *pool, const char *object, const char *list)
{
	const char *domain = strchr(object, '@') != NULL ? ph_address_domain(object) : object;
	ph_span name = ph_span_of(domain);

	if (name.size > 1 && name.data[name.size - 1] == '.')
		name.size--;
	if (!query_is_domain(name) || memchr(name.data, '.', name.size) == NULL ||
		name.size + 1 + strlen(list) > NAME_MAX_SIZE)
		return NULL;
	return ph_pool_printf(pool, "%.*s.%s", (int)name.size, name.data, list);
}
