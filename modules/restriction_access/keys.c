#include "keys.h"

#include <string.h>

ph_found
keys_whole(struct lookup *lookup, const char *key)
{
	return ph_map_find(lookup->session, lookup->map, key, &lookup->value);
}

/* A part of what is known: nothing for tables of patterns. */
static ph_found
find_part(struct lookup *lookup, const char *key)
{
	return ph_map_find_fixed(lookup->session, lookup->map, key, &lookup->value);
}

static const char *
copy(struct lookup *lookup, const char *text, size_t size)
{
	return ph_pool_copy(ph_scratch_pool(lookup->session), (ph_span){text, size});
}

/* Without a final dot, which no table has. NULL: no memory. */
static const char *
without_dot(struct lookup *lookup, const char *domain)
{
	size_t size = strlen(domain);

	return size > 1 && domain[size - 1] == '.' ? copy(lookup, domain, size - 1) : domain;
}

static ph_found
find_parents(struct lookup *lookup, const char *domain)
{
	ph_found found = PH_NOT_FOUND;
	const char *dot = domain;

	while (found == PH_NOT_FOUND && domain[0] != '[' && (dot = strchr(dot, '.')) != NULL &&
		dot[1] != '\0') {
		found = find_part(lookup, lookup->dotted ? dot : dot + 1);
		dot++;
	}
	return found;
}

ph_found
keys_domain(struct lookup *lookup, const char *domain)
{
	ph_found found;

	if ((domain = without_dot(lookup, domain)) == NULL)
		return PH_FAILED;
	found = keys_whole(lookup, domain);
	return found != PH_NOT_FOUND ? found : find_parents(lookup, domain);
}

ph_found
keys_address(struct lookup *lookup, const ph_address *address)
{
	char text[PH_ADDRESS_TEXT], *last;
	ph_found found;

	ph_address_text(address, text);
	found = keys_whole(lookup, text);
	while (found == PH_NOT_FOUND && (last = strrchr(text, strchr(text, ':') != NULL ? ':' : '.')) != NULL) {
		*last = '\0';
		if (text[0] != '\0' && last[-1] != ':')
			found = find_part(lookup, text);
	}
	return found;
}

/* "user@", and without its extension. */
static ph_found
find_user(struct lookup *lookup, ph_span local, size_t bare)
{
	ph_pool *pool = ph_scratch_pool(lookup->session);
	const char *key = ph_pool_printf(pool, "%.*s@", (int)local.size, local.data);
	ph_found found = key != NULL ? find_part(lookup, key) : PH_FAILED;

	if (found != PH_NOT_FOUND || bare == 0)
		return found;
	key = ph_pool_printf(pool, "%.*s@", (int)bare, local.data);
	return key != NULL ? find_part(lookup, key) : PH_FAILED;
}

static ph_found
find_mailbox(struct lookup *lookup, const char *address, const char *delimiter)
{
	ph_span local = ph_address_local_part(address);
	const char *domain = ph_address_domain(address), *key;
	size_t user = ph_address_user(address, delimiter).size, bare = user < local.size ? user : 0;
	ph_found found = keys_whole(lookup, address);

	if (found == PH_NOT_FOUND && bare > 0) {
		key = ph_pool_printf(ph_scratch_pool(lookup->session), "%.*s%s%s", (int)bare, local.data,
			domain[0] != '\0' ? "@" : "", domain);
		found = key != NULL ? find_part(lookup, key) : PH_FAILED;
	}
	if (found == PH_NOT_FOUND && domain[0] != '\0') {
		found = find_part(lookup, domain);
		if (found == PH_NOT_FOUND)
			found = find_parents(lookup, domain);
	}
	return found != PH_NOT_FOUND ? found : find_user(lookup, local, bare);
}

ph_found
keys_mailbox(struct lookup *lookup, const char *address, const char *delimiter)
{
	if (ph_address_domain(address)[0] == '\0' && lookup->origin[0] != '\0')
		address = ph_pool_printf(
			ph_scratch_pool(lookup->session), "%s@%s", address, lookup->origin);
	return address != NULL ? find_mailbox(lookup, address, delimiter) : PH_FAILED;
}
