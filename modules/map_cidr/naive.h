/* What a table says, one rule after the other: the tests and the fuzz target compare with it. */
#ifndef MAP_CIDR_NAIVE_H
#define MAP_CIDR_NAIVE_H

#include "rules.h"

static inline bool
naive_holds(const struct rule *rule, uint16_t family, const uint8_t *bytes)
{
	if (rule->family != family)
		return false;
	for (unsigned bit = 0; bit < rule->length; bit++)
		if (((rule->bytes[bit / 8] ^ bytes[bit / 8]) << bit % 8 & 0x80) != 0)
			return rule->negated;
	return !rule->negated;
}

static inline const struct rule *
naive_find(const struct rules *rules, uint16_t family, const uint8_t *bytes)
{
	for (size_t i = 0; i < rules->count; i++) {
		const struct rule *rule = &rules->items[i];
		bool holds = rule->kind != RULE_ENDIF && naive_holds(rule, family, bytes);

		if (rule->kind == RULE_IF && !holds)
			i = rule->endif;
		if (rule->kind == RULE_MATCH && holds)
			return rule;
	}
	return NULL;
}

#endif
