/*
 * Spans, checked numbers, and IP addresses as text.
 */
#include <posthouse/base.h>

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static unsigned char
lower(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

ph_span
ph_span_of(const char *string)
{
	return (ph_span){.data = string, .size = string == NULL ? 0 : strlen(string)};
}

bool
ph_span_equal(ph_span a, ph_span b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool
ph_span_equal_nocase(ph_span a, ph_span b)
{
	if (a.size != b.size)
		return false;
	for (size_t i = 0; i < a.size; i++)
		if (lower(a.data[i]) != lower(b.data[i]))
			return false;
	return true;
}

int
ph_strcasecmp(const char *a, const char *b)
{
	while (*a != '\0' && lower(*a) == lower(*b)) {
		a++;
		b++;
	}
	return (int)lower(*a) - (int)lower(*b);
}

/* Decimal digits only, no more than max. */
int
ph_parse_uint(ph_span text, uint64_t max, uint64_t *value)
{
	uint64_t sum = 0;

	if (text.size == 0)
		return -1;
	for (size_t i = 0; i < text.size; i++) {
		unsigned digit = (unsigned char)text.data[i] - (unsigned)'0';

		if (digit > 9 || __builtin_mul_overflow(sum, UINT64_C(10), &sum) ||
			__builtin_add_overflow(sum, (uint64_t)digit, &sum))
			return -1;
	}
	if (sum > max)
		return -1;
	*value = sum;
	return 0;
}

int
ph_parse_int(ph_span text, int64_t min, int64_t max, int64_t *value)
{
	bool negative = text.size > 0 && text.data[0] == '-';
	uint64_t magnitude;
	int64_t result;

	if (negative) {
		text.data++;
		text.size--;
	}
	if (ph_parse_uint(text, (uint64_t)INT64_MAX + (negative ? 1 : 0), &magnitude) == -1)
		return -1;
	/* -(magnitude - 1) - 1 reaches INT64_MIN without overflow. */
	if (negative && magnitude > 0)
		result = -(int64_t)(magnitude - 1) - 1;
	else
		result = (int64_t)magnitude;
	if (result < min || result > max)
		return -1;
	*value = result;
	return 0;
}

/* "fe80::1%2": the number of the interface, for addresses of a link. */
static int
parse_scope(char *text, uint32_t *scope)
{
	char *percent = strchr(text, '%');
	uint64_t number;

	*scope = 0;
	if (percent == NULL)
		return 0;
	if (ph_parse_uint(ph_span_of(percent + 1), UINT32_MAX, &number) == -1)
		return -1;
	*percent = '\0';
	*scope = (uint32_t)number;
	return 0;
}

int
ph_address_parse(ph_span text, ph_address *address)
{
	char copy[PH_ADDRESS_TEXT + 8];
	ph_address result = {0};

	if (text.size == 0 || text.size >= sizeof(copy) ||
		memchr(text.data, '\0', text.size) != NULL)
		return -1;
	memcpy(copy, text.data, text.size);
	copy[text.size] = '\0';
	if (inet_pton(AF_INET, copy, result.bytes) == 1) {
		result.family = AF_INET;
	} else {
		if (parse_scope(copy, &result.scope) == -1 ||
			inet_pton(AF_INET6, copy, result.bytes) != 1)
			return -1;
		result.family = AF_INET6;
	}
	*address = result;
	return 0;
}

const char *
ph_address_text(const ph_address *address, char text[PH_ADDRESS_TEXT])
{
	size_t size;

	text[0] = '\0';
	if (address->family == AF_INET || address->family == AF_INET6)
		inet_ntop(address->family, address->bytes, text, PH_ADDRESS_TEXT);
	else
		snprintf(text, PH_ADDRESS_TEXT, address->family == AF_UNIX ? "local" : "unknown");
	size = strlen(text);
	if (address->family == AF_INET6 && address->scope != 0)
		snprintf(text + size, PH_ADDRESS_TEXT - size, "%%%" PRIu32, address->scope);
	return text;
}

/* The four bytes of an IPv4 address, also of one that is mapped into IPv6; else NULL. */
static const uint8_t *
ipv4_bytes(const ph_address *address)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (address->family == AF_INET)
		return address->bytes;
	if (address->family == AF_INET6 && memcmp(address->bytes, mapped, sizeof(mapped)) == 0)
		return address->bytes + sizeof(mapped);
	return NULL;
}

bool
ph_address_equal(const ph_address *a, const ph_address *b)
{
	const uint8_t *a4 = ipv4_bytes(a);
	const uint8_t *b4 = ipv4_bytes(b);

	if (a4 != NULL && b4 != NULL)
		return memcmp(a4, b4, 4) == 0;
	if (a->family != b->family || a4 != NULL || b4 != NULL)
		return false;
	return a->family != AF_INET6 ||
		(a->scope == b->scope && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0);
}
