#include "arguments.h"

#include <string.h>

static const struct {
	const char *name;
	size_t offset;
	bool of_recipient;
} macros[] = {
	{"client_address", offsetof(struct arguments_message, client_address), false},
	{"client_helo", offsetof(struct arguments_message, client_helo), false},
	{"client_hostname", offsetof(struct arguments_message, client_hostname), false},
	{"client_port", offsetof(struct arguments_message, client_port), false},
	{"client_protocol", offsetof(struct arguments_message, client_protocol), false},
	{"domain", offsetof(struct arguments_recipient, domain), true},
	{"envid", offsetof(struct arguments_message, envid), false},
	{"extension", offsetof(struct arguments_recipient, extension), true},
	{"mailbox", offsetof(struct arguments_recipient, mailbox), true},
	{"nexthop", offsetof(struct arguments_message, nexthop), false},
	{"original_recipient", offsetof(struct arguments_recipient, original_recipient), true},
	{"queue_id", offsetof(struct arguments_message, queue_id), false},
	{"recipient", offsetof(struct arguments_recipient, recipient), true},
	{"sasl_method", offsetof(struct arguments_message, sasl_method), false},
	{"sasl_sender", offsetof(struct arguments_message, sasl_sender), false},
	{"sasl_username", offsetof(struct arguments_message, sasl_username), false},
	{"sender", offsetof(struct arguments_message, sender), false},
	{"size", offsetof(struct arguments_message, size), false},
	{"user", offsetof(struct arguments_recipient, user), true},
};
enum { MACROS = sizeof(macros) / sizeof(macros[0]) };

/* The name behind a dollar sign, and how much of the text it takes; 0: there is none. */
static size_t
name_at(ph_span text, ph_span *name)
{
	char close = text.size == 0 ? '\0' : text.data[0] == '{' ? '}' : text.data[0] == '(' ? ')' : '\0';
	size_t start = close != '\0' ? 1 : 0, end = start;

	while (end < text.size && ((text.data[end] >= 'a' && text.data[end] <= 'z') || text.data[end] == '_'))
		end++;
	*name = (ph_span){text.data + start, end - start};
	if (end == start || (close != '\0' && (end == text.size || text.data[end] != close)))
		return 0;
	return end + start;
}

static size_t
find(ph_span name)
{
	size_t i = 0;

	while (i < MACROS && (strlen(macros[i].name) != name.size || memcmp(macros[i].name, name.data, name.size) != 0))
		i++;
	return i;
}

/* The next macro of a word: where its dollar sign is, which it is, and where it ends. false: no more. */
static bool
next_macro(ph_span word, size_t *at, size_t *which, size_t *end)
{
	ph_span name;

	for (; *at < word.size; ++*at) {
		if (word.data[*at] != '$')
			continue;
		ph_span rest = {word.data + *at + 1, word.size - *at - 1};
		if (rest.size > 0 && rest.data[0] == '$') {
			*which = MACROS;
			*end = *at + 2;
			return true;
		}
		size_t size = name_at(rest, &name);
		*which = size != 0 ? find(name) : MACROS + 1;
		if (*which == MACROS)
			*which = MACROS + 1;
		*end = *at + 1 + size;
		return true;
	}
	return false;
}

static const char blanks[] = " \t\r\n";

/* What is between the braces at the start of the text, without white space at its ends. -1: there is no end. */
static int
braced_word(const char **text, ph_span *word)
{
	const char *start = *text + 1, *end = start;

	for (size_t depth = 1; depth > 0; end++) {
		if (*end == '\0')
			return -1;
		depth += (*end == '{') - (*end == '}');
	}
	*text = end--;
	start += strspn(start, blanks);
	while (end > start && strchr(blanks, end[-1]) != NULL)
		end--;
	*word = (ph_span){start, end > start ? (size_t)(end - start) : 0};
	return **text == '\0' || strchr(blanks, **text) != NULL ? 1 : -1;
}

/* 1, 0 at the end, or -1: braces that do not go together. */
static int
next_word(const char **text, ph_span *word)
{
	*text += strspn(*text, blanks);
	if (**text == '{')
		return braced_word(text, word);
	*word = (ph_span){*text, strcspn(*text, blanks)};
	*text += word->size;
	return word->size > 0;
}

int
arguments_check(const char *text, ph_error *error)
{
	ph_span word = ph_span_of(text);
	const char *rest = text;
	size_t at = 0, which, end;
	int got = next_word(&rest, &(ph_span){NULL, 0});

	if (got == 0)
		return ph_error_set(error, "argv: expected a command, as in argv = '/usr/bin/program ${recipient}'");
	while (got == 1)
		got = next_word(&rest, &(ph_span){NULL, 0});
	if (got == -1)
		return ph_error_set(error, "argv: expected white space around arguments in braces, and a } for each {");
	for (; next_macro(word, &at, &which, &end); at = end)
		if (which > MACROS)
			return ph_error_set(error, "argv: \"%.20s\" is no macro; there are ${recipient}, ${sender}, "
				"${user}, ${extension}, ${mailbox}, ${domain}, ${nexthop}, ${queue_id}, ${size}, "
				"${original_recipient}, ${envid}, ${client_address}, ${client_hostname}, ${client_helo}, "
				"${client_port}, ${client_protocol}, ${sasl_username}, ${sasl_method}, ${sasl_sender}, "
				"and $$ for a dollar sign", text + at);
	return 0;
}

static const char *
value_of(const struct arguments_message *message, size_t which, size_t recipient)
{
	const void *base = macros[which].of_recipient ? (const void *)&message->recipients[recipient] : message;

	return *(const char *const *)((const char *)base + macros[which].offset);
}

static bool
is_repeated(ph_span word)
{
	size_t at = 0, which, end;

	for (; next_macro(word, &at, &which, &end); at = end)
		if (which < MACROS && macros[which].of_recipient)
			return true;
	return false;
}

static const char *
expand(ph_pool *pool, ph_span word, const struct arguments_message *message, size_t recipient)
{
	const char *out = "";
	size_t at = 0, done = 0, which, end;

	for (; out != NULL && next_macro(word, &at, &which, &end); at = done = end)
		out = ph_pool_printf(pool, "%s%.*s%s", out, (int)(at - done), word.data + done,
			which < MACROS ? value_of(message, which, recipient) : which == MACROS ? "$" : "");
	return out == NULL ? NULL : ph_pool_printf(pool, "%s%.*s", out, (int)(word.size - done), word.data + done);
}

const char *const *
arguments_make(ph_pool *pool, const char *text, const struct arguments_message *message)
{
	size_t room = strlen(text) / 2 + 2, count = 0;
	const char **argv = ph_pool_array(pool, room * (message->count + 1), sizeof(*argv));

	ph_span word;

	if (argv == NULL)
		return NULL;
	while (next_word(&text, &word) == 1) {
		size_t times = is_repeated(word) ? message->count : 1;

		for (size_t i = 0; i < times; i++)
			if ((argv[count++] = expand(pool, word, message, i)) == NULL)
				return NULL;
	}
	argv[count] = NULL;
	return argv;
}
