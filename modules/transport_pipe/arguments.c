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
	{"client_protocol", offsetof(struct arguments_message, client_protocol), false},
	{"domain", offsetof(struct arguments_recipient, domain), true},
	{"envid", offsetof(struct arguments_message, envid), false},
	{"extension", offsetof(struct arguments_recipient, extension), true},
	{"mailbox", offsetof(struct arguments_recipient, mailbox), true},
	{"nexthop", offsetof(struct arguments_message, nexthop), false},
	{"original_recipient", offsetof(struct arguments_recipient, original_recipient), true},
	{"queue_id", offsetof(struct arguments_message, queue_id), false},
	{"recipient", offsetof(struct arguments_recipient, recipient), true},
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

int
arguments_check(const char *text, ph_error *error)
{
	ph_span word = ph_span_of(text);
	size_t at = 0, which, end;

	if (text[strspn(text, " \t\r\n")] == '\0')
		return ph_error_set(error, "argv: expected a command, as in argv = '/usr/bin/program ${recipient}'");
	for (; next_macro(word, &at, &which, &end); at = end)
		if (which > MACROS)
			return ph_error_set(error, "argv: \"%.20s\" is no macro; there are ${recipient}, ${sender}, "
				"${user}, ${extension}, ${mailbox}, ${domain}, ${nexthop}, ${queue_id}, ${size}, "
				"${original_recipient}, ${envid}, ${client_address}, ${client_hostname}, ${client_helo}, "
				"${client_protocol}, ${sasl_username}, and $$ for a dollar sign", text + at);
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

static ph_span
next_word(const char **text)
{
	*text += strspn(*text, " \t\r\n");
	ph_span word = {*text, strcspn(*text, " \t\r\n")};
	*text += word.size;
	return word;
}

const char *const *
arguments_make(ph_pool *pool, const char *text, const struct arguments_message *message)
{
	size_t room = strlen(text) / 2 + 2, count = 0;
	const char **argv = ph_pool_array(pool, room * (message->count + 1), sizeof(*argv));

	if (argv == NULL)
		return NULL;
	for (ph_span word = next_word(&text); word.size > 0; word = next_word(&text)) {
		size_t times = is_repeated(word) ? message->count : 1;

		for (size_t i = 0; i < times; i++)
			if ((argv[count++] = expand(pool, word, message, i)) == NULL)
				return NULL;
	}
	argv[count] = NULL;
	return argv;
}
