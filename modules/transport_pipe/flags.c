#include "flags.h"

#include <ctype.h>
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

int
flags_eol(const char *text, char *eol, size_t size, ph_error *error)
{
	size_t used = 0;

	for (const char *c = text; *c != '\0'; c++) {
		char value = *c;

		if (value == '\\') {
			c++;
			value = *c == 'n' ? '\n' : *c == 'r' ? '\r' : *c == 't' ? '\t' : *c == '\\' ? '\\' : '\0';
		}
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
flags_address(ph_pool *pool, const char *flags, const char *address)
{
	ph_span local = ph_address_local_part(address);
	const char *domain = ph_address_domain(address);
	const char *name = flags_have(flags, 'q') ? ph_pool_copy(pool, local) : ph_address_unquoted(pool, address);
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
