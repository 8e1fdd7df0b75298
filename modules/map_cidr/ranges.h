/*
 * The rules of one family of addresses, laid out along its addresses: ranges, each with the first
 * rule that holds there. A lookup is a binary search.
 */
#ifndef MAP_CIDR_RANGES_H
#define MAP_CIDR_RANGES_H

#include "rules.h"

struct range {
	uint8_t first[16];  /* the address where it begins; it ends where the next one begins */
	uint32_t rule;      /* an index + 1; 0: none holds */
};

struct ranges {
	struct range *items;
	size_t count;       /* 0: no rule is of this family */
	size_t width;       /* bytes of an address */
};

/* family: AF_INET or AF_INET6. The ranges lie in the pool. 0 or -1: no memory. */
int ranges_make(struct ranges *ranges, const struct rules *rules, uint16_t family, ph_pool *pool);
/* The rule that holds for an address of this family, or NULL. */
const struct rule *ranges_find(const struct ranges *ranges, const struct rules *rules,
	const uint8_t *bytes);

#endif
