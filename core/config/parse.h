/*
 * One file of a configuration through libconfuse: its statements in order, with their values.
 */
#ifndef CONFIG_PARSE_H
#define CONFIG_PARSE_H

#include "config/config.h"
#include "config/scan.h"

/* A value or an element of a list, and where it stands (file NULL: a default). owner: the parameter
 * under which it was set, when it came in by way of a "$name"; else NULL. by_default: the text is a
 * default's all the same, to which "+=" added there. */
struct text_item {
	const char *text;
	const char *file;
	int line;
	const char *owner;
	bool by_default;
};

struct statement {
	enum scan_kind kind;
	const char *name;
	const char *title;
	const char *file;
	int line;
	int section;      /* the index of its section among the statements; -1: none */
	bool append, braced;
	bool unknown;     /* the name, or the keyword of a section, is in no table */
	const struct text_item *items;
	size_t item_count;
};

/* The names that a file may use: those of a section's options by keyword. */
struct vocabulary_section {
	const char *keyword;
	const char *const *names;
	size_t count;
};

struct vocabulary {
	const char *const *names; /* outside of sections */
	size_t count;
	const struct vocabulary_section *sections;
	size_t section_count;
};

struct parsed {
	const struct statement *statements;
	size_t count;
};

/*
 * vocabulary NULL: the first pass, in which any name will do. Else a name that is not in it is
 * marked as unknown, for the caller to report. 0; -1 when the syntax is wrong: the problem is
 * added.
 */
int parse_text(ph_pool *pool, const char *path, ph_span text, const struct vocabulary *vocabulary,
	struct parsed *parsed, struct problems *problems);

#endif
