/*
 * A table of patterns: text in, compiled rules out, and the first that matches a key.
 */
#ifndef MAP_REGEX_RULES_H
#define MAP_REGEX_RULES_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <posthouse/base.h>

/* Whose syntax a table has: pcre_table(5)'s or regexp_table(5)'s. */
enum rules_syntax {
	RULES_PERL,
	RULES_POSIX
};

enum rule_kind {
	RULE_MATCH, /* /pattern/ value */
	RULE_IF,
	RULE_ENDIF
};

/* A piece of a value: literal text, or what a group of the pattern matched. */
struct piece {
	ph_span text;
	uint32_t group; /* with text.data NULL */
};

struct rule {
	enum rule_kind kind;
	bool negated;
	int line;
	size_t endif;      /* RULE_IF: the index of its endif */
	pcre2_code *code;  /* freed by rules_free() */
	pcre2_code *except; /* /pattern/!/except/: must not match; NULL without one; freed like code */
	ph_span pattern;   /* as in the file, with "!", delimiters and flags */
	ph_span value;     /* as in the file */
	struct piece *pieces;
	size_t piece_count;
};

struct rules {
	struct rule *items;
	size_t count;
};

/* What one match may use, at most: an address of a peer must not burn time or memory. */
enum {
	RULES_MATCH_LIMIT = 200000,
	RULES_DEPTH_LIMIT = 10000,
	RULES_HEAP_LIMIT = 1024 /* KiB */
};

/* Everything but the compiled patterns lies in the pool. 0, or -1: "name:line: what is wrong". */
int regex_parse(struct rules *rules, ph_pool *pool, const char *name, ph_span text,
	enum rules_syntax syntax, ph_error *error);
void rules_free(struct rules *rules);

/* The value for a key, in the pool. PH_FAILED: a limit was hit (error names the line), no
 * memory. */
ph_found rules_find(const struct rules *rules, pcre2_match_context *context, ph_pool *pool,
	const char *name, ph_span key, ph_span *value, ph_error *error);

#endif
