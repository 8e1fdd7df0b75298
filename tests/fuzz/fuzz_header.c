/*
 * The header section: the same end however it is cut, and fields that make up the section.
 */
#include "intake/header.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Shown step by step, in exact copies. */
static enum header_end
scan_in_steps(ph_span content, size_t step, struct header_scan *scan)
{
	enum header_end end = HEADER_MORE;

	for (size_t shown = 0; shown < content.size && end == HEADER_MORE;) {
		shown = content.size - shown > step ? shown + step : content.size;
		char *copy = malloc(shown);

		memcpy(copy, content.data, shown);
		end = header_scan(scan, (ph_span){copy, shown});
		free(copy);
	}
	return end;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct header_scan whole = {.line = 0}, pieces = {.line = 0};
	size_t step = size > 0 ? data[0] + 1 : 1, total = 0;
	ph_span content = {(const char *)data, size};
	enum header_end end = header_scan(&whole, content);

	if (scan_in_steps(content, step, &pieces) != end)
		abort();
	if (end == HEADER_MORE)
		return 0;
	if (whole.section != pieces.section || whole.body != pieces.body || whole.section > whole.body)
		abort();
	ph_span section = {content.data, whole.section};
	size_t count = header_count_fields(section);
	struct header *headers = calloc(count + 1, sizeof(*headers));

	if (header_split(section, headers) != count)
		abort();
	for (size_t i = 0; i < count; i++) {
		total += headers[i].raw.size;
		if (header_name(&headers[i]).size == 0 || header_value(&headers[i]).size > headers[i].raw.size)
			abort();
		header_trim(header_value(&headers[i]));
	}
	if (total != section.size)
		abort();
	free(headers);
	return 0;
}
