#include "session/peername.h"

#include <string.h>
#include <sys/socket.h>

#include <posthouse/dns.h>
#include <posthouse/log.h>

enum { NAME_MOST = 255, LABEL_MOST = 63 };

static const char invalid_character[] = "invalid character";

/* ---- Is it a host name? ---------------------------------------------------------------------- */

static bool
is_letter(unsigned char c)
{
	/* No underscore belongs into a host name; there are mail servers whose name has one. */
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* What is wrong at this place of a name, or NULL. label: how much of the label is before it. */
static const char *
fault_at(const char *at, size_t label)
{
	unsigned char c = (unsigned char)*at;

	if (c == '.')
		return label == 0 || at[1] == '\0' ? "misplaced delimiter" : NULL;
	if (label >= LABEL_MOST)
		return "hostname label too long";
	if (c == '-')
		return label == 0 || at[1] == '\0' || at[1] == '.' ? "misplaced hyphen" : NULL;
	return is_letter(c) || (c >= '0' && c <= '9') ? NULL : invalid_character;
}

/* What is wrong with a name, or NULL; end: how far it was read. */
static const char *
find_fault(const char *name, const char **end)
{
	const char *at;
	bool lettered = false;
	size_t label = 0;

	for (at = name; *at != '\0'; at++) {
		const char *fault = fault_at(at, label);

		*end = at;
		if (fault != NULL)
			return fault;
		label = *at == '.' ? 0 : label + 1;
		lettered = lettered || is_letter((unsigned char)*at);
	}
	if (!lettered)
		return "numeric hostname";
	return at - name > NAME_MOST ? "hostname too long" : NULL;
}

/* Logs why one is none. */
static bool
is_name(const char *name)
{
	ph_address address;
	const char *end = name, *fault;

	if (*name == '\0') {
		ph_log(PH_LOG_WARNING, "valid_hostname: empty hostname");
		return false;
	}
	if (ph_address_parse(ph_span_of(name), &address) == 0) {
		ph_log(PH_LOG_WARNING, "numeric hostname: %s", name);
		return false;
	}
	fault = find_fault(name, &end);
	if (fault == invalid_character)
		ph_log(PH_LOG_WARNING, "valid_hostname: %s %d(decimal): %.100s", fault,
			(unsigned char)*end, name);
	else if (fault != NULL)
		ph_log(PH_LOG_WARNING, "valid_hostname: %s: %.100s", fault, name);
	return fault == NULL;
}

/* ---- The lookups ----------------------------------------------------------------------------- */

static void
log_mismatch(const char *name, const ph_address *client, const char *why)
{
	char text[PH_ADDRESS_TEXT];

	ph_log(PH_LOG_WARNING, "hostname %s does not resolve to address %s%s", name,
		ph_address_text(client, text), why);
}

ph_found
peername_verify(ph_pool *pool, const char *name, const ph_address *client)
{
	ph_dns_type type = client->family == AF_INET ? PH_DNS_A : PH_DNS_AAAA;
	const ph_dns_answer *answer = ph_dns_query(pool, type, name);

	switch (ph_dns_status(answer)) {
	case PH_DNS_TEMPFAIL:
		log_mismatch(name, client, ": Temporary failure in name resolution");
		return PH_FAILED;
	case PH_DNS_NXDOMAIN:
		log_mismatch(name, client, ": Name or service not known");
		return PH_NOT_FOUND;
	case PH_DNS_NODATA:
		log_mismatch(name, client, ": No address associated with hostname");
		return PH_NOT_FOUND;
	case PH_DNS_FOUND:
		break;
	}
	for (size_t i = 0; i < ph_dns_count(answer); i++) {
		ph_address address = ph_dns_address(answer, i);

		if (ph_address_equal(&address, client))
			return PH_FOUND;
	}
	log_mismatch(name, client, "");
	return PH_NOT_FOUND;
}

void
peername_find(ph_pool *pool, const ph_address *client, struct peername *names)
{
	const ph_dns_answer *answer;

	*names = (struct peername){.reverse_found = PH_NOT_FOUND, .forward_found = PH_NOT_FOUND};
	if (client->family != AF_INET && client->family != AF_INET6)
		return;
	answer = ph_dns_reverse(pool, client);
	if (ph_dns_status(answer) == PH_DNS_TEMPFAIL) {
		names->reverse_found = names->forward_found = PH_FAILED;
		return;
	}
	if (ph_dns_count(answer) == 0 || !is_name(ph_dns_name(answer, 0)))
		return;
	names->reverse = ph_dns_name(answer, 0);
	names->reverse_found = PH_FOUND;
	names->forward_found = peername_verify(pool, names->reverse, client);
}
