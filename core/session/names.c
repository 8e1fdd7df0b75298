/*
 * Host names and address literals: what is well-formed.
 */
#include <posthouse/address.h>

#include <string.h>
#include <sys/socket.h>

#define MAX_NAME 255
#define MAX_LABEL 63

static bool
is_digit(unsigned char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter_or_digit(unsigned char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The length of the label at the start of text, or 0 when it is none. */
static size_t
label_length(const char *text)
{
	size_t n = 0;

	while (is_letter_or_digit((unsigned char)text[n]) || text[n] == '-')
		n++;
	if (n == 0 || n > MAX_LABEL || text[0] == '-' || text[n - 1] == '-')
		return 0;
	return n;
}

static bool
all_digits(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (!is_digit((unsigned char)text[i]))
			return false;
	return true;
}

/* The number of labels, or 0 when name is no host name. */
static unsigned
count_labels(const char *name)
{
	unsigned labels = 0;
	bool numeric = true;
	const char *p = name;

	if (strlen(name) > MAX_NAME)
		return 0;
	for (;;) {
		size_t n = label_length(p);

		if (n == 0)
			return 0;
		labels++;
		numeric = numeric && all_digits(p, n);
		p += n;
		if (*p == '\0')
			return numeric ? 0 : labels;
		if (*p++ != '.')
			return 0;
	}
}

bool
ph_is_hostname(const char *name)
{
	return count_labels(name) > 0;
}

bool
ph_is_fqdn(const char *name)
{
	return count_labels(name) >= 2;
}

bool
ph_is_literal(const char *text, ph_address *address)
{
	size_t size = strlen(text);
	ph_address parsed;
	ph_span inner;
	const ph_span tag = {"IPv6:", 5};
	bool v6;

	if (size < 3 || text[0] != '[' || text[size - 1] != ']')
		return false;
	inner = (ph_span){text + 1, size - 2};
	v6 = inner.size > tag.size && ph_span_equal_nocase((ph_span){inner.data, tag.size}, tag);
	if (v6)
		inner = (ph_span){inner.data + tag.size, inner.size - tag.size};
	if (ph_address_parse(inner, &parsed) == -1 || parsed.family != (v6 ? AF_INET6 : AF_INET))
		return false;
	if (address != NULL)
		*address = parsed;
	return true;
}
