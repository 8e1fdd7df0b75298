/* Files of tables: entries cover the text in order, and no entry has what a table cannot hold. */
#include "fuzz.h"

#include <posthouse/table.h>

#include <string.h>

struct seen {
	enum ph_table_style style;
	int line; /* of the entry before */
	size_t bytes;
};

static int
entry(void *context, int line, ph_span key, ph_span value, ph_error *error)
{
	struct seen *seen = context;

	CHECK(line > seen->line);
	seen->line = line;
	seen->bytes += key.size + value.size;
	CHECK((key.size == 0 || memchr(key.data, '\n', key.size) == NULL) &&
		(value.size == 0 || memchr(value.data, '\n', value.size) == NULL));
	CHECK((value.size == 0) == (seen->style == PH_TABLE_LINES));
	return line % 7 == 6 ? 1 : 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ph_span text = {(const char *)data, size};

	for (enum ph_table_style style = PH_TABLE_PAIRS; style <= PH_TABLE_LINES; style++) {
		struct seen seen = {.style = style};
		ph_error error = {""};
		int result = ph_table_parse("fuzz", text, style, entry, &seen, &error);

		CHECK(result != -1 || strncmp(error.text, "fuzz:", 5) == 0);
		CHECK(seen.bytes <= size);
	}
	ph_table_is_aliases("fuzz", text);
	return 0;
}
