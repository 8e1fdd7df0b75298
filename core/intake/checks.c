/*
 * The answers of tables of header and body checks.
 */
#include <posthouse/checks.h>

#include <stdio.h>
#include <string.h>

#include "config/nearest.h"
#include "ground/statuscode.h"

struct kind {
	const char *word;
	enum ph_check_action action;
	const char *log_word;
	bool on_delivery;
	const char *example; /* what must stand behind it */
	int (*read)(const struct kind *kind, unsigned where, struct ph_check *check,
		ph_error *error);
};

static int
need(const struct kind *kind, const char *what, ph_error *error)
{
	return ph_error_set(error, "%s needs %s: %s %s", kind->word, what, kind->word,
		kind->example);
}

static int
read_address(const struct kind *kind, unsigned where, struct ph_check *check, ph_error *error)
{
	return strchr(check->text, '@') != NULL ? 0 : need(kind, "an address", error);
}

static int
read_route(const struct kind *kind, unsigned where, struct ph_check *check, ph_error *error)
{
	const char *colon = strchr(check->text, ':');

	return colon != NULL && colon != check->text ? 0
		: need(kind, "a transport and a destination", error);
}

/* A name of printable characters, a colon (RFC 5322, 2.2). */
static bool
is_field(const char *text)
{
	size_t size = 0;

	while ((unsigned char)text[size] > ' ' && (unsigned char)text[size] < 127 &&
		text[size] != ':')
		size++;
	return size > 0 && text[size + strspn(text + size, " \t")] == ':';
}

static int
read_text(const struct kind *kind, unsigned where, struct ph_check *check, ph_error *error)
{
	if (where & PH_CHECK_IN_HEADER)
		return is_field(check->text) ? 0 : need(kind, "a header", error);
	return check->text[0] != '\0' ? 0
		: ph_error_set(error, "%s needs the text of a line: %s text", kind->word,
		kind->word);
}

static int
read_reply(const struct kind *kind, unsigned where, struct ph_check *check, ph_error *error)
{
	size_t size = statuscode_read(check->text, check->status, sizeof(check->status));

	if (size == 0)
		snprintf(check->status, sizeof(check->status), "5.7.1");
	check->text += size;
	check->code = check->status[0] == '4' ? 450 : 550;
	if (check->text[0] == '\0')
		check->text = check->code == 450 ? "service unavailable"
			: "message content rejected";
	return 0;
}

#define ADDRESS "user@example.com"

/* By the word, sorted. */
static const struct kind kinds[] = {
	{"BCC", PH_CHECK_BCC, "bcc", false, ADDRESS, read_address},
	{"DISCARD", PH_CHECK_DISCARD, "discard", false, NULL, NULL},
	{"DUNNO", PH_CHECK_DUNNO, "dunno", true, NULL, NULL},
	{"FILTER", PH_CHECK_FILTER, "filter", false, "smtp:[127.0.0.1]:10025", read_route},
	{"HOLD", PH_CHECK_HOLD, "hold", false, NULL, NULL},
	{"IGNORE", PH_CHECK_IGNORE, "ignore", true, NULL, NULL},
	{"INFO", PH_CHECK_INFO, "info", true, NULL, NULL},
	{"OK", PH_CHECK_DUNNO, "dunno", true, NULL, NULL},
	{"PASS", PH_CHECK_PASS, "pass", false, NULL, NULL},
	{"PREPEND", PH_CHECK_PREPEND, "prepend", true, "X-Checked: yes", read_text},
	{"REDIRECT", PH_CHECK_REDIRECT, "redirect", false, ADDRESS, read_address},
	{"REJECT", PH_CHECK_REJECT, "reject", false, NULL, read_reply},
	{"REPLACE", PH_CHECK_REPLACE, "replace", true, "X-Checked: yes", read_text},
	{"STRIP", PH_CHECK_STRIP, "strip", true, NULL, NULL},
	{"WARN", PH_CHECK_WARN, "warning", true, NULL, NULL},
};

#define COUNT (sizeof(kinds) / sizeof(kinds[0]))

static const struct kind *
find(ph_span word)
{
	for (size_t i = 0; i < COUNT; i++)
		if (ph_span_equal_nocase(word, ph_span_of(kinds[i].word)))
			return &kinds[i];
	return NULL;
}

static int
unknown(ph_span span, ph_error *error)
{
	char word[32], hint[64];
	struct nearest nearest;

	snprintf(word, sizeof(word), "%.*s", (int)(span.size < 31 ? span.size : 31), span.data);
	nearest = nearest_to(word);
	for (size_t i = 0; i < COUNT; i++)
		nearest_try(&nearest, kinds[i].word);
	nearest_hint(&nearest, hint, sizeof(hint));
	return ph_error_set(error, "\"%s\" is no action%s", word,
		hint[0] != '\0' ? hint
		: "; expected REJECT, WARN, INFO, IGNORE, STRIP, REPLACE, PREPEND, HOLD, "
		"DISCARD, REDIRECT, BCC, FILTER, PASS or DUNNO");
}

int
ph_check_parse(const char *answer, unsigned where, struct ph_check *check, ph_error *error)
{
	const struct kind *kind;
	size_t word;

	answer += strspn(answer, " \t");
	word = strcspn(answer, " \t");
	kind = find((ph_span){answer, word});
	if (kind == NULL)
		return unknown((ph_span){answer, word}, error);
	if ((where & PH_CHECK_ON_DELIVERY) && !kind->on_delivery)
		return ph_error_set(error,
			"%s has no meaning for mail on its way out; write it into "
			"header_checks, which are asked when mail comes in", kind->word);
	*check = (struct ph_check){.action = kind->action,
		.text = answer + word + strspn(answer + word, " \t")};
	return kind->read != NULL ? kind->read(kind, where, check, error) : 0;
}

/* Is the action one that could do, with the right text behind it, or not known yet? */
static bool
is_open(const char *answer, unsigned where)
{
	size_t word;
	const struct kind *kind;

	answer += strspn(answer, " \t");
	word = strcspn(answer, " \t");
	kind = find((ph_span){answer, word});
	if (kind == NULL)
		return memchr(answer, '$', word) != NULL;
	return kind->on_delivery || !(where & PH_CHECK_ON_DELIVERY);
}

int
ph_check_entry(ph_span value, unsigned where, ph_error *error)
{
	struct ph_check check;
	ph_pool *pool = ph_pool_new(0);
	const char *answer = pool != NULL ? ph_pool_copy(pool, value) : NULL;
	int result = 0;

	if (answer != NULL)
		result = ph_check_parse(answer, where, &check, error);
	if (result == -1 && strchr(answer, '$') != NULL && is_open(answer, where))
		result = 0;
	ph_pool_free(pool);
	return result;
}

const char *
ph_check_log_word(enum ph_check_action action)
{
	for (size_t i = 0; i < COUNT; i++)
		if (kinds[i].action == action)
			return kinds[i].log_word;
	return "";
}

const char *
ph_check_key(ph_pool *pool, ph_span bytes, size_t most)
{
	char *key, *out;

	if (bytes.size > 0 && bytes.data[bytes.size - 1] == '\n')
		bytes.size--;
	if (bytes.size > 0 && bytes.data[bytes.size - 1] == '\r')
		bytes.size--;
	if (bytes.size > most)
		bytes.size = most;
	if ((key = out = ph_pool_alloc(pool, bytes.size + 1)) == NULL)
		return NULL;
	for (size_t i = 0; i < bytes.size && bytes.data[i] != '\0'; i++)
		if (bytes.data[i] != '\r' || i + 1 == bytes.size || bytes.data[i + 1] != '\n')
			*out++ = bytes.data[i];
	return key;
}

ph_span
ph_check_field(ph_pool *pool, const char *text)
{
	char *room = ph_pool_alloc(pool, 3 * strlen(text) + 2), *out = room;

	if (room == NULL)
		return (ph_span){NULL, 0};
	for (; *text != '\0'; text++) {
		if (*text == '\r')
			continue;
		if (*text == '\n')
			*out++ = '\r';
		*out++ = *text;
		if (*text == '\n' && text[1] != ' ' && text[1] != '\t')
			*out++ = '\t';
	}
	memcpy(out, "\r\n", 2);
	return (ph_span){room, (size_t)(out + 2 - room)};
}
