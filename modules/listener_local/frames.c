#include "frames.h"

#include <string.h>

static bool
is_word(ph_span span, const char *word)
{
	return ph_span_equal(span, ph_span_of(word));
}

/* A whole line without its LF. */
static enum frames_result
take_line(struct frames *frames, ph_span line, const struct frames_ops *ops, void *context,
	ph_error *error)
{
	const char *blank = memchr(line.data, ' ', line.size);
	ph_span keyword = {line.data, blank != NULL ? (size_t)(blank - line.data) : line.size};
	ph_span value = {NULL, 0};

	if (blank != NULL)
		value = (ph_span){blank + 1, line.size - keyword.size - 1};
	if (memchr(line.data, '\0', line.size) != NULL ||
		memchr(line.data, '\r', line.size) != NULL)
		return (enum frames_result)ph_error_set(error, "a control character in a line");
	if (is_word(keyword, "end")) {
		frames->ended = true;
		return FRAMES_END;
	}
	if (!is_word(keyword, "data"))
		return ops->line(context, keyword, value, error) == 0 ? FRAMES_MORE : FRAMES_BAD;
	if (ph_parse_uint(value, INT64_MAX, &frames->data_left) == -1)
		return (enum frames_result)ph_error_set(error, "data without its number of bytes");
	return FRAMES_MORE;
}

/* Collects one line from the bytes and takes it. */
static enum frames_result
feed_line(struct frames *frames, ph_span *bytes, const struct frames_ops *ops, void *context,
	ph_error *error)
{
	const char *lf = memchr(bytes->data, '\n', bytes->size);
	size_t take = lf != NULL ? (size_t)(lf - bytes->data) + 1 : bytes->size;

	if (take > sizeof(frames->line) - frames->line_size)
		return (enum frames_result)ph_error_set(error, "a line of more than %d bytes",
			PH_SUBMIT_LINE_MAX);
	memcpy(frames->line + frames->line_size, bytes->data, take);
	frames->line_size += take;
	bytes->data += take;
	bytes->size -= take;
	if (lf == NULL)
		return FRAMES_MORE;
	ph_span line = {frames->line, frames->line_size};

	frames->line_size = 0;
	if (frames->greeted)
		return take_line(frames, (ph_span){line.data, line.size - 1}, ops, context, error);
	frames->greeted = true;
	if (is_word(line, PH_SUBMIT_MAGIC))
		return FRAMES_MORE;
	return (enum frames_result)ph_error_set(error,
		"it does not begin with \"posthouse-submit 1\"");
}

enum frames_result
frames_feed(struct frames *frames, ph_span bytes, const struct frames_ops *ops, void *context,
	ph_error *error)
{
	enum frames_result result = FRAMES_MORE;

	while (bytes.size > 0 && !frames->ended && result == FRAMES_MORE) {
		if (frames->data_left == 0) {
			result = feed_line(frames, &bytes, ops, context, error);
			continue;
		}
		size_t take = bytes.size < frames->data_left ? bytes.size
			: (size_t)frames->data_left;

		ops->data(context, (ph_span){bytes.data, take});
		frames->data_left -= take;
		bytes.data += take;
		bytes.size -= take;
	}
	return frames->ended ? FRAMES_END : result;
}
