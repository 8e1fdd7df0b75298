/*
 * The text of a value and what it means: pure parsers of spans, without regard to where the text
 * stood. Each returns 0, or -1 with an error that says what was expected.
 */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include <posthouse/base.h>

/* yes, no. */
int value_bool(ph_span text, bool *value, ph_error *error);
/* Within [min, max]; both 0: any. */
int value_int(ph_span text, int64_t min, int64_t max, int64_t *value, ph_error *error);
/* Bytes, with a suffix k, m or g (powers of 1024). Never negative. */
int value_size(ph_span text, int64_t min, int64_t max, int64_t *value, ph_error *error);
/* Milliseconds, from a number with a suffix ms, s, m, h, d or w; seconds without one. */
int value_time(ph_span text, int64_t min, int64_t max, int64_t *value, ph_error *error);
/* The index of the text in "one, two, three". */
int value_enum(ph_span text, const char *choices, int *value, ph_error *error);
/* "192.0.2.1", "192.0.2.1@5353", "2001:db8::1@5353", "[2001:db8::1]@5353". */
int value_address(ph_span text, ph_address *value, ph_error *error);
/* An absolute path, or nothing. */
int value_path(ph_span text, ph_error *error);

/*
 * Takes the next element of a list "a, b c" from rest: commas and white space separate, braces and
 * brackets keep together what is in them, and so do quotes, which are dropped. false: none is left.
 */
bool value_next_word(ph_span *rest, ph_pool *pool, const char **word);
/* The same with commas as the only separators: "a b, c" is "a b" and "c". */
bool value_next_element(ph_span *rest, ph_pool *pool, const char **element);
/* The same as words, but as it is written: nothing is dropped. Empty: none is left. */
ph_span value_take_word(ph_span *rest);
/* The text without white space at both ends. */
ph_span value_trim(ph_span text);

#endif
