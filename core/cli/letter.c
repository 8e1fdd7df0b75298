#include "cli/letter.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "intake/header.h"
#include "intake/mailbox_list.h"

#define PIECE ((size_t)64 * 1024)

/* ---- Reading --------------------------------------------------------------------------------- */

static bool
is_dot_line(ph_span line)
{
	return ph_span_equal(line, ph_span_of(".\n")) || ph_span_equal(line, ph_span_of(".\r\n"));
}

void
letter_extend(struct letter *letter, size_t size, bool dot_ends)
{
	struct buffer *bytes = &letter->bytes;

	bytes->size += size;
	while (dot_ends && !letter->ended && letter->line < bytes->size) {
		char *line = bytes->data + letter->line;
		char *lf = memchr(line, '\n', bytes->size - letter->line);

		if (lf == NULL)
			return;
		ph_span whole = {line, (size_t)(lf + 1 - line)};

		if (is_dot_line(whole)) {
			letter->ended = true;
			bytes->size = letter->line;
		}
		letter->line += whole.size;
	}
}

/* A last line that is a dot without its line end ends the letter, too. */
static void
finish(struct letter *letter, bool dot_ends)
{
	struct buffer *bytes = &letter->bytes;

	if (dot_ends && !letter->ended && bytes->size == letter->line + 1 &&
		bytes->data[letter->line] == '.')
		bytes->size = letter->line;
}

int
letter_read(struct letter *letter, int fd, bool dot_ends, ph_error *error)
{
	while (!letter->ended) {
		char *room = buffer_reserve(&letter->bytes, PIECE);

		if (room == NULL)
			return ph_error_set(error, "out of memory");
		ssize_t size = read(fd, room, PIECE);

		if (size == -1 && errno == EINTR)
			continue;
		if (size == -1)
			return ph_error_set(error, "standard input: %s", strerror(errno));
		if (size == 0)
			break;
		letter_extend(letter, (size_t)size, dot_ends);
	}
	finish(letter, dot_ends);
	return 0;
}

static bool
begins_with(ph_span bytes, const char *text)
{
	size_t size = strlen(text);

	return bytes.size >= size && memcmp(bytes.data, text, size) == 0;
}

ph_span
letter_content(const struct letter *letter)
{
	ph_span content = {letter->bytes.data, letter->bytes.size};

	if (begins_with(content, "From ") || begins_with(content, ">From ")) {
		const char *lf = memchr(content.data, '\n', content.size);
		size_t size = lf != NULL ? (size_t)(lf + 1 - content.data) : content.size;

		content.data += size;
		content.size -= size;
	}
	return content;
}

/* ---- Recipients ------------------------------------------------------------------------------ */

/* Kinds of headers that name recipients. */
enum { KIND_NONE, KIND_PLAIN, KIND_RESENT };

static int
kind_of(const struct header *header, bool *blind)
{
	static const struct {
		const char *name;
		int kind;
		bool blind;
	} names[] = {
		{"To", KIND_PLAIN, false},
		{"Cc", KIND_PLAIN, false},
		{"Bcc", KIND_PLAIN, true},
		{"Resent-To", KIND_RESENT, false},
		{"Resent-Cc", KIND_RESENT, false},
		{"Resent-Bcc", KIND_RESENT, true},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (header_is(header, names[i].name)) {
			*blind = names[i].blind;
			return names[i].kind;
		}
	}
	*blind = false;
	return KIND_NONE;
}

static int
add_recipient(void *outgoing, const char *address)
{
	return outgoing_add_recipient(outgoing, address) == 0 ? 0 : 1;
}

static int
collect(ph_pool *pool, const struct header *headers, size_t count, int wanted,
	struct outgoing *outgoing, ph_error *error)
{
	for (size_t i = 0; i < count; i++) {
		bool blind;
		ph_error why = {""};

		if (kind_of(&headers[i], &blind) != wanted)
			continue;
		int result = mailbox_list_parse(pool, header_value(&headers[i]), add_recipient,
			outgoing, &why);

		if (result == 1)
			return ph_error_set(error, "out of memory");
		if (result == -1)
			return ph_error_set(error, "%.*s: %s", (int)header_name(&headers[i]).size,
				header_name(&headers[i]).data, why.text);
	}
	return 0;
}

static int
strip_blind(ph_pool *pool, const struct header *headers, size_t count, size_t section,
	ph_span *content)
{
	char *copy = ph_pool_alloc(pool, content->size + 1), *at = copy;

	if (copy == NULL)
		return -1;
	for (size_t i = 0; i < count; i++) {
		bool blind;

		kind_of(&headers[i], &blind);
		if (blind)
			continue;
		memcpy(at, headers[i].raw.data, headers[i].raw.size);
		at += headers[i].raw.size;
	}
	memcpy(at, content->data + section, content->size - section);
	*content = (ph_span){copy, (size_t)(at - copy) + content->size - section};
	return 0;
}

int
letter_take_recipients(ph_pool *pool, ph_span *content, struct outgoing *outgoing, ph_error *error)
{
	struct header_scan scan = {.line = 0};
	enum header_end end = header_scan(&scan, *content);
	size_t section = end == HEADER_MORE ? content->size : scan.section;
	ph_span bytes = {content->data, section};
	size_t count = header_count_fields(bytes);
	struct header *headers = ph_pool_array(pool, count + 1, sizeof(*headers));
	int wanted = KIND_PLAIN;
	bool any_blind = false;

	if (end == HEADER_TOO_LARGE)
		return ph_error_set(error, "the header section is larger than %zu bytes",
			HEADER_SECTION_LIMIT);
	if (headers == NULL)
		return ph_error_set(error, "out of memory");
	header_split(bytes, headers);
	for (size_t i = 0; i < count; i++) {
		bool blind;

		if (kind_of(&headers[i], &blind) == KIND_RESENT)
			wanted = KIND_RESENT;
		any_blind = any_blind || blind;
	}
	if (collect(pool, headers, count, wanted, outgoing, error) == -1)
		return -1;
	if (any_blind && strip_blind(pool, headers, count, section, content) == -1)
		return ph_error_set(error, "out of memory");
	return 0;
}
