#include "config/domainclass.h"

#include <stddef.h>

#include "config/match.h"

static const struct {
	enum domain_class class;
	const char *parameter;
	size_t offset;
} classes[] = {
	{DOMAIN_LOCAL, "mydestination", offsetof(struct settings, mydestination)},
	{DOMAIN_VIRTUAL_ALIAS, "virtual_alias_domains", offsetof(struct settings, virtual_alias_domains)},
	{DOMAIN_VIRTUAL_MAILBOX, "virtual_mailbox_domains",
		offsetof(struct settings, virtual_mailbox_domains)},
	{DOMAIN_RELAY, "relay_domains", offsetof(struct settings, relay_domains)},
};

static bool
has_parents(const struct settings *settings, const char *parameter)
{
	const ph_strings *list = &settings->parent_domain_matches_subdomains;

	for (size_t i = 0; i < list->count; i++)
		if (ph_strcasecmp(list->items[i], parameter) == 0)
			return true;
	return false;
}

static ph_found
is_in(const struct settings *settings, size_t number, const char *domain, ph_error *error)
{
	const char *at = (const char *)settings + classes[number].offset;
	const ph_match_list *list = *(const ph_match_list *const *)(const void *)at;

	if (list == NULL)
		return PH_NOT_FOUND;
	if (has_parents(settings, classes[number].parameter))
		return match_with_parents(list, domain, error);
	return ph_match(list, domain, error);
}

enum domain_class
domain_class(const struct settings *settings, const char *domain, ph_error *error)
{
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		switch (is_in(settings, i, domain, error)) {
		case PH_FOUND:
			return classes[i].class;
		case PH_FAILED:
			return DOMAIN_FAILED;
		case PH_NOT_FOUND:
			break;
		}
	return DOMAIN_FOREIGN;
}

const char *
domain_class_parameter(enum domain_class class)
{
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (classes[i].class == class)
			return classes[i].parameter;
	return "";
}
