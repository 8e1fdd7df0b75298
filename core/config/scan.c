#include "config/scan.h"

#include <string.h>

#include "config/grow.h"

enum token_kind {
	TOKEN_END,
	TOKEN_WORD,   /* unquoted */
	TOKEN_STRING, /* in quotes */
	TOKEN_SIGN    /* { } ( ) = , or += */
};

struct token {
	enum token_kind kind;
	char sign;       /* '+' stands for += */
	size_t begin, end;
	int line;
};

struct scanner {
	ph_pool *pool;
	ph_span text;
	size_t at;
	int line;
	struct token token;  /* the one in hand */
	struct scan *scan;
	size_t statement_room;
	ph_error *error;
};

static int
fail(struct scanner *scanner, int line, const char *text)
{
	scanner->scan->error_line = line;
	return ph_error_set(scanner->error, "%s", text);
}

#define FAIL(scanner, at_line, ...) \
	(ph_error_set((scanner)->error, __VA_ARGS__), (scanner)->scan->error_line = (at_line), -1)

static char
peek(const struct scanner *scanner, size_t ahead)
{
	size_t at = scanner->at + ahead;

	return at < scanner->text.size ? scanner->text.data[at] : '\0';
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		c == '_';
}

/* Characters that end an unquoted word. "*" and "+" libconfuse drops silently: they are refused. */
static bool
ends_word(char c)
{
	return c == '\0' || is_blank(c) || strchr("\"'#(){}=,+*", c) != NULL;
}

/* Goes on by one byte; in a comment it becomes blank. */
static void
advance(struct scanner *scanner, bool comment)
{
	char c = scanner->text.data[scanner->at];

	if (c == '\n')
		scanner->line++;
	else if (comment)
		scanner->scan->clean[scanner->at] = ' ';
	scanner->at++;
}

static int
skip_block_comment(struct scanner *scanner)
{
	int line = scanner->line;

	advance(scanner, true);
	advance(scanner, true);
	while (scanner->at < scanner->text.size) {
		if (peek(scanner, 0) == '*' && peek(scanner, 1) == '/') {
			advance(scanner, true);
			advance(scanner, true);
			return 0;
		}
		advance(scanner, true);
	}
	return fail(scanner, line, "this comment is never closed: expected */");
}

static int
skip_blanks(struct scanner *scanner)
{
	for (;;) {
		char c = peek(scanner, 0), next = peek(scanner, 1);

		if (scanner->at >= scanner->text.size)
			return 0;
		if (is_blank(c)) {
			advance(scanner, false);
		} else if (c == '#' || (c == '/' && next == '/')) {
			while (scanner->at < scanner->text.size && peek(scanner, 0) != '\n')
				advance(scanner, true);
		} else if (c == '/' && next == '*') {
			if (skip_block_comment(scanner) != 0)
				return -1;
		} else {
			return 0;
		}
	}
}

/* ${name} or $(name) at the scanner: goes over it and hides its brackets. false: it is none. */
static bool
take_reference(struct scanner *scanner)
{
	char open = peek(scanner, 1), close = open == '{' ? '}' : ')';
	size_t size = 2;

	if (peek(scanner, 0) != '$' || (open != '{' && open != '('))
		return false;
	while (is_name_char(peek(scanner, size)))
		size++;
	if (size == 2 || peek(scanner, size) != close)
		return false;
	scanner->scan->clean[scanner->at + 1] = open == '{' ? SCAN_BRACE_OPEN : SCAN_PAREN_OPEN;
	scanner->scan->clean[scanner->at + size] = open == '{' ? SCAN_BRACE_CLOSE
		: SCAN_PAREN_CLOSE;
	scanner->at += size + 1;
	return true;
}

static int
take_word(struct scanner *scanner)
{
	while (scanner->at < scanner->text.size && !ends_word(peek(scanner, 0))) {
		if (peek(scanner, 0) == '/' && peek(scanner, 1) == '*')
			break;
		if (!take_reference(scanner))
			scanner->at++;
	}
	if (peek(scanner, 0) == '*' || (peek(scanner, 0) == '+' && peek(scanner, 1) != '='))
		return FAIL(scanner, scanner->line,
			"a value that holds %c is written in quotes: '…'", peek(scanner, 0));
	return 0;
}

static int
take_string(struct scanner *scanner)
{
	char quote = peek(scanner, 0);
	int line = scanner->line;

	advance(scanner, false);
	while (scanner->at < scanner->text.size && peek(scanner, 0) != quote) {
		if (quote == '"' && take_reference(scanner))
			continue;
		if (peek(scanner, 0) == '\\' && scanner->at + 1 < scanner->text.size)
			advance(scanner, false);
		advance(scanner, false);
	}
	if (scanner->at >= scanner->text.size)
		return FAIL(scanner, line,
			"the quote that begins here is never closed: expected %c", quote);
	advance(scanner, false);
	return 0;
}

/* Puts the next token in hand. */
static int
next(struct scanner *scanner)
{
	struct token *token = &scanner->token;
	char c;

	if (skip_blanks(scanner) != 0)
		return -1;
	c = peek(scanner, 0);
	*token = (struct token){.begin = scanner->at, .line = scanner->line};
	if (scanner->at >= scanner->text.size)
		return 0;
	if (c == '\0')
		return fail(scanner, scanner->line, "a NUL byte: this is no text file");
	if (strchr("{}()=,", c) || (c == '+' && peek(scanner, 1) == '=')) {
		token->kind = TOKEN_SIGN;
		token->sign = c;
		scanner->at += c == '+' ? 2 : 1;
	} else if (c == '"' || c == '\'') {
		token->kind = TOKEN_STRING;
		if (take_string(scanner) != 0)
			return -1;
	} else {
		token->kind = TOKEN_WORD;
		if (take_word(scanner) != 0)
			return -1;
	}
	token->end = scanner->at;
	return 0;
}

static bool
is_sign(const struct scanner *scanner, char sign)
{
	return scanner->token.kind == TOKEN_SIGN && scanner->token.sign == sign;
}

static bool
is_value(const struct scanner *scanner)
{
	return scanner->token.kind == TOKEN_WORD || scanner->token.kind == TOKEN_STRING;
}

/* The token's text for an error, cut. */
static int
shown(const struct token *token)
{
	size_t size = token->end - token->begin;

	return size > 40 ? 40 : (int)size;
}

static const char *
start_of(const struct scanner *scanner)
{
	return scanner->text.data + scanner->token.begin;
}

/* The token's text, without its quotes. */
static const char *
token_text(struct scanner *scanner)
{
	const struct token *token = &scanner->token;
	size_t quote = token->kind == TOKEN_STRING ? 1 : 0;
	ph_span span = {scanner->text.data + token->begin + quote,
		token->end - token->begin - 2 * quote};

	return memory_or_die(ph_pool_copy(scanner->pool, span));
}

static size_t
new_statement(struct scanner *scanner, int section)
{
	struct scan *scan = scanner->scan;
	const struct token *token = &scanner->token;

	scan->statements = grow(scanner->pool, scan->statements, scan->count,
		&scanner->statement_room, sizeof(*scan->statements));
	scan->statements[scan->count] = (struct scan_statement){.name = token_text(scanner),
		.line = token->line, .section = section, .begin = token->begin, .end = token->end};
	return scan->count++;
}

static void
add_item(struct scanner *scanner, struct scan_statement *statement, size_t *room)
{
	const struct token *token = &scanner->token;

	statement->items = grow(scanner->pool, statement->items, statement->item_count, room,
		sizeof(*statement->items));
	statement->items[statement->item_count++] =
		(struct scan_item){.begin = token->begin, .end = token->end, .line = token->line};
}

/* A brace is in hand, right behind a value that ends with a colon: "inline:{a=b}" without
 * quotes. */
static bool
is_braced_table(const struct scanner *scanner, const struct scan_statement *statement)
{
	const struct scan_item *last = statement && statement->item_count
		? &statement->items[statement->item_count - 1] : NULL;

	return is_sign(scanner, '{') && last && last->end == scanner->token.begin &&
		scanner->text.data[last->end - 1] == ':';
}

static int
fail_braced_table(struct scanner *scanner, const struct scan_statement *statement)
{
	const struct scan_item *last = &statement->items[statement->item_count - 1];
	int size = last->end - last->begin > 40 ? 40 : (int)(last->end - last->begin);

	return FAIL(scanner, last->line, "%s: a table in braces is written in quotes: '%.*s{ … }'",
		statement->name, size, scanner->text.data + last->begin);
}

/* What stands where a comma or the end of a list was expected. */
static int
fail_in_list(struct scanner *scanner, const struct scan_statement *statement, char close)
{
	const struct token *token = &scanner->token;
	const struct scan_item *last = statement->item_count
		? &statement->items[statement->item_count - 1] : NULL;

	if (token->kind == TOKEN_END)
		return FAIL(scanner, statement->line, "the list of %s is never closed: expected %c",
			statement->name, close);
	if (is_braced_table(scanner, statement))
		return fail_braced_table(scanner, statement);
	if (!last || last->end == token->begin || token->kind == TOKEN_SIGN ||
		last->line == token->line)
		return FAIL(scanner, token->line, "unexpected \"%.*s\" in the list of %s: %s",
			shown(token),
			start_of(scanner), statement->name,
			close == ')' ? "names are separated by commas"
			: "an element with spaces or one of = ( ) { } , in it is written in quotes, as a "
			  "restriction with its argument: 'reject_rbl_client zen.example'");
	return FAIL(scanner, token->line,
		"expected a comma or %c before \"%.*s\" in the list of %s, which "
		"begins on line %d", close, shown(token), start_of(scanner), statement->name, statement->line);
}

/* Elements up to the closing sign, which is in hand afterwards. */
static int
take_list(struct scanner *scanner, size_t index, char close)
{
	struct scan_statement *statement = &scanner->scan->statements[index];
	size_t room = 0;

	for (;;) {
		if (next(scanner) != 0)
			return -1;
		if (is_sign(scanner, close))
			return 0;
		if (!is_value(scanner))
			return fail_in_list(scanner, statement, close);
		add_item(scanner, statement, &room);
		if (next(scanner) != 0)
			return -1;
		if (is_sign(scanner, close))
			return 0;
		if (!is_sign(scanner, ','))
			return fail_in_list(scanner, statement, close);
	}
}

static int
take_assignment(struct scanner *scanner, size_t index)
{
	struct scan_statement *statement = &scanner->scan->statements[index];
	size_t room = 0;

	statement->append = scanner->token.sign == '+';
	statement->operator_begin = scanner->token.begin;
	if (next(scanner) != 0)
		return -1;
	statement->value_begin = scanner->token.begin;
	if (is_sign(scanner, '{')) {
		statement->braced = true;
		if (take_list(scanner, index, '}') != 0)
			return -1;
	} else if (!is_value(scanner) || scanner->token.line != statement->line) {
		return FAIL(scanner, statement->line,
			"expected a value after %s %s ('' is an empty one)",
			statement->name, statement->append ? "+=" : "=");
	} else {
		add_item(scanner, statement, &room);
	}
	statement->value_end = statement->end = scanner->token.end;
	return next(scanner);
}

static int
take_call(struct scanner *scanner, size_t index)
{
	struct scan_statement *statement = &scanner->scan->statements[index];

	statement->kind = SCAN_CALL;
	statement->value_begin = scanner->token.end;
	if (take_list(scanner, index, ')') != 0)
		return -1;
	statement->value_end = scanner->token.begin;
	statement->end = scanner->token.end;
	return next(scanner);
}

static int take_statements(struct scanner *scanner, int section);

static int
take_section(struct scanner *scanner, size_t index)
{
	struct scan_statement *statement = &scanner->scan->statements[index];

	statement->kind = SCAN_SECTION;
	statement->value_begin = scanner->token.end;
	if (statement->section != -1) {
		const struct scan_statement *outer = &scanner->scan->statements[statement->section];

		return FAIL(scanner, statement->line,
			"%s %s: a section within a section; the } of %s %s, which "
			"begins on line %d, is missing before it", statement->name, statement->title, outer->name,
			outer->title, outer->line);
	}
	if (next(scanner) != 0 || take_statements(scanner, (int)index) != 0)
		return -1;
	statement = &scanner->scan->statements[index];
	if (!is_sign(scanner, '}'))
		return FAIL(scanner, statement->line,
			"the section %s %s is never closed: expected }",
			statement->name, statement->title);
	statement->body_end = statement->value_end = scanner->token.begin;
	statement->end = scanner->token.end;
	return next(scanner);
}

/* A name is followed by something that makes no statement. The value before it explains most of
 * these: "mynetworks = 10.0.0.0/8 127.0.0.0/8". */
static int
fail_after_name(struct scanner *scanner, size_t index)
{
	const struct scan_statement *statement = &scanner->scan->statements[index];
	const struct scan_statement *before = index ? statement - 1 : NULL;

	scanner->scan->count--;
	if (before && before->kind == SCAN_ASSIGNMENT && before->line == statement->line)
		return FAIL(scanner, statement->line,
			"unexpected \"%.40s\" after the value of %s: a list is "
			"written {a, b}, a value with spaces in quotes", statement->name, before->name);
	if (is_sign(scanner, '{'))
		return FAIL(scanner, statement->line,
			"%.40s: a section has a name: %.40s NAME { … }",
			statement->name, statement->name);
	return FAIL(scanner, statement->line, "expected = after \"%.60s\"", statement->name);
}

static int
take_named(struct scanner *scanner, int section)
{
	size_t index = new_statement(scanner, section);

	if (next(scanner) != 0) {
		scanner->scan->count--;
		return -1;
	}
	if (is_sign(scanner, '=') || is_sign(scanner, '+'))
		return take_assignment(scanner, index);
	if (is_sign(scanner, '('))
		return take_call(scanner, index);
	if (is_value(scanner) && scanner->token.line == scanner->scan->statements[index].line) {
		const char *title = token_text(scanner);

		if (next(scanner) != 0)
			return -1;
		if (is_sign(scanner, '{')) {
			scanner->scan->statements[index].title = title;
			return take_section(scanner, index);
		}
	}
	return fail_after_name(scanner, index);
}

/* What stands where a statement should begin. */
static int
fail_at_sign(struct scanner *scanner)
{
	const struct scan *scan = scanner->scan;
	const struct scan_statement *last = scan->count ? &scan->statements[scan->count - 1] : NULL;

	if (is_braced_table(scanner, last))
		return fail_braced_table(scanner, last);
	if (is_sign(scanner, ',') && last && last->kind == SCAN_ASSIGNMENT && !last->braced)
		return FAIL(scanner, scanner->token.line,
			"unexpected comma after the value of %s: a list is "
			"written %s = {a, b}", last->name, last->name);
	return FAIL(scanner, scanner->token.line, "unexpected \"%.*s\"", shown(&scanner->token),
		start_of(scanner));
}

/* Statements up to the end or to a closing brace, which is in hand afterwards. */
static int
take_statements(struct scanner *scanner, int section)
{
	while (scanner->token.kind != TOKEN_END) {
		if (is_sign(scanner, '}') && section != -1)
			return 0;
		if (!is_value(scanner))
			return fail_at_sign(scanner);
		if (take_named(scanner, section) != 0)
			return -1;
	}
	return 0;
}

int
scan_text(ph_pool *pool, ph_span text, struct scan *scan, ph_error *error)
{
	struct scanner scanner = {.pool = pool, .text = text, .line = 1, .scan = scan,
		.error = error};

	*scan = (struct scan){.clean = memory_or_die(ph_pool_copy(pool, text))};
	return next(&scanner) != 0 ? -1 : take_statements(&scanner, -1);
}

/* Can it stand without quotes? */
static bool
is_plain(const char *value)
{
	for (const char *c = value; *c; c++) {
		bool safe = is_name_char(*c) || strchr("-.:/@$[]!<>~^%|;?&", *c) != NULL;

		if (!safe || (*c == '/' && (c[1] == '/' || c[1] == '*')))
			return false;
	}
	return *value != '\0';
}

const char *
scan_quote(ph_pool *pool, const char *value)
{
	char *quoted, *out;

	if (is_plain(value))
		return value;
	quoted = out = memory_or_die(ph_pool_alloc(pool, 2 * strlen(value) + 3));
	*out++ = '\'';
	for (const char *c = value; *c; c++) {
		if (*c == '\'' || *c == '\\')
			*out++ = '\\';
		*out++ = *c;
	}
	*out++ = '\'';
	*out = '\0';
	return quoted;
}
