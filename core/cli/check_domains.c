/*
 * Settings that contradict each other, or give more than can be meant.
 */
#include "cli/check.h"

#include <string.h>
#include <sys/socket.h>

#include "config/domainclass.h"
#include "config/grow.h"
#include "config/networks.h"
#include "process/endpoints.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The elements in force of a parameter that is set outside of sections; 0 of a default, or when
 * something is wrong with it. */
static const struct text_item *
items_of(const struct config *config, const char *name, size_t *count)
{
	const struct parameter *parameter = parameter_find(config, name);
	const struct setting *setting = setting_find(&config->set, name);
	const struct text_item *items;
	ph_error error;

	*count = 0;
	if (!parameter || !setting || items_expand(config, NULL, parameter->param, setting->items,
		setting->count, &items, count, &error) != 0) {
		*count = 0;
		return NULL;
	}
	return items;
}

/* ---- A domain of two classes ----------------------------------------------------------------- */

/* A domain that is written out; not a table, a file, an exception, or another parameter's. */
static bool
is_written(const struct text_item *item)
{
	return item->file && !item->owner && !strpbrk(item->text, ":/!");
}

static void
check_twice(const struct config *config, struct problems *problems, const struct text_item *item,
	const char *parameter, const char *first)
{
	size_t count;
	const struct text_item *items = items_of(config, first, &count);

	for (size_t i = 0; i < count; i++)
		if (is_written(&items[i]) && ph_strcasecmp(items[i].text, item->text) == 0)
			problems_warn(problems, item->file, item->line,
				"%s: %s is in %s too (line %d), which decides of it, so that it means nothing "
				"here; delete it from one of them", parameter, item->text, first,
				items[i].line);
}

static void
check_classes(const struct config *config, struct problems *problems)
{
	/* A domain that is in several is in the first of them. */
	static const enum domain_class order[] = {DOMAIN_LOCAL, DOMAIN_VIRTUAL_ALIAS,
		DOMAIN_VIRTUAL_MAILBOX, DOMAIN_RELAY};

	for (size_t c = 1; c < COUNT(order); c++) {
		const char *parameter = domain_class_parameter(order[c]);
		size_t count;
		const struct text_item *items = items_of(config, parameter, &count);

		for (size_t i = 0; i < count; i++)
			for (size_t before = 0; before < c && is_written(&items[i]); before++)
				check_twice(config, problems, &items[i], parameter,
					domain_class_parameter(order[before]));
	}
}

/* ---- Networks -------------------------------------------------------------------------------- */

/* Is that more than anybody has, and not private (RFC 4193, RFC 4291)? All of the world was told of
 * when the configuration was read. */
static bool
is_vast(const struct network *network)
{
	const uint8_t *bytes = network->address.bytes;

	if (network->excluded || network->length == 0)
		return false;
	if (network->address.family == AF_INET)
		return network->length < 8;
	if (network->length >= 7 && (bytes[0] & 0xfe) == 0xfc)
		return false;
	return network->length < 16 && !(network->length >= 10 && bytes[0] == 0xfe &&
		(bytes[1] & 0xc0) == 0x80);
}

static void
check_networks(const struct config *config, struct problems *problems)
{
	size_t count;
	const struct text_item *items = items_of(config, "mynetworks", &count);

	for (size_t i = 0; i < count; i++) {
		struct network network;
		ph_error error;

		if (items[i].file &&
			network_parse(ph_span_of(items[i].text), &network, &error) == 0 &&
			is_vast(&network))
			problems_warn(problems, items[i].file, items[i].line,
				"mynetworks: %s is more than anybody's own network, and permit_mynetworks lets "
				"all of it relay; name only networks that are yours", items[i].text);
	}
}

/* ---- relayhost ------------------------------------------------------------------------------- */

/* "[host]:port", which is not looked up as a domain. */
static bool
read_host(const struct config *config, const char *text, const char **host, int64_t *port)
{
	const char *end = text[0] == '[' ? strchr(text, ']') : NULL;

	if (!end)
		return false;
	*host = memory_or_die(ph_pool_copy(config->pool, (ph_span){text + 1, (size_t)(end - text) - 1}));
	*port = 25;
	return !end[1] || (end[1] == ':' && ph_parse_int(ph_span_of(end + 2), 1, 65535, port) == 0);
}

static bool
is_loopback(const char *host)
{
	ph_address address;

	if (ph_strcasecmp(host, "localhost") == 0)
		return true;
	if (ph_address_parse(ph_span_of(host), &address) != 0)
		return false;
	return address.family == AF_INET ? address.bytes[0] == 127
		: memcmp(address.bytes, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16) == 0;
}

/* Would a connection to that host come to this listener? */
static bool
leads_to(const struct endpoint *endpoint, const char *host, int64_t port, const char *myhostname)
{
	static const uint8_t zero[16];
	ph_address address;

	if (endpoint->is_unix || endpoint->address.port != port)
		return false;
	if (ph_strcasecmp(host, myhostname) == 0)
		return true;
	if (ph_address_parse(ph_span_of(host), &address) == 0 &&
		ph_address_equal(&address, &endpoint->address))
		return true;
	return is_loopback(host) && memcmp(endpoint->address.bytes, zero, sizeof(zero)) == 0;
}

static void
check_relayhost(const struct config *config, struct problems *problems)
{
	const struct settings *settings = config_settings(config);
	const struct setting *setting = setting_find(&config->set, "relayhost");
	struct ph_endpoints endpoints;
	const char *host;
	int64_t port;

	if (!setting || !read_host(config, settings->relayhost, &host, &port))
		return;
	endpoints_collect(&endpoints, config->pool, config, NULL);
	for (size_t i = 0; i < endpoints.count; i++)
		if (leads_to(&endpoints.items[i], host, port, settings->myhostname)) {
			problems_warn(problems, setting->file, setting->line,
				"relayhost: %s is this host itself, listener %s: mail for elsewhere comes back "
				"until it is returned as looping; name the host that takes it, or leave "
				"relayhost empty", settings->relayhost, endpoints.items[i].listener->name);
			return;
		}
}

/* ---- Names that nobody has ------------------------------------------------------------------- */

/* Who takes mail for unknown users gets none from SMTP clients where those are refused before. */
static void
check_unknown_users(const struct config *config, struct problems *problems)
{
	static const char *const parameters[] = {"fallback_transport", "fallback_transport_maps",
		"luser_relay"};
	const char *maps = config_value(config, "local_recipient_maps", true);
	const char *refuses = config_value(config, "smtpd_reject_unlisted_recipient", true);

	/* a table that has every name refuses none */
	if (!maps || *maps == '\0' || strstr(maps, "static:") ||
		(refuses && strcmp(refuses, "no") == 0))
		return;
	for (size_t i = 0; i < COUNT(parameters); i++) {
		const struct setting *setting = setting_find(&config->set, parameters[i]);
		const char *value = setting ? config_value(config, parameters[i], true) : NULL;

		if (value && *value)
			problems_warn(problems, setting->file, setting->line,
				"%s: SMTP clients are told \"User unknown\" of names that local_recipient_maps does not "
				"have, before this is asked; write local_recipient_maps = {}", parameters[i]);
	}
}

void
check_domains(const struct config *config, struct problems *problems)
{
	check_unknown_users(config, problems);
	check_classes(config, problems);
	check_networks(config, problems);
	check_relayhost(config, problems);
}
