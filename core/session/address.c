/*
 * Mail addresses: the path of a MAIL or RCPT command (RFC 5321, 4.1.2), taken apart and written
 * again in one canonical form. Pure.
 *
 * Accepted beyond the grammar, because mail in the field has it: blanks before the path and a path
 * without brackets (unless strict), atoms with dots in odd places or with specials, several "@"
 * of which the last counts, underscores in a domain, a final dot. What comes out is always
 * well-formed: a local part that is no dot-string comes out quoted. Not accepted: control
 * characters, blanks and brackets outside of quotes, a backslash outside of quotes.
 */
#include <posthouse/address.h>

#include <string.h>

enum {
	MAX_PATH_TEXT = 1024, /* before it is taken apart */
	MAX_ADDRESS = 320,    /* 64 "@" 255 */
	MAX_LOCAL_STRICT = 64,
	MAX_DOMAIN = 255,
	MAX_LABEL = 63
};

/* The text as it is worked through. */
struct cursor {
	const char *at, *end;
	unsigned flags;
};

static bool
is_atom_char(unsigned char c)
{
	return c > ' ' && c < 0x7f && strchr("()<>[]:;@\\,.\"", c) == NULL;
}

/* The length of the UTF-8 sequence at p, or 0: shortest forms only, no surrogates (RFC 3629). */
static size_t
utf8_length(const char *p, const char *end)
{
	const unsigned char *u = (const unsigned char *)p;
	size_t left = (size_t)(end - p), n;
	uint32_t value;

	if (u[0] >= 0xc2 && u[0] <= 0xdf)
		n = 2, value = u[0] & 0x1f;
	else if (u[0] >= 0xe0 && u[0] <= 0xef)
		n = 3, value = u[0] & 0x0f;
	else if (u[0] >= 0xf0 && u[0] <= 0xf4)
		n = 4, value = u[0] & 0x07;
	else
		return 0;
	if (left < n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (u[i] & 0x3f);
	}
	if ((n == 3 && value < 0x800) || (n == 4 && (value < 0x10000 || value > 0x10ffff)) ||
		(value >= 0xd800 && value <= 0xdfff))
		return 0;
	return n;
}

/* Takes one character beyond ASCII. */
static int
take_utf8(struct cursor *in, char **out, ph_error *error)
{
	size_t n;

	if ((in->flags & PH_PATH_UTF8) == 0)
		return ph_error_set(error, "non-ASCII character in address");
	n = utf8_length(in->at, in->end);
	if (n == 0)
		return ph_error_set(error, "malformed UTF-8 in address");
	memcpy(*out, in->at, n);
	*out += n;
	in->at += n;
	return 0;
}

/* Takes a quoted string from its opening quote; its content goes to out. */
static int
take_quoted(struct cursor *in, char **out, ph_error *error)
{
	in->at++;
	while (in->at < in->end && *in->at != '"') {
		unsigned char c = (unsigned char)*in->at;

		if (c >= 0x80) {
			if (take_utf8(in, out, error) == -1)
				return -1;
			continue;
		}
		if (c == '\\') {
			if (++in->at == in->end)
				break;
			c = (unsigned char)*in->at;
		}
		if (c < ' ' || c >= 0x7f)
			return ph_error_set(error, "control character in quoted string");
		*(*out)++ = (char)c;
		in->at++;
	}
	if (in->at == in->end)
		return ph_error_set(error, "unbalanced quote");
	in->at++;
	return 0;
}

/*
 * Takes the mailbox up to the end of the path: its content, without quotes, goes to out. last_at is
 * where the last unquoted "@" stands in the input, and mark where the content was then.
 */
static int
take_mailbox(struct cursor *in, char **out, char closing, const char **last_at, char **mark,
	ph_error *error)
{
	while (in->at < in->end && *in->at != closing) {
		unsigned char c = (unsigned char)*in->at;

		if (c == '"') {
			if (take_quoted(in, out, error) == -1)
				return -1;
		} else if (c >= 0x80) {
			if (take_utf8(in, out, error) == -1)
				return -1;
		} else if (c == '@') {
			*last_at = in->at++;
			*mark = *out;
			*(*out)++ = '@';
		} else if (c <= ' ' || c == 0x7f || c == '<' || c == '>' || c == '\\' ||
			((in->flags & PH_PATH_STRICT) != 0 && c != '.' && !is_atom_char(c) &&
				*last_at == NULL)) {
			return ph_error_set(error, "character not allowed in address");
		} else {
			*(*out)++ = *in->at++;
		}
	}
	return 0;
}

static bool
is_dot_string(const char *text, size_t size)
{
	bool in_atom = false;

	for (size_t i = 0; i < size; i++) {
		if (text[i] == '.') {
			if (!in_atom)
				return false;
			in_atom = false;
		} else if ((unsigned char)text[i] >= 0x80 || is_atom_char((unsigned char)text[i])) {
			in_atom = true;
		} else {
			return false;
		}
	}
	return in_atom;
}

/* Writes a local part, quoted where it has to be. Returns its end. */
static char *
put_local_part(char *out, const char *text, size_t size)
{
	if (is_dot_string(text, size)) {
		memcpy(out, text, size);
		return out + size;
	}
	*out++ = '"';
	for (size_t i = 0; i < size; i++) {
		if (text[i] == '"' || text[i] == '\\')
			*out++ = '\\';
		*out++ = text[i];
	}
	*out++ = '"';
	return out;
}

static bool
is_domain_char(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		c == '-' || c == '_' || c >= 0x80;
}

/* Is it one label of a domain: 1 to 63 characters, without a hyphen at its ends? */
static bool
is_mail_label(const char *text, size_t size)
{
	if (size == 0 || size > MAX_LABEL || text[0] == '-' || text[size - 1] == '-')
		return false;
	for (size_t i = 0; i < size; i++)
		if (!is_domain_char((unsigned char)text[i]))
			return false;
	return true;
}

/* Is it a domain as mail knows them (bytes beyond ASCII were judged before)? */
static bool
is_mail_domain(const char *text, size_t size)
{
	if (size > MAX_DOMAIN)
		return false;
	for (;;) {
		const char *dot = memchr(text, '.', size);
		size_t label = dot != NULL ? (size_t)(dot - text) : size;

		if (!is_mail_label(text, label))
			return false;
		if (dot == NULL)
			return true;
		text = dot + 1;
		size -= label + 1;
	}
}

/* Digits and dots name no domain: an address stands in brackets. It is given them where it may come
 * without; there is room for that. */
static int
check_numeric(char *text, size_t size, unsigned flags, ph_error *error)
{
	ph_address address;

	if ((flags & PH_PATH_NUMERIC) == 0 ||
		ph_address_parse((ph_span){text, size}, &address) == -1)
		return ph_error_set(error, "an address without brackets for a domain name");
	memmove(text + 1, text, size);
	text[0] = '[';
	text[size + 1] = ']';
	text[size + 2] = '\0';
	return 0;
}

/* Judges the domain at text (terminated), cutting a final dot off. */
static int
check_domain(char *text, unsigned flags, ph_error *error)
{
	size_t size = strlen(text);

	if (text[0] == '[') {
		if (!ph_is_literal(text, NULL))
			return ph_error_set(error, "malformed address literal");
		return 0;
	}
	if (size > 1 && text[size - 1] == '.')
		text[--size] = '\0';
	if (!is_mail_domain(text, size))
		return ph_error_set(error, "malformed domain name");
	return strspn(text, "0123456789.") == size ? check_numeric(text, size, flags, error) : 0;
}

/* One "@domain" of a source route. */
static int
take_route_domain(struct cursor *in, ph_error *error)
{
	const char *start;

	if (in->at == in->end || *in->at != '@')
		return ph_error_set(error, "malformed source route");
	start = ++in->at;
	if (in->at < in->end && *in->at == '[') {
		while (in->at < in->end && *in->at != ']')
			in->at++;
		if (in->at == in->end)
			return ph_error_set(error, "malformed source route");
		in->at++;
		return 0;
	}
	while (in->at < in->end && (is_domain_char((unsigned char)*in->at) || *in->at == '.'))
		in->at++;
	if (in->at == start)
		return ph_error_set(error, "malformed source route");
	return 0;
}

/* "@a,@b:" means nothing any more and is skipped (RFC 5321, appendix C). */
static int
skip_route(struct cursor *in, ph_error *error)
{
	if (in->at == in->end || *in->at != '@')
		return 0;
	for (;;) {
		if (take_route_domain(in, error) == -1)
			return -1;
		if (in->at < in->end && *in->at == ',') {
			in->at++;
			continue;
		}
		if (in->at == in->end || *in->at != ':')
			return ph_error_set(error, "malformed source route");
		in->at++;
		return 0;
	}
}

/* Builds the canonical form from the content, whose last "@" is at mark (NULL: no domain). */
static int
write_canonical(ph_pool *pool, const char *content, const char *content_end, const char *mark,
	unsigned flags, const char **address, ph_error *error)
{
	size_t size = (size_t)((mark != NULL ? mark : content_end) - content);
	char *result = ph_pool_alloc(pool, 2 * (size_t)(content_end - content) + 6), *p;

	if (result == NULL)
		return ph_error_set(error, "out of memory");
	if (size > MAX_LOCAL_STRICT && (flags & PH_PATH_STRICT) != 0)
		return ph_error_set(error, "local part too long");
	p = put_local_part(result, content, size);
	if (mark != NULL) {
		char *domain = p + 1;
		size_t rest = (size_t)(content_end - mark);

		memcpy(p, mark, rest);
		p[rest] = '\0';
		if (check_domain(domain, flags, error) == -1)
			return -1;
	} else {
		*p = '\0';
	}
	if (strlen(result) > MAX_ADDRESS)
		return ph_error_set(error, "address too long");
	*address = result;
	return 0;
}

/* Takes the mailbox up to closing and writes it canonically. */
static int
parse_mailbox(ph_pool *pool, struct cursor *in, char closing, const char **address, ph_error *error)
{
	size_t left = (size_t)(in->end - in->at);
	const char *start = in->at, *last_at = NULL;
	char *content, *out, *mark = NULL;

	content = out = ph_pool_alloc(pool, (left < MAX_PATH_TEXT ? left : MAX_PATH_TEXT) + 1);
	if (content == NULL)
		return ph_error_set(error, "out of memory");
	if (left > MAX_PATH_TEXT)
		in->end = in->at + MAX_PATH_TEXT;
	if (take_mailbox(in, &out, closing, &last_at, &mark, error) == -1)
		return -1;
	if (in->at == start && closing == '>' && in->at < in->end) {
		*address = "";
		return (in->flags & PH_PATH_EMPTY_OK) != 0 ? 0
			: ph_error_set(error, "empty address");
	}
	if (in->at == in->end && closing == '>')
		return ph_error_set(error,
			left > MAX_PATH_TEXT ? "address too long" : "missing \">\"");
	if (in->at == in->end && left > MAX_PATH_TEXT)
		return ph_error_set(error, "address too long");
	if (last_at == start || in->at == start)
		return ph_error_set(error, "empty local part");
	/* A quoted string belongs into the local part. */
	if (last_at != NULL && memchr(last_at, '"', (size_t)(in->at - last_at)) != NULL)
		return ph_error_set(error, "malformed domain name");
	return write_canonical(pool, content, out, mark, in->flags, address, error);
}

int
ph_path_parse(ph_pool *pool, ph_span text, unsigned flags, const char **address, ph_span *rest,
	ph_error *error)
{
	struct cursor in = {text.data, text.data, flags};
	const char *end;
	bool bracket;

	if (text.size == 0)
		return ph_error_set(error, "missing address");
	in.end = end = text.data + text.size;
	if ((flags & PH_PATH_STRICT) == 0)
		while (in.at < in.end && *in.at == ' ')
			in.at++;
	if (in.at == in.end)
		return ph_error_set(error, "missing address");
	bracket = *in.at == '<';
	if (!bracket && (flags & PH_PATH_STRICT) != 0)
		return ph_error_set(error, "missing \"<\"");
	if (bracket) {
		in.at++;
		if (skip_route(&in, error) == -1)
			return -1;
	}
	if (parse_mailbox(pool, &in, bracket ? '>' : ' ', address, error) == -1)
		return -1;
	if (bracket)
		in.at++;
	if (in.at < end && *in.at != ' ')
		return ph_error_set(error, "junk after address");
	while (in.at < end && *in.at == ' ')
		in.at++;
	*rest = (ph_span){in.at, (size_t)(end - in.at)};
	return 0;
}

/* The last unquoted "@", or NULL. */
static const char *
find_at(const char *address)
{
	const char *found = NULL;
	bool quoted = false;

	for (const char *p = address; *p != '\0'; p++) {
		if (*p == '"')
			quoted = !quoted;
		else if (quoted && *p == '\\' && p[1] != '\0')
			p++;
		else if (*p == '@' && !quoted)
			found = p;
	}
	return found;
}

ph_span
ph_address_local_part(const char *address)
{
	const char *at = find_at(address);

	return (ph_span){address, at != NULL ? (size_t)(at - address) : strlen(address)};
}

const char *
ph_address_domain(const char *address)
{
	const char *at = find_at(address);

	return at != NULL ? at + 1 : "";
}

ph_span
ph_address_user(const char *address, const char *delimiters)
{
	ph_span local = ph_address_local_part(address);

	if (delimiters == NULL || *delimiters == '\0' || (local.size > 0 && local.data[0] == '"'))
		return local;
	for (size_t i = 1; i < local.size; i++)
		if (strchr(delimiters, local.data[i]) != NULL)
			return (ph_span){local.data, i};
	return local;
}

const char *
ph_address_unquoted(ph_pool *pool, const char *address)
{
	ph_span local = ph_address_local_part(address);
	char *result = ph_pool_alloc(pool, local.size + 1), *out = result;
	bool quoted = false;

	if (result == NULL)
		return NULL;
	for (size_t i = 0; i < local.size; i++) {
		if (local.data[i] == '"') {
			quoted = !quoted;
			continue;
		}
		if (quoted && local.data[i] == '\\' && i + 1 < local.size)
			i++;
		*out++ = local.data[i];
	}
	*out = '\0';
	return result;
}
