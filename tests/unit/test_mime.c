/*
 * The structure of messages: what is a field of what and what a line of a body, however it was cut; and
 * that every byte is given.
 */
#include "test.h"

#include <posthouse/mime.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "intake/content_type.h"

/* ---- What was given ----------------------------------------------------------------------------- */

/* Fields and lines as text, each on a line: "p" primary, "m" of a part, "n" nested, "+" more of it, "b" with
 * its offset, "!" too deep; and all the bytes. */
struct seen {
	char text[8192];
	char bytes[16384];
	size_t size;
	int stop_after;
};

/* Line ends are shown as "~" and "/". */
static void
show(struct seen *seen, ph_span bytes)
{
	char *at = seen->text + strlen(seen->text);

	for (size_t i = 0; i < bytes.size; i++)
		*at++ = (char)(bytes.data[i] == '\r' ? '~' : bytes.data[i] == '\n' ? '/' : bytes.data[i]);
	strcpy(at, "\n");
	memcpy(seen->bytes + seen->size, bytes.data, bytes.size);
	seen->size += bytes.size;
}

static int
note(struct seen *seen, const char *mark, ph_span bytes)
{
	strcat(strcat(seen->text, mark), " ");
	show(seen, bytes);
	return seen->stop_after > 0 && --seen->stop_after == 0 ? 7 : 0;
}

static int
on_header(void *context, enum ph_mime_place place, ph_span field)
{
	static const char *const marks[] = {
		[PH_MIME_PRIMARY] = "p", [PH_MIME_PART] = "m", [PH_MIME_NESTED] = "n"};

	return note(context, marks[place], field);
}

static int
on_rest(void *context, ph_span bytes)
{
	struct seen *seen = context;
	char *end = seen->text + strlen(seen->text) - 1;

	/* how it is cut is not said */
	if (strrchr(seen->text, '+') != NULL && strchr(strrchr(seen->text, '+'), '\n') == end)
		*end = '\0';
	else
		strcat(seen->text, "+ ");
	show(seen, bytes);
	return 0;
}

static int
on_body(void *context, ph_span line, int64_t offset)
{
	char mark[32];

	snprintf(mark, sizeof(mark), "b%lld", (long long)offset);
	return note(context, mark, line);
}

static int
on_too_deep(void *context, ph_span field)
{
	struct seen *seen = context;

	strcat(seen->text, "!\n");
	return 0;
}

static const struct ph_mime_ops ops = {.size = sizeof(ops), .header = on_header, .header_rest = on_rest,
	.body = on_body, .too_deep = on_too_deep};
static const struct ph_mime_limits limits = {
	.size = sizeof(limits), .nesting = 2, .boundary = 8, .header = 60, .line = 20};

static int
run(struct seen *seen, const char *text, size_t step)
{
	size_t size = strlen(text);
	ph_mime *mime = ph_mime_new(&limits, &ops, seen);
	int result = 0;

	seen->text[0] = '\0';
	seen->size = 0;
	for (size_t at = 0; at < size && result == 0; at += step) {
		size_t piece = size - at < step ? size - at : step;
		char *copy = malloc(piece);

		memcpy(copy, text + at, piece);
		result = ph_mime_feed(mime, (ph_span){copy, piece});
		free(copy);
	}
	if (result == 0)
		result = ph_mime_end(mime);
	ph_mime_free(mime);
	return result;
}

/* ---- Structure ---------------------------------------------------------------------------------- */

#define MIXED "Content-Type: multipart/mixed; boundary=b\r\n"

static const struct {
	const char *message, *seen;
} cases[] = {
	{"", ""},
	{"A: b\r\n", "p A: b~/\n"},
	{"A: b", "p A: b\n"},
	{"\r\nA: b\r\n", "b0 ~/\nb2 A: b~/\n"},
	{"A: b\n c\n\td\nE : f\n\nx\n", "p A: b/ c/\td/\np E : f/\nb0 /\nb1 x/\n"},
	{"A: b\r\nno field\r\nC: d\r\n", "p A: b~/\nb0 no field~/\nb10 C: d~/\n"},
	{" A: b\r\n", "b0  A: b~/\n"},
	/* parts, text before, between and behind them */
	{MIXED "\r\nA: b\r\n--b\r\nA: b\r\n c\r\n\r\nA: b\r\n--b\r\n\r\nx\r\n--b--\r\nA: b\r\n--b\r\nA: b\r\n",
		"p Content-Type: multipart/mixed; boundary=b~/\nb0 ~/\nb2 A: b~/\nb8 --b~/\nm A: b~/ c~/\nb0 ~/\n"
		"b2 A: b~/\nb8 --b~/\nb0 ~/\nb2 x~/\nb0 --b--~/\nb7 A: b~/\nb13 --b~/\nb18 A: b~/\n"},
	/* more behind a boundary, and one that was cut to be kept */
	{"Content-Type: MultiPart/x;\r\n Boundary = \"12345678zz\" ; a=b\r\n\r\n--12345678 yes\r\nA: b\r\n",
		"p Content-Type: MultiPart/x;~/ Boundary = \"12345678zz\" ; a=b~/\nb0 ~/\nb2 --12345678 yes~/\nm A: b~/\n"},
	/* any of several boundaries */
	{MIXED "Content-Type: multipart/a; boundary=c; boundary=d\r\n\r\n--d\r\nA: b\r\n\r\n--c\r\nA: b\r\n\r\n--b\r\nA: b\r\n",
		"p Content-Type: multipart/mixed; boundary=b~/\np Content-Type: multipart/a; boundary=c; boundary=d~/\n"
		"b0 ~/\nb2 --d~/\nm A: b~/\nb0 ~/\nb2 --c~/\nm A: b~/\nb0 ~/\nb2 --b~/\nm A: b~/\n"},
	/* messages inside, and in a digest */
	{"Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\nA: b\r\n",
		"p Content-Type: message/rfc822~/\nb0 ~/\nn A: b~/\nb0 ~/\nb2 A: b~/\n"},
	{"Content-Type: message/partial\r\n\r\nA: b\r\n", "p Content-Type: message/partial~/\nb0 ~/\nb2 A: b~/\n"},
	{"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nA: b\r\n\r\nx\r\n--b\r\nContent-Type: text/x\r\n\r\nA: b\r\n",
		"p Content-Type: multipart/digest; boundary=b~/\nb0 ~/\nb2 --b~/\nb0 ~/\nn A: b~/\nb0 ~/\nb2 x~/\nb5 --b~/\n"
		"m Content-Type: text/x~/\nb0 ~/\nb2 A: b~/\n"},
	/* an inner entity that never ends, and a field in hand at a boundary */
	{MIXED "\r\n--b\r\n" "Content-Type: multipart/x; boundary=i\r\n\r\n--i\r\nA: b\r\n--b\r\nA: b\r\n",
		"p Content-Type: multipart/mixed; boundary=b~/\nb0 ~/\nb2 --b~/\nm Content-Type: multipart/x; boundary=i~/\n"
		"b0 ~/\nb2 --i~/\nm A: b~/\nb0 --b~/\nm A: b~/\n"},
	/* too deep: the field is still one, its boundary is none */
	{MIXED "Content-Type: multipart/x; boundary=c\r\nContent-Type: multipart/x; boundary=d\r\n"
	 "Content-Type: multipart/x; boundary=e\r\n\r\n--e\r\nA: b\r\n--d\r\nA: b\r\n",
		"p Content-Type: multipart/mixed; boundary=b~/\np Content-Type: multipart/x; boundary=c~/\n"
		"p Content-Type: multipart/x; boundary=d~/\n!\np Content-Type: multipart/x; boundary=e~/\n"
		"b0 ~/\nb2 --e~/\nb7 A: b~/\nb13 --d~/\nm A: b~/\n"},
	/* long lines: pieces of 20 bytes; what looks like a boundary or a field inside is neither */
	{MIXED "\r\n01234567890123456789--b\r\n--b 5678901234567890A: b\r\nC: d\r\n",
		"p Content-Type: multipart/mixed; boundary=b~/\nb0 ~/\nb2 01234567890123456789\nb22 --b~/\n"
		"b27 --b 5678901234567890\nb47 A: b~/\nm C: d~/\n"},
	{"\r\n01234567890123456789\r\n012345678901234567890\n0123456789012345678901\n",
		"b0 ~/\nb2 01234567890123456789~/\nb24 012345678901234567890/\nb46 01234567890123456789\nb66 01/\n"},
	/* long fields: the first 60 bytes, the rest */
	{"A: 34567890123456789012345678901234567890123456789012345678XYZ\r\n more\r\nB: c\r\n\r\n",
		"p A: 34567890123456789012345678901234567890123456789012345678X\n+ YZ~/ more~/\np B: c~/\nb0 ~/\n"},
	{"A: 345678901234567890123456789012345678901234567890123456\r\n",
		"p A: 345678901234567890123456789012345678901234567890123456~/\n"},
	{"\r\n\r\n\n\r\r\n--\r\n", "b0 ~/\nb2 ~/\nb4 /\nb5 ~~/\nb8 --~/\n"},
};

static void
structure(void **state)
{
	static struct seen seen;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t size = strlen(cases[i].message);

		for (size_t step = 1; step <= size + 1; step++) {
			assert_int_equal(run(&seen, cases[i].message, step), 0);
			assert_string_equal(seen.text, cases[i].seen);
			assert_int_equal(seen.size, size);
			assert_memory_equal(seen.bytes, cases[i].message, size);
		}
	}
}

/* A result of a function is that of the feed, and nothing is given behind it. */
static void
results(void **state)
{
	static struct seen seen;

	for (int after = 1; after <= 4; after++) {
		seen.stop_after = after;
		assert_int_equal(run(&seen, "A: b\r\nC: d\r\n\r\nx\r\ny\r\n", 3), 7);
		assert_int_equal(seen.stop_after, 0);
	}
}

/* Fields that the caller read itself, as a filter has them. */
static void
own_fields(void **state)
{
	static struct seen seen;
	ph_mime *mime = ph_mime_new(&limits, &ops, &seen);

	seen.text[0] = '\0';
	assert_false(ph_mime_is_flat(mime));
	assert_int_equal(ph_mime_field(mime, ph_span_of("Content-Type: multipart/x; boundary=b")), 0);
	assert_int_equal(ph_mime_field(mime, ph_span_of("no field")), 0);
	ph_mime_fields_end(mime);
	assert_false(ph_mime_is_flat(mime));
	assert_int_equal(ph_mime_feed(mime, ph_span_of("--b\r\nA: b\r\n\r\nx\r\n--b--\r")), 0);
	assert_false(ph_mime_is_flat(mime));
	assert_int_equal(ph_mime_feed(mime, ph_span_of("\n")), 0);
	assert_true(ph_mime_is_flat(mime));
	assert_string_equal(seen.text, "b0 --b~/\nm A: b~/\nb0 ~/\nb2 x~/\nb0 --b--~/\n");
	ph_mime_free(mime);
	ph_mime_free(NULL);
}

static void
describing(void **state)
{
	static const char *const yes[] = {"Content-Type: x", "content-TYPE : x", "MIME-Version:1.0",
		"Content-Disposition: a", "Content-Id:", "Content-Description: x", "Content-Transfer-Encoding: 8bit"};
	static const char *const no[] = {"Content-Length: 1", "Content-Typ: x", "Subject: Content-Type: x", "", ":"};

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		assert_true(ph_mime_describes(ph_span_of(yes[i])));
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		assert_false(ph_mime_describes(ph_span_of(no[i])));
}

/* ---- Content-Type ------------------------------------------------------------------------------- */

static int
add_boundary(void *context, ph_span boundary)
{
	strncat(context, boundary.data, boundary.size);
	strcat(context, "|");
	return 0;
}

static void
content_types(void **state)
{
	static const struct {
		const char *value;
		enum content_kind kind;
		const char *boundaries;
	} values[] = {
		{"", CONTENT_OTHER, ""},
		{" text/plain; boundary=x", CONTENT_OTHER, ""},
		{" message/rfc822", CONTENT_MESSAGE, ""},
		{" MESSAGE / (a (b) \\) c) RFC822 ; x=y", CONTENT_MESSAGE, ""},
		{" message/partial", CONTENT_OTHER, ""},
		{" multipart/mixed", CONTENT_MULTIPART, ""},
		{" multipart", CONTENT_MULTIPART, ""},
		{" multipart/digest ; boundary=x", CONTENT_DIGEST, "x|"},
		{" multipart/mixed;boundary=a;boundary = \"b;\\\"c\" (d) ;BOUNDARY=e", CONTENT_MULTIPART, "a|b;\"c|e|"},
		{" multipart/mixed; boundary=\"a\r\n b\"", CONTENT_MULTIPART, "a b|"},
		{" multipart/mixed; boundary", CONTENT_MULTIPART, ""},
		{" multipart/mixed; boundary=", CONTENT_MULTIPART, ""},
		{" multipart/mixed; boundary=\"\"", CONTENT_MULTIPART, "|"},
		{" multipart/mixed; boundary=\"open", CONTENT_MULTIPART, "open|"},
		{" multipart/mixed; x=boundary=y; (boundary=z", CONTENT_MULTIPART, ""},
		{" multipart/mixed;;;\r\n\tboundary=a more", CONTENT_MULTIPART, "a|"},
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char found[100] = "";
		struct content_type type = {.boundary = add_boundary, .context = found};

		assert_int_equal(content_type_parse(&type, ph_span_of(values[i].value)), 0);
		assert_int_equal(type.kind, values[i].kind);
		assert_string_equal(found, values[i].boundaries);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(structure),
		cmocka_unit_test(results),
		cmocka_unit_test(own_fields),
		cmocka_unit_test(describing),
		cmocka_unit_test(content_types),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
