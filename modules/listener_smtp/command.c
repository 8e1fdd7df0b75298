#include "command.h"

#include <string.h>

struct verb_name {
	const char *word;
	const char *counted;
};

static const struct verb_name verbs[VERB_COUNT] = {
	[VERB_UNKNOWN] = {"UNKNOWN", "unknown"},
	[VERB_HELO] = {"HELO", "helo"},
	[VERB_EHLO] = {"EHLO", "ehlo"},
	[VERB_MAIL] = {"MAIL", "mail"},
	[VERB_RCPT] = {"RCPT", "rcpt"},
	[VERB_DATA] = {"DATA", "data"},
	[VERB_RSET] = {"RSET", "rset"},
	[VERB_NOOP] = {"NOOP", "noop"},
	[VERB_QUIT] = {"QUIT", "quit"},
	[VERB_VRFY] = {"VRFY", "vrfy"},
	[VERB_EXPN] = {"EXPN", "unknown"},
	[VERB_HELP] = {"HELP", "unknown"},
	[VERB_STARTTLS] = {"STARTTLS", "starttls"},
	[VERB_AUTH] = {"AUTH", "auth"},
	[VERB_BDAT] = {"BDAT", "bdat"},
	[VERB_ETRN] = {"ETRN", "etrn"},
	[VERB_TURN] = {"TURN", "unknown"},
	[VERB_FORBIDDEN] = {"UNKNOWN", "unknown"},
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static enum verb
find_verb(ph_span word)
{
	for (enum verb v = VERB_HELO; v < VERB_FORBIDDEN; v++)
		if (ph_span_equal_nocase(word, ph_span_of(verbs[v].word)))
			return v;
	return VERB_UNKNOWN;
}

static ph_span
trim(ph_span text)
{
	while (text.size > 0 && is_blank(text.data[0]))
		text = (ph_span){text.data + 1, text.size - 1};
	while (text.size > 0 && is_blank(text.data[text.size - 1]))
		text.size--;
	return text;
}

enum command_fault
command_parse(ph_span line, struct command *command)
{
	enum command_fault fault = COMMAND_OK;
	size_t n = 0;

	if (line.size > 0 && line.data[line.size - 1] == '\n') {
		line.size--;
		if (line.size > 0 && line.data[line.size - 1] == '\r')
			line.size--;
		else
			fault = COMMAND_BARE_LF;
	}
	if (line.size > 0 && memchr(line.data, '\0', line.size) != NULL)
		return COMMAND_NUL;
	if (line.size > 0 && memchr(line.data, '\r', line.size) != NULL)
		return COMMAND_BARE_CR;
	line = trim(line);
	while (n < line.size && !is_blank(line.data[n]))
		n++;
	command->word = (ph_span){line.data, n};
	command->argument = trim((ph_span){line.data + n, line.size - n});
	command->verb = find_verb(command->word);
	return fault;
}

bool
command_is_header(ph_span word)
{
	size_t n = 0;

	while (n < word.size && word.data[n] > ' ' && word.data[n] < 0x7f && word.data[n] != ':')
		n++;
	return n > 0 && n < word.size && word.data[n] == ':';
}

bool
command_path(ph_span argument, const char *keyword, ph_span *path)
{
	size_t n = strlen(keyword);

	if (argument.size < n ||
		!ph_span_equal_nocase((ph_span){argument.data, n}, ph_span_of(keyword)))
		return false;
	argument = trim((ph_span){argument.data + n, argument.size - n});
	if (argument.size == 0 || argument.data[0] != ':')
		return false;
	*path = trim((ph_span){argument.data + 1, argument.size - 1});
	/* Blanks between the colon and the path are the path parser's to judge. */
	path->size += (size_t)(path->data - (argument.data + 1));
	path->data = argument.data + 1;
	return true;
}

const char *
command_name(enum verb verb)
{
	return verbs[verb].counted;
}

const char *
command_word(enum verb verb)
{
	return verbs[verb].word;
}
