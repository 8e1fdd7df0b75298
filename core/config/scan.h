/*
 * The places of things in a configuration's text: which statement stands where, and in which line.
 * What the values are is libconfuse's affair (parse.c); it tells neither the place of a statement,
 * nor that a list was emptied or appended to, its lines are wrong behind a comment, and its errors
 * do not say what to do. Pure.
 */
#ifndef CONFIG_SCAN_H
#define CONFIG_SCAN_H

#include <posthouse/base.h>

enum scan_kind {
	SCAN_ASSIGNMENT, /* name = value */
	SCAN_CALL,       /* name(item, item) */
	SCAN_SECTION     /* name title { … } */
};

/* A value, an element of a list or an argument, with its quotes: bytes [begin, end) of the text. */
struct scan_item {
	size_t begin, end;
	int line;
};

struct scan_statement {
	enum scan_kind kind;
	const char *name;        /* in the pool */
	const char *title;       /* of a section; in the pool */
	int line;
	int section;             /* the index of the section that it stands in; -1: none */
	bool append;             /* += */
	bool braced;             /* the value is a list in braces */
	size_t begin, end;       /* the whole statement */
	size_t operator_begin;   /* of = or += */
	size_t value_begin, value_end;
	size_t body_end;         /* of a section: its closing brace */
	struct scan_item *items;
	size_t item_count;
};

struct scan {
	struct scan_statement *statements;
	size_t count;
	/* For libconfuse: comments are blank, and ${name} outside of single quotes, which it would
	 * take for a variable of the environment, has SCAN_… in the place of its brackets. Same
	 * length. */
	char *clean;
	int error_line;          /* with a failed scan */
};

#define SCAN_BRACE_OPEN '\x02'
#define SCAN_BRACE_CLOSE '\x03'
#define SCAN_PAREN_OPEN '\x04'
#define SCAN_PAREN_CLOSE '\x05'

/* 0; or -1 with the error and its line: the statements before it are there, and clean. */
int scan_text(ph_pool *pool, ph_span text, struct scan *scan, ph_error *error);

/* The text of a value as it is written: as it is where that can be, else in single quotes. */
const char *scan_quote(ph_pool *pool, const char *value);

#endif
