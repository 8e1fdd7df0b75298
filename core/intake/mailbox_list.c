#include "intake/mailbox_list.h"

#include <string.h>

enum token_kind { TOKEN_END, TOKEN_ATOM, TOKEN_QUOTED, TOKEN_LITERAL, TOKEN_SPECIAL, TOKEN_BAD };

struct token {
	enum token_kind kind;
	char special;
	ph_span text; /* of a quoted string: what is between the quotes, with backslashes */
	const char *start, *end; /* all its bytes */
};

struct lexer {
	const char *at, *end;
};

/* ---- Tokens ---------------------------------------------------------------------------------- */

/* Skips a comment from its bracket on, nested ones too. 0, or -1: it does not end. */
static int
skip_comment(struct lexer *lexer)
{
	size_t depth = 0;

	for (; lexer->at < lexer->end; lexer->at++) {
		if (*lexer->at == '\\' && lexer->at + 1 < lexer->end) {
			lexer->at++;
		} else if (*lexer->at == '(') {
			depth++;
		} else if (*lexer->at == ')' && --depth == 0) {
			lexer->at++;
			return 0;
		}
	}
	return -1;
}

static int
skip_space(struct lexer *lexer)
{
	while (lexer->at < lexer->end) {
		if (*lexer->at == '(') {
			if (skip_comment(lexer) == -1)
				return -1;
		} else if (*lexer->at == ' ' || *lexer->at == '\t' || *lexer->at == '\r' ||
			   *lexer->at == '\n') {
			lexer->at++;
		} else {
			return 0;
		}
	}
	return 0;
}

/* What is between an opening character and the closing one; a backslash protects one character. */
static struct token
enclosed(struct lexer *lexer, enum token_kind kind, char closing)
{
	const char *start = ++lexer->at;

	for (; lexer->at < lexer->end; lexer->at++) {
		if (*lexer->at == '\0')
			break;
		if (*lexer->at == '\\' && lexer->at + 1 < lexer->end)
			lexer->at++;
		else if (*lexer->at == closing)
			return (struct token){.kind = kind,
				.text = {start, (size_t)(lexer->at++ - start)}};
	}
	lexer->at = lexer->end;
	return (struct token){.kind = TOKEN_BAD};
}

static bool
is_atom_character(char c)
{
	return (unsigned char)c > ' ' && c != 127 && strchr("()<>[]:;@\\,.\"", c) == NULL;
}

static struct token
bare_token(struct lexer *lexer)
{
	if (lexer->at == lexer->end)
		return (struct token){.kind = TOKEN_END};
	const char *start = lexer->at;

	if (*start == '"')
		return enclosed(lexer, TOKEN_QUOTED, '"');
	if (*start == '[')
		return enclosed(lexer, TOKEN_LITERAL, ']');
	if (*start != '\0' && strchr("<>:;@,.", *start) != NULL) {
		lexer->at++;
		return (struct token){.kind = TOKEN_SPECIAL, .special = *start};
	}
	while (lexer->at < lexer->end && is_atom_character(*lexer->at))
		lexer->at++;
	if (lexer->at == start)
		return (struct token){.kind = TOKEN_BAD};
	return (struct token){.kind = TOKEN_ATOM, .text = {start, (size_t)(lexer->at - start)}};
}

static struct token
next_token(struct lexer *lexer)
{
	struct token token = {.kind = TOKEN_BAD};
	int result = skip_space(lexer);
	const char *start = lexer->at;

	if (result == 0)
		token = bare_token(lexer);
	token.start = start;
	token.end = lexer->at;
	return token;
}

static bool
is_special(const struct token *token, char special)
{
	return token->kind == TOKEN_SPECIAL && token->special == special;
}

/* ---- One address ----------------------------------------------------------------------------- */

/* Text that grows in one of the parser's two buffers, which have room for all that can come:
 * nothing becomes longer than its source but the local part, once, by quoting. */
struct text {
	char *data;
	size_t size;
};

static void
put(struct text *text, char c)
{
	text->data[text->size++] = c;
}

static void
put_span(struct text *text, ph_span span)
{
	memcpy(text->data + text->size, span.data, span.size);
	text->size += span.size;
}

/* A quoted string's content: without backslashes and the line ends of folding. */
static void
put_unquoted(struct text *text, ph_span quoted)
{
	for (size_t i = 0; i < quoted.size; i++) {
		if (quoted.data[i] == '\\' && i + 1 < quoted.size)
			put(text, quoted.data[++i]);
		else if (quoted.data[i] != '\r' && quoted.data[i] != '\n')
			put(text, quoted.data[i]);
	}
}

static bool
is_dot_atom(const struct text *text)
{
	bool after_dot = true;

	for (size_t i = 0; i < text->size; i++) {
		if (text->data[i] == '.' ? after_dot : !is_atom_character(text->data[i]))
			return false;
		after_dot = text->data[i] == '.';
	}
	return !after_dot;
}

static void
put_local_part(struct text *text, const struct text *local)
{
	if (is_dot_atom(local)) {
		put_span(text, (ph_span){local->data, local->size});
		return;
	}
	put(text, '"');
	for (size_t i = 0; i < local->size; i++) {
		if (local->data[i] == '"' || local->data[i] == '\\')
			put(text, '\\');
		put(text, local->data[i]);
	}
	put(text, '"');
}

static bool
has_control(const struct text *text)
{
	for (size_t i = 0; i < text->size; i++)
		if ((unsigned char)text->data[i] < ' ' || text->data[i] == 127)
			return true;
	return false;
}

struct parser {
	struct lexer lexer;
	struct token token; /* the one in hand */
	ph_pool *pool;
	ph_error *error;
	char *local_part, *address;
	const char *last;   /* where the token before the one in hand ended */
	ph_span source;     /* the bytes of the address taken last, its route too */
	bool out_of_memory;
};

static void
advance(struct parser *parser)
{
	parser->last = parser->token.end;
	parser->token = next_token(&parser->lexer);
}

static bool
at_special(const struct parser *parser, char special)
{
	return is_special(&parser->token, special);
}

/* Words and dots up to something else. Two words need a dot between them. */
static int
take_words(struct parser *parser, struct text *text, bool domain)
{
	bool after_word = false;

	for (;; advance(parser)) {
		bool dot = at_special(parser, '.');

		if (!dot && parser->token.kind != TOKEN_ATOM &&
			(parser->token.kind != TOKEN_QUOTED || domain))
			return 0;
		if (!dot && after_word)
			return -1;
		if (dot)
			put(text, '.');
		else if (parser->token.kind == TOKEN_QUOTED)
			put_unquoted(text, parser->token.text);
		else
			put_span(text, parser->token.text);
		after_word = !dot;
	}
}

static int
take_domain(struct parser *parser, struct text *text)
{
	size_t start = text->size;

	if (parser->token.kind != TOKEN_LITERAL) {
		if (take_words(parser, text, true) == -1)
			return -1;
		return text->size > start ? 0 : -1;
	}
	for (size_t i = 0; i < parser->token.text.size; i++)
		if ((unsigned char)parser->token.text.data[i] <= ' ' ||
			strchr("[\\", parser->token.text.data[i]) != NULL)
			return -1;
	put(text, '[');
	put_span(text, parser->token.text);
	put(text, ']');
	advance(parser);
	return 0;
}

/* "@a.example,@b.example:" before the address, to be ignored (RFC 5322, 4.4); elements may be
 * empty. */
static int
skip_route(struct parser *parser)
{
	if (!at_special(parser, '@') && !at_special(parser, ','))
		return 0;
	while (!at_special(parser, ':')) {
		if (parser->token.kind == TOKEN_END || parser->token.kind == TOKEN_BAD ||
			at_special(parser, '>'))
			return -1;
		advance(parser);
	}
	advance(parser);
	return 0;
}

/* local-part [@domain]; then the token in hand is what follows. */
static int
take_address(struct parser *parser, const char **address)
{
	struct text local = {.data = parser->local_part}, text = {.data = parser->address};
	bool quoted = parser->token.kind == TOKEN_QUOTED;
	const char *start = parser->token.start;

	if (take_words(parser, &local, false) == -1 || (local.size == 0 && !quoted))
		return -1;
	put_local_part(&text, &local);
	if (at_special(parser, '@')) {
		put(&text, '@');
		advance(parser);
		if (take_domain(parser, &text) == -1)
			return -1;
	}
	if (has_control(&text))
		return -1;
	parser->source = (ph_span){start, (size_t)(parser->last - start)};
	*address = ph_pool_copy(parser->pool, (ph_span){text.data, text.size});
	parser->out_of_memory = *address == NULL;
	return *address != NULL ? 0 : -1;
}

/* ---- The list -------------------------------------------------------------------------------- */

static bool
at_separator(const struct parser *parser)
{
	return parser->token.kind == TOKEN_END || at_special(parser, ',') ||
		at_special(parser, ';');
}

/* Looks ahead: what ends the words that begin here? Leaves the parser at that token. Are they such
 * as name a group, rather than a part of an address? */
static bool
skip_phrase(struct parser *parser)
{
	bool words = false, at_sign = false;

	while (!at_separator(parser) && parser->token.kind != TOKEN_BAD &&
		!at_special(parser, '<') && !at_special(parser, ':')) {
		words = words || parser->token.kind != TOKEN_SPECIAL;
		at_sign = at_sign || at_special(parser, '@');
		advance(parser);
	}
	return words && !at_sign;
}

static int
take_angle_address(struct parser *parser, const char **address)
{
	advance(parser);
	const char *start = parser->token.start;

	if (skip_route(parser) == -1 || take_address(parser, address) == -1 ||
		!at_special(parser, '>'))
		return -1;
	parser->source.size += (size_t)(parser->source.data - start);
	parser->source.data = start;
	advance(parser);
	return 0;
}

/* One element: an address, a name and an address in angle brackets, or the head of a group. */
static int
take_element(struct parser *parser, const char **address)
{
	struct lexer lexer = parser->lexer;
	struct token token = parser->token;

	*address = NULL;
	bool name = skip_phrase(parser);

	if (name && at_special(parser, ':')) {
		advance(parser);
		return 0;
	}
	if (at_special(parser, '<')) {
		if (take_angle_address(parser, address) == -1)
			return -1;
	} else {
		parser->lexer = lexer;
		parser->token = token;
		if (take_address(parser, address) == -1)
			return -1;
	}
	return at_separator(parser) ? 0 : -1;
}

static int
refuse(struct parser *parser, const char *start)
{
	size_t size = (size_t)(parser->lexer.end - start);

	return ph_error_set(parser->error, "\"%.*s\" is no list of addresses",
		(int)(size < 100 ? size : 100), start);
}

/* What is no address is left behind, up to the next separator. */
static void
skip_element(struct parser *parser)
{
	while (!at_separator(parser)) {
		if (parser->token.kind == TOKEN_BAD && parser->lexer.at < parser->lexer.end)
			parser->lexer.at++;
		advance(parser);
	}
}

static int
begin(struct parser *parser, ph_span text)
{
	parser->lexer = (struct lexer){text.data, text.data + text.size};
	parser->local_part = ph_pool_array(parser->pool, text.size + 4, 1);
	parser->address = ph_pool_array(parser->pool, text.size + 4, 2);
	if (parser->local_part == NULL || parser->address == NULL)
		return ph_error_set(parser->error, "out of memory");
	advance(parser);
	return 0;
}

int
mailbox_list_parse(ph_pool *pool, ph_span text, mailbox_fn *found, void *context, ph_error *error)
{
	struct parser parser = {.pool = pool, .error = error};

	if (text.size == 0)
		return 0;
	if (begin(&parser, text) == -1)
		return -1;
	while (parser.token.kind != TOKEN_END) {
		const char *address, *start = parser.token.start;

		if (at_special(&parser, ',') || at_special(&parser, ';')) {
			advance(&parser);
			continue;
		}
		if (take_element(&parser, &address) == -1)
			return refuse(&parser, start);
		int result = address != NULL ? found(context, address) : 0;

		if (result != 0)
			return result;
	}
	return 0;
}

int
mailbox_list_scan(ph_pool *pool, ph_span text, mailbox_source_fn *found, void *context)
{
	struct parser parser = {.pool = pool};

	if (text.size == 0)
		return 0;
	if (begin(&parser, text) == -1)
		return -1;
	while (parser.token.kind != TOKEN_END) {
		const char *address;

		if (at_special(&parser, ',') || at_special(&parser, ';')) {
			advance(&parser);
			continue;
		}
		if (take_element(&parser, &address) == -1) {
			if (parser.out_of_memory)
				return -1;
			skip_element(&parser);
			continue;
		}
		int result = address != NULL ? found(context, address, parser.source) : 0;

		if (result != 0)
			return result;
	}
	return 0;
}

bool
mailbox_next_comment(ph_span *source, ph_span *comment)
{
	struct lexer lexer = {source->data, source->data + source->size};

	while (lexer.at < lexer.end) {
		const char *start = lexer.at;

		if (*start == '(' && skip_comment(&lexer) == 0) {
			*comment = (ph_span){start, (size_t)(lexer.at - start)};
			*source = (ph_span){lexer.at, (size_t)(lexer.end - lexer.at)};
			return true;
		}
		if (*start == '"')
			(void)enclosed(&lexer, TOKEN_QUOTED, '"');
		else if (*start == '[')
			(void)enclosed(&lexer, TOKEN_LITERAL, ']');
		else if (lexer.at < lexer.end)
			lexer.at++;
	}
	return false;
}

ph_span
mailbox_list_commas(ph_pool *pool, const char *text)
{
	char *copy;

	if (strpbrk(text, "\"\\()<>:;[]") != NULL || (copy = ph_pool_strdup(pool, text)) == NULL)
		return ph_span_of(text);
	for (char *at = copy; *at != '\0';) {
		char *blank = at += strcspn(at, " \t"), before = blank > copy ? blank[-1] : ',';

		at += strspn(at, " \t");
		if (at > blank && *at != '\0' && strchr(",@", before) == NULL && strchr(",@", *at) == NULL)
			*blank = ',';
	}
	return ph_span_of(copy);
}
