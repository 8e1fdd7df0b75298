#include "intake/header.h"

#include <string.h>

/* A name is decided within so many bytes of its line; RFC 5322 has lines of 998 at most. */
#define NAME_LIMIT 1000

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The size of the name at the start of a line, blanks before the colon included; 0: no header. */
static size_t
name_size(ph_span line)
{
	size_t size = line.size < NAME_LIMIT ? line.size : NAME_LIMIT;
	const char *colon = size > 0 ? memchr(line.data, ':', size) : NULL;

	if (colon == NULL)
		return 0;
	const char *end = colon;

	while (end > line.data && is_blank(end[-1]))
		end--;
	if (end == line.data)
		return 0;
	for (const char *p = line.data; p < end; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 127)
			return 0;
	return (size_t)(colon - line.data);
}

static bool
is_empty_line(ph_span line)
{
	return line.data[0] == '\n' ||
		(line.size >= 2 && line.data[0] == '\r' && line.data[1] == '\n');
}

static enum header_end
ends(struct header_scan *scan, size_t section, size_t body, enum header_end how)
{
	scan->section = section;
	scan->body = body;
	return how;
}

/* A line from its first byte; complete: with its line end. */
static enum header_end
judge_line(struct header_scan *scan, ph_span line, bool complete)
{
	size_t start = scan->line;
	bool too_large = !complete || start + line.size > HEADER_SECTION_LIMIT;

	if (complete && is_empty_line(line))
		return ends(scan, start, start + line.size, HEADER_BLANK);
	if (is_blank(line.data[0]) && start > 0)
		return too_large ? ends(scan, scan->field, scan->field, HEADER_TOO_LARGE)
			: HEADER_MORE;
	if (name_size(line) == 0)
		return ends(scan, start, start, HEADER_NO_BLANK);
	scan->field = start;
	return too_large ? ends(scan, start, start, HEADER_TOO_LARGE) : HEADER_MORE;
}

bool
header_is_from_line(ph_span bytes)
{
	static const char from[] = "From ";
	size_t i = 0;

	while (i < bytes.size && bytes.data[i] == '>')
		i++;
	if (bytes.size - i < sizeof(from) - 1 ||
		memcmp(bytes.data + i, from, sizeof(from) - 1) != 0)
		return false;
	for (i += sizeof(from) - 1; i < bytes.size && is_blank(bytes.data[i]);)
		i++;
	return i == bytes.size || bytes.data[i] != ':';
}

enum header_end
header_scan(struct header_scan *scan, ph_span bytes)
{
	while (scan->line < bytes.size) {
		ph_span line = {bytes.data + scan->line, bytes.size - scan->line};
		const char *lf = memchr(line.data, '\n', line.size);

		if (lf == NULL && bytes.size < HEADER_SCAN_LIMIT)
			return HEADER_MORE;
		if (lf != NULL)
			line.size = (size_t)(lf - line.data) + 1;
		bool skip = scan->from_line && scan->line == 0 && header_is_from_line(line);
		enum header_end end = skip ? HEADER_MORE : judge_line(scan, line, lf != NULL);

		if (end != HEADER_MORE)
			return end;
		scan->line += line.size;
	}
	return HEADER_MORE;
}

/* Calls for each field of a section: headers may be NULL to count. */
static size_t
walk(ph_span section, struct header *headers)
{
	size_t count = 0, at = 0;

	while (at < section.size) {
		const char *line = section.data + at;
		const char *lf = memchr(line, '\n', section.size - at);
		size_t size = lf != NULL ? (size_t)(lf - line) + 1 : section.size - at;

		if (is_blank(*line) && count > 0) {
			if (headers != NULL)
				headers[count - 1].raw.size += size;
		} else {
			if (headers != NULL)
				headers[count] = (struct header){.raw = {line, size},
					.name_size = name_size((ph_span){line, size})};
			count++;
		}
		at += size;
	}
	return count;
}

size_t
header_count_fields(ph_span section)
{
	return walk(section, NULL);
}

size_t
header_split(ph_span section, struct header *headers)
{
	return walk(section, headers);
}

ph_span
header_name(const struct header *header)
{
	size_t size = header->name_size;

	while (size > 0 && is_blank(header->raw.data[size - 1]))
		size--;
	return (ph_span){header->raw.data, size};
}

ph_span
header_value(const struct header *header)
{
	ph_span value = header->raw;

	if (value.size <= header->name_size)
		return (ph_span){NULL, 0};
	value.data += header->name_size + 1;
	value.size -= header->name_size + 1;
	if (value.size > 0 && value.data[value.size - 1] == '\n')
		value.size--;
	if (value.size > 0 && value.data[value.size - 1] == '\r')
		value.size--;
	return value;
}

int
header_set_value(ph_pool *pool, struct header *header, ph_span value)
{
	ph_span raw = header->raw, old = header_value(header);
	size_t before = (size_t)(old.data - raw.data), after = raw.size - before - old.size;
	char *data = ph_pool_alloc(pool, before + value.size + after);

	if (data == NULL)
		return -1;
	memcpy(data, raw.data, before);
	memcpy(data + before, value.data, value.size);
	memcpy(data + before + value.size, old.data + old.size, after);
	header->raw = (ph_span){data, before + value.size + after};
	return 0;
}

bool
header_is(const struct header *header, const char *name)
{
	return ph_span_equal_nocase(header_name(header), ph_span_of(name));
}

static bool
is_white(char c)
{
	return is_blank(c) || c == '\r' || c == '\n';
}

ph_span
header_trim(ph_span value)
{
	while (value.size > 0 && is_white(value.data[0])) {
		value.data++;
		value.size--;
	}
	while (value.size > 0 && is_white(value.data[value.size - 1]))
		value.size--;
	return value;
}
