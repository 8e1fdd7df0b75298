#include "flags.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

#include <posthouse/address.h>

static const char known[] = "BDFORXhqu.>";

int
flags_check(const char *flags, ph_error *error)
{
	size_t good = strspn(flags, known);

	if (flags[good] == '\0')
		return 0;
	return ph_error_set(error, "flags = %s: \"%c\" is no flag; there are %s", flags, flags[good], known);
}

bool
flags_have(const char *flags, char flag)
{
	return strchr(flags, flag) != NULL;
}

/* The byte that is written behind a backslash; moves behind it. 0: none is. */
static char
escaped(const char **text)
{
	static const char letters[] = "abfnrtv\\", bytes[] = "\a\b\f\n\r\t\v\\";
	const char *found = **text != '\0' ? strchr(letters, **text) : NULL;
	unsigned number = 0;

	if (found != NULL) {
		++*text;
		return bytes[found - letters];
	}
	for (int i = 0; i < 3 && **text >= '0' && **text <= '7'; i++)
		number = number * 8 + (unsigned)(*(*text)++ - '0');
	return number <= UCHAR_MAX ? (char)(unsigned char)number : '\0';
}

int
flags_eol(const char *text, char *eol, size_t size, ph_error *error)
{
	const char *at = text;
	size_t used = 0;

	while (*at != '\0') {
		char value = *at++;

		if (value == '\\')
			value = escaped(&at);
		if (value == '\0' || used + 1 >= size)
			return ph_error_set(error, "eol = %s: expected \\n, \\r\\n, or a few characters", text);
		eol[used++] = value;
	}
	eol[used] = '\0';
	return used > 0 ? 0 : ph_error_set(error, "eol: expected \\n or \\r\\n");
}

static void
fold(char *from, const char *end)
{
	for (; from < end; from++)
		*from = (char)tolower((unsigned char)*from);
}

const char *
flags_address(ph_pool *pool, const char *flags, bool quoted, const char *address)
{
	ph_span local = ph_address_local_part(address);
	const char *domain = ph_address_domain(address);
	const char *name = quoted ? ph_pool_copy(pool, local) : ph_address_unquoted(pool, address);
	char *copy = name == NULL ? NULL :
		ph_pool_printf(pool, "%s%s%s", name, *domain != '\0' ? "@" : "", domain);
	char *at;

	if (copy == NULL)
		return NULL;
	at = copy + strlen(name);
	if (flags_have(flags, 'u'))
		fold(copy, at);
	if (flags_have(flags, 'h'))
		fold(at, at + strlen(at));
	return copy;
}
