/*
 * A table of networks: text in, rules out. Pure.
 */
#ifndef MAP_CIDR_RULES_H
#define MAP_CIDR_RULES_H

#include <posthouse/base.h>

enum rule_kind {
	RULE_MATCH, /* network value */
	RULE_IF,
	RULE_ENDIF
};

struct rule {
	enum rule_kind kind;
	uint8_t bytes[16]; /* of the network; IPv4 uses the first four */
	uint16_t family;   /* AF_INET, AF_INET6; RULE_ENDIF: 0 */
	uint8_t length;    /* of the prefix, bits */
	bool negated;      /* what is not in the network, of the same family */
	int line;
	size_t endif;      /* RULE_IF: the index of its endif */
	ph_span pattern;   /* as in the file, in the pool, terminated; so is: */
	ph_span value;
};

struct rules {
	struct rule *items;
	size_t count;
};

/* 0, or -1: "name:line: what is wrong". */
int cidr_parse(struct rules *rules, ph_pool *pool, const char *name, ph_span text,
	ph_error *error);

#endif
