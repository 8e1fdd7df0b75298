#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <posthouse/base.h>
#include <posthouse/module.h>

#include "alias.h"
#include "targets.h"

/* ---- Targets --------------------------------------------------------------------------------- */

static const struct values {
	const char *value, *expected; /* kind and text of each; an error begins with "!" */
} values[] = {
	{"nixhat", "0nixhat;"},
	{" a , b@c.example,d ", "0a;0b@c.example;0d;"},
	{"a,,b,", "0a;0b;"},
	{"", ""},
	{",", ""},
	{"\\joe", "1joe;"},
	{"/dev/null", "2/dev/null;"},
	{"\"/dev/null\"", "2/dev/null;"},
	{"/var/mail/archive", "3/var/mail/archive;"},
	{"~/archive", "3~/archive;"},
	{"\"|prog -a \\\"x, y\\\"\", b", "4prog -a \"x, y\";0b;"},
	{"|prog", "4prog;"},
	{"|\"prog -x, y\", b", "4prog -x, y;0b;"},
	{"| prog x", "4prog x;"},
	{":include:/etc/list", "5/etc/list;"},
	{":Include: /etc/list", "5/etc/list;"},
	{"\":include:/etc/my list\"", "5/etc/my list;"},
	{"|", "!there is no command behind the \"|\""},
	{"\"|\"", "!there is no command behind the \"|\""},
	{":include:", "!there is no file behind \":include:\""},
	{"\"|a\nb\"", "!a control character"},
	{"# a, b", "!"},
	{"\"joe smith\"", "0\"joe smith\";"},
	{"\"joe smith\"@x.example", "0\"joe smith\"@x.example;"},
	{"\"a,b\"@x.example, c", "0\"a,b\"@x.example;0c;"},
	{"Joe Smith <joe@x.example>", "0joe@x.example;"},
	{"<joe>", "0joe;"},
	{"joe smith", "0joe;0smith;"},
	{"a b@c.example  \\d, e", "0a;0b@c.example;1d;0e;"},
	{"a \"b c\"@x.example /d", "0a;0\"b c\"@x.example;3/d;"},
	{"a \"|prog x\", b", "0a;4prog x;0b;"},
	{"\"joe", "!a double quote is not closed"},
	{"a, joe@", "!"},
	{"@x.example", "!"},
	{"<>", "!"},
	{"a@b c", "0a@b;0c;"},
	{"a<b>c", "!"},
	{"a@b <", "!"},
};

static const struct values files[] = {
	{"# a comment, with a comma\n\njoe\r\n  # another \"one\nsue, sam\n\\bob", "0joe;0sue;0sam;1bob;"},
	{"a\n\n,\n,b,\n", "0a;0b;"},
	{"", ""},
	{"\n#", ""},
	{"#only", ""},
	{"\"|prog -x\"\n\"/a b\"\n~/x\n:include:/etc/y", "4prog -x;3/a b;3~/x;5/etc/y;"},
	{"\"|prog\n-x\"", "!a double quote is not closed"},
	{"Joe Smith <joe@x.example>\nsue", "0joe@x.example;0sue;"},
	{"a #b\n", "!"},
	{"a b\n#c\nd e\n", "0a;0b;0d;0e;"},
};

static void
take_apart(const struct values *list, size_t count, enum target_syntax syntax)
{
	for (size_t i = 0; i < count; i++) {
		ph_pool *pool = ph_pool_new(0);
		ph_span value = ph_span_of(list[i].value);
		struct target target;
		ph_error error = {""};
		char text[512] = "";
		size_t size = 0;
		int more;

		while ((more = targets_next(pool, &value, syntax, &target, &error)) == 1)
			size += (size_t)snprintf(text + size, sizeof(text) - size, "%d%s;", (int)target.kind,
				target.text);
		if (list[i].expected[0] == '!') {
			if (more != -1 || strncmp(error.text, list[i].expected + 1,
				strlen(list[i].expected + 1)) != 0)
				fail_msg("<%s>: %d %s", list[i].value, more, error.text);
		} else if (more != 0 || strcmp(text, list[i].expected) != 0)
			fail_msg("<%s>: %d <%s> %s", list[i].value, more, text, error.text);
		ph_pool_free(pool);
	}
}

static void
takes_values_apart(void **unused)
{
	take_apart(values, sizeof(values) / sizeof(values[0]), TARGET_VALUE);
	take_apart(files, sizeof(files) / sizeof(files[0]), TARGET_LINES);
}

/* ---- Aliases --------------------------------------------------------------------------------- */

/* A table: pairs, NULL at the end. A key behind a "~" is a pattern's, files to include have a
 * "/". */
static ph_found
find_in_table(void *context, ph_pool *pool, const char *key, const char **value, bool *pattern,
	ph_error *error)
{
	for (const char **pair = context; *pair != NULL; pair += 2) {
		if (strcmp(pair[0] + (pair[0][0] == '~'), key) != 0)
			continue;
		*pattern = pair[0][0] == '~';
		if (strcmp(pair[1], "FAIL") == 0) {
			ph_error_set(error, "table: broken");
			return PH_FAILED;
		}
		*value = pair[1];
		return PH_FOUND;
	}
	return PH_NOT_FOUND;
}

static ph_found
read_from_table(void *context, ph_pool *pool, const char *path, ph_span *text, ph_error *error)
{
	const char *value = "";
	bool pattern;
	ph_found found = find_in_table(context, pool, path, &value, &pattern, error);

	*text = ph_span_of(value);
	if (found == PH_NOT_FOUND)
		ph_error_set(error, "no file %s", path);
	return found;
}

static ph_found
is_local_domain(void *context, const char *domain, ph_error *error)
{
	return ph_strcasecmp(domain, "here.example") == 0 || ph_strcasecmp(domain, "also.example") == 0 ?
		PH_FOUND : PH_NOT_FOUND;
}

static const struct {
	const char *table[20];
	const char *address;
	enum alias_outcome outcome;
	/* "address=user;" for each, with "\\" before a mailbox, "|" or "/" and what in place of
	 * user, "i" when included, "<sender" at the end; "/" for /dev/null, "~name" for a loop, "P"
	 * for no postmaster; for other outcomes the beginning of the error */
	const char *expected;
} expansions[] = {
	{{NULL}, "joe@here.example", ALIAS_DONE, "joe@here.example=joe;"},
	{{NULL}, "Joe@here.example", ALIAS_DONE, "Joe@here.example=joe;"},
	{{NULL}, "joe", ALIAS_DONE, "joe@here.example=joe;"},
	{{NULL}, "joe@strange.example", ALIAS_DONE, "joe@strange.example=joe;"},
	{{"root", "nixhat", NULL}, "root@here.example", ALIAS_DONE, "nixhat@here.example=nixhat;"},
	{{"root", "nixhat", NULL}, "ROOT@here.example", ALIAS_DONE, "nixhat@here.example=nixhat;"},
	{{"a", "b", "b", "c, d@far.example", NULL}, "a@also.example", ALIAS_DONE,
		"c@here.example=c;d@far.example=-;"},
	{{"a", "b@also.example", "b", "c", NULL}, "a@here.example", ALIAS_DONE, "c@here.example=c;"},
	{{"a", "b, c, b", "c", "b", NULL}, "a@here.example", ALIAS_DONE, "b@here.example=b;"},
	{{"a", "x@far.example, X@FAR.example", NULL}, "a@here.example", ALIAS_DONE,
		"x@far.example=-;"},
	{{"joe", "joe, joe@far.example", NULL}, "joe@here.example", ALIAS_DONE,
		"joe@here.example=joe;joe@far.example=-;"},
	{{"joe", "\\joe, sue", "sue", "sam", NULL}, "joe@here.example", ALIAS_DONE,
		"\\joe@here.example=joe;sam@here.example=sam;"},
	{{"a", "\\b", "b", "c", NULL}, "a@here.example", ALIAS_DONE, "\\b@here.example=b;"},
	{{"a", "\\b@far.example", NULL}, "a@here.example", ALIAS_DONE, "b@far.example=-;"},
	{{"a", "b", "b", "a", NULL}, "a@here.example", ALIAS_DONE, "~a"},
	{{"a", "b, c", "b", "d", "d", "a", NULL}, "a@here.example", ALIAS_DONE, "c@here.example=c;~a"},
	{{"a", "b@strange.example", "b", "a@strange.example", NULL}, "a@here.example", ALIAS_DONE,
		"b@strange.example=-;"},
	{{"joe", "x", NULL}, "joe+ext@here.example", ALIAS_DONE, "x@here.example=x;"},
	{{"joe", "x", "joe+ext", "y", NULL}, "joe+ext@here.example", ALIAS_DONE, "y@here.example=y;"},
	{{"list", "list+box", NULL}, "list@here.example", ALIAS_DONE, "list+box@here.example=list+box;"},
	{{"joe smith", "joe", NULL}, "\"Joe Smith\"@here.example", ALIAS_DONE, "joe@here.example=joe;"},
	{{"a", "/dev/null", NULL}, "a@here.example", ALIAS_DONE, "/"},
	{{"a", "b, /dev/null", NULL}, "a@here.example", ALIAS_DONE, "b@here.example=b;/"},
	{{NULL}, "postmaster@here.example", ALIAS_DONE, "P"},
	{{"root", "joe", NULL}, "PostMaster@here.example", ALIAS_DONE,
		"joe@here.example=joe;"},
	{{"postmaster", "root", "root", "joe", NULL}, "postmaster@here.example", ALIAS_DONE,
		"joe@here.example=joe;"},
	{{"postmaster", "root", NULL}, "postmaster@here.example", ALIAS_DONE, "P"},
	{{"root", "postmaster", NULL}, "postmaster@here.example", ALIAS_DONE, "P"},
	{{"root", "postmaster", NULL}, "root@here.example", ALIAS_DONE, "P"},
	{{"mailer-daemon", "postmaster", NULL}, "mailer-daemon@here.example", ALIAS_DONE, "P"},
	{{NULL}, "root@here.example", ALIAS_DONE, "root@here.example=root;"},
	{{"a", "FAIL", NULL}, "a@here.example", ALIAS_LATER, "table: broken"},
	{{"a", "b, c", "c", "FAIL", NULL}, "a@here.example", ALIAS_LATER, "table: broken"},
	{{"a", "b, \"|cmd x\", /f, |CMD x, \"|cmd x\"", NULL}, "a@here.example", ALIAS_DONE,
		"a@here.example|cmd x;a@here.example/f;a@here.example|CMD x;b@here.example=b;"},
	{{"a", "~/f", NULL}, "a@here.example", ALIAS_BAD_ENTRY, "alias a: \"~\" is nobody's home"},
	/* files to include */
	{{"a", ":include:/x, c", "/x", "b\n# no\n\"|p\"\n", NULL}, "a@here.example", ALIAS_DONE,
		"a@here.example|p;ib@here.example=b;c@here.example=c;"},
	{{"a", ":include:/x", "/x", ":include:/x\n:include:/y", "/y", "a, b", "b", "d", NULL},
		"a@here.example", ALIAS_DONE, "ia@here.example=a;d@here.example=d;"},
	{{"a", ":include:/x, b", NULL}, "a@here.example", ALIAS_BAD_ENTRY, "no file /x"},
	{{"a", ":include:/x", "/x", "FAIL", NULL}, "a@here.example", ALIAS_LATER, "table: broken"},
	{{"a", ":include:x", NULL}, "a@here.example", ALIAS_BAD_ENTRY,
		"alias a: the file to include is no absolute path (x)"},
	{{"a", ":include:/x", "/x", "b #c", NULL}, "a@here.example", ALIAS_BAD_ENTRY, ":include:/x: "},
	/* owners */
	{{"list", "joe, x@far.example", "owner-list", "sue", "joe", "sam", NULL}, "list@here.example",
		ALIAS_DONE, "sam@here.example=-<owner-list@here.example;"
		"x@far.example=-<owner-list@here.example;"},
	{{"list", "joe, in", "owner-list", "sue", "joe", "joe, joe@far.example", "in", "joe, bob",
		"owner-in", "sue", NULL}, "list@here.example", ALIAS_DONE,
		"\\joe@here.example=joe<owner-list@here.example;"
		"joe@far.example=-<owner-list@here.example;bob@here.example=-<owner-in@here.example;"},
	{{"a", "list, b", "list", "joe", "owner-list", "sue", NULL}, "a@here.example", ALIAS_DONE,
		"joe@here.example=-<owner-list@here.example;b@here.example=b;"},
	{{"list", "list, |p, \\sue", "owner-list", "sue", NULL}, "list@here.example", ALIAS_DONE,
		"list@here.example|p<owner-list@here.example;"
		"\\list@here.example=list<owner-list@here.example;"
		"\\sue@here.example=sue<owner-list@here.example;"},
	{{"list", ":include:/l", "/l", "joe", "owner-list", "sue", NULL}, "list@here.example", ALIAS_DONE,
		"ijoe@here.example=-<owner-list@here.example;"},
	{{"list", "joe", "owner-list", "FAIL", NULL}, "list@here.example", ALIAS_LATER, "table: broken"},
	{{"owner-list", "sue", "owner-owner-list", "x", NULL}, "owner-list@here.example", ALIAS_DONE,
		"sue@here.example=sue;"},
	/* patterns */
	{{"~joe", "joe@far.example", NULL}, "joe@here.example", ALIAS_DONE, "joe@far.example=-;"},
	{{"~joe", "|p", NULL}, "joe@here.example", ALIAS_BAD_ENTRY,
		"alias joe: a table of patterns may not name a command (p)"},
	{{"~joe", "/f", NULL}, "joe@here.example", ALIAS_BAD_ENTRY,
		"alias joe: a table of patterns may not name a file (/f)"},
	{{"~joe", ":include:/x", NULL}, "joe@here.example", ALIAS_BAD_ENTRY,
		"alias joe: a table of patterns may not name a file to include (/x)"},
	{{"a", "b #c", NULL}, "a@here.example", ALIAS_BAD_ENTRY, "alias a: "},
};

static void
describe(const struct alias_expansion *e, char *text, size_t room)
{
	size_t size = 0;

	text[0] = '\0';
	for (size_t i = 0; i < e->count; i++) {
		const struct alias_result *r = &e->results[i];
		bool program = r->kind == PH_TARGET_COMMAND || r->kind == PH_TARGET_FILE;

		assert_true((r->user == NULL) ==
			(r->kind != PH_TARGET_USER && r->kind != PH_TARGET_MAILBOX));
		size += (size_t)snprintf(text + size, room - size, "%s%s%s%s%s%s%s;",
			r->included && !program ? "i" : "", r->kind == PH_TARGET_MAILBOX ? "\\" : "", r->address,
			r->kind == PH_TARGET_COMMAND ? "|" : program ? "" : "=",
			program ? r->what : r->user != NULL ? r->user : "-",
			*r->sender != '\0' ? "<" : "", r->sender);
	}
	snprintf(text + size, room - size, "%s%s%s%s", e->nowhere ? "/" : "", e->loop != NULL ? "~" : "",
		e->loop != NULL ? e->loop : "", e->postmaster ? "P" : "");
}

static void
expands_aliases(void **unused)
{
	for (size_t i = 0; i < sizeof(expansions) / sizeof(expansions[0]); i++) {
		ph_pool *pool = ph_pool_new(0);
		struct alias_source source = {.context = (void *)expansions[i].table, .find = find_in_table,
			.include = read_from_table, .is_local = is_local_domain, .origin = "here.example",
			.delimiters = "+", .owners = true, .owner_special = true};
		struct alias_expansion expansion;
		ph_error error = {""};
		char text[512];
		enum alias_outcome outcome = alias_expand(&source, pool, expansions[i].address, &expansion,
			&error);

		describe(&expansion, text, sizeof(text));
		if (outcome != expansions[i].outcome)
			fail_msg("%zu %s: outcome %d, %s", i, expansions[i].address, (int)outcome, error.text);
		if (outcome != ALIAS_DONE)
			assert_memory_equal(error.text, expansions[i].expected, strlen(expansions[i].expected));
		else if (strcmp(text, expansions[i].expected) != 0)
			fail_msg("%zu %s: %s", i, expansions[i].address, text);
		ph_pool_free(pool);
	}
}

/* Bits: propagate, propagate_included. */
static void
propagates_extensions(void **unused)
{
	static const char *table[] = {"list", "ann, bob@x.example, \\joe, \"a b\"@x.example, :include:/more, |prog",
		"/more", "sue, sam@x.example", "ann", "eve", "self", "self, far@x.example", NULL};
	static const struct {
		const char *address;
		unsigned bits;
		const char *expected;
	} cases[] = {
		{"list+t@here.example", 0, "list+t@here.example|prog;eve@here.example=eve;bob@x.example=-;"
			"\\joe@here.example=joe;\"a b\"@x.example=-;isue@here.example=sue;isam@x.example=-;"},
		{"list+t@here.example", 1, "list+t@here.example|prog;eve+t@here.example=eve+t;bob+t@x.example=-;"
			"\\joe+t@here.example=joe+t;\"a b\"@x.example=-;isue@here.example=sue;isam@x.example=-;"},
		{"list+t@here.example", 3, "list+t@here.example|prog;eve+t@here.example=eve+t;bob+t@x.example=-;"
			"\\joe+t@here.example=joe+t;\"a b\"@x.example=-;isue+t@here.example=sue+t;isam+t@x.example=-;"},
		{"list@here.example", 3, "list@here.example|prog;eve@here.example=eve;bob@x.example=-;"
			"\\joe@here.example=joe;\"a b\"@x.example=-;isue@here.example=sue;isam@x.example=-;"},
		{"\"list+a b\"@here.example", 1, "\"list+a b\"@here.example|prog;eve@here.example=eve;bob@x.example=-;"
			"\\joe@here.example=joe;\"a b\"@x.example=-;isue@here.example=sue;isam@x.example=-;"},
		{"self+t@here.example", 1, "self+t@here.example=self+t;far+t@x.example=-;"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_pool *pool = ph_pool_new(0);
		struct alias_source source = {.context = (void *)table, .find = find_in_table,
			.include = read_from_table, .is_local = is_local_domain, .origin = "here.example",
			.delimiters = "+", .propagate = (cases[i].bits & 1) != 0,
			.propagate_included = (cases[i].bits & 2) != 0};
		struct alias_expansion expansion;
		ph_error error = {""};
		char text[512];

		assert_int_equal(alias_expand(&source, pool, cases[i].address, &expansion, &error), ALIAS_DONE);
		describe(&expansion, text, sizeof(text));
		assert_string_equal(text, cases[i].expected);
		ph_pool_free(pool);
	}
}

/* Each name is an alias for the next; or, from 1000000, for very many. */
static ph_found
find_number(void *context, ph_pool *pool, const char *key, const char **value, bool *pattern,
	ph_error *error)
{
	int64_t number;

	if (ph_parse_int(ph_span_of(key), 0, 1 << 30, &number) == -1)
		return PH_NOT_FOUND;
	if (number >= 2000000)
		return PH_NOT_FOUND;
	if (number < 1000000)
		*value = ph_pool_printf(pool, "%d", (int)number + 1);
	else {
		size_t room = 110000 * 12, size = 0;
		char *list = ph_pool_alloc(pool, room);

		for (int i = 0; i < *(int *)context; i++)
			size += (size_t)snprintf(list + size, room - size, "%d, ", 2000000 + i);
		*value = list;
	}
	return PH_FOUND;
}

static enum alias_outcome
expand_number(const char *address, int many, struct alias_expansion *expansion, ph_pool *pool)
{
	struct alias_source source = {.context = &many, .find = find_number, .is_local = is_local_domain,
		.origin = "here.example", .delimiters = ""};

	return alias_expand(&source, pool, address, expansion, NULL);
}

static void
has_limits(void **unused)
{
	ph_pool *pool = ph_pool_new(0);
	struct alias_expansion expansion;

	assert_int_equal(expand_number("1@here.example", 0, &expansion, pool), ALIAS_TOO_LARGE);
	assert_int_equal(expand_number("1000000@here.example", 10000, &expansion, pool), ALIAS_DONE);
	assert_int_equal(expansion.count, 10000);
	assert_string_equal(expansion.results[9999].address, "2009999@here.example");
	assert_int_equal(expand_number("1000000@here.example", 100001, &expansion, pool), ALIAS_TOO_LARGE);
	ph_pool_free(pool);
}

/* ---- A large table --------------------------------------------------------------------------- */

enum { PEOPLE = 100000, LISTS = 20, MEMBERS = 10000 };

/* "u1".."u100000" are aliases for people, half of them elsewhere; "l0".."l19" have 10,000 members
 * each, of which every second one is in the list before it, too; "all" names the lists; "club0"..
 * have owners, and ":include:/l0" a list's members on lines. */
static char *
members(ph_pool *pool, int list, const char *separator)
{
	size_t room = MEMBERS * 16, size = 0;
	char *text = ph_pool_alloc(pool, room);

	for (int i = 0; text != NULL && i < MEMBERS; i++)
		size += (size_t)snprintf(text + size, room - size, "u%d%s",
			(list * MEMBERS / 2 + i) % PEOPLE, separator);
	return text;
}

static ph_found
find_large(void *context, ph_pool *pool, const char *key, const char **value, bool *pattern,
	ph_error *error)
{
	char *end;
	long number = strtol(key + strcspn(key, "0123456789"), &end, 10);

	if (strcmp(key, "all") == 0)
		*value = "l0,l1,l2,l3,l4,l5,l6,l7,l8,l9,l10,l11,l12,l13,l14,l15,l16,l17,l18,l19,included";
	else if (strcmp(key, "included") == 0)
		*value = ":include:/l0";
	else if (strncmp(key, "owner-club", 10) == 0)
		*value = "u1";
	else if (key[0] == 'u' && *end == '\0')
		*value = ph_pool_printf(pool, number % 2 == 0 ? "p%ld" : "p%ld@far.example", number);
	else if (key[0] == 'l' || key[0] == 'c')
		*value = members(pool, (int)number, ", ");
	else
		return PH_NOT_FOUND;
	return *value != NULL ? PH_FOUND : PH_FAILED;
}

static ph_found
read_large(void *context, ph_pool *pool, const char *path, ph_span *text, ph_error *error)
{
	const char *value = members(pool, (int)strtol(path + 2, NULL, 10), "\n");

	*text = ph_span_of(value != NULL ? value : "");
	return value != NULL ? PH_FOUND : PH_FAILED;
}

/* Megabytes and milliseconds that it may take; the pool enforces the former. */
static void
expand_large(const char *address, size_t megabytes, size_t count)
{
	ph_pool *pool = ph_pool_new(megabytes << 20);
	struct alias_source source = {.find = find_large, .include = read_large,
		.is_local = is_local_domain, .origin = "here.example", .delimiters = "+", .owners = true};
	struct alias_expansion expansion;
	struct timespec begin, end;
	ph_error error = {""};

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
	if (alias_expand(&source, pool, address, &expansion, &error) != ALIAS_DONE)
		fail_msg("%s: %s", address, error.text);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	print_message("%s: %zu targets in %.0f ms, less than %zu MiB\n", address, expansion.count,
		(double)(end.tv_sec - begin.tv_sec) * 1e3 + (double)(end.tv_nsec - begin.tv_nsec) / 1e6,
		megabytes);
	assert_int_equal(expansion.count, count);
	ph_pool_free(pool);
}

static void
expands_large_lists(void **unused)
{
	expand_large("l0@here.example", 8, MEMBERS);
	expand_large("club0@here.example", 16, MEMBERS);
	expand_large("included@here.example", 8, MEMBERS);
	/* 210,000 members, of whom each of 100,000 gets one copy */
	expand_large("all@here.example", 128, PEOPLE);
}

static void
finds_the_base(void **unused)
{
	static const char *const cases[][3] = {
		{"joe+x", "+", "joe"}, {"joe", "+", "joe"}, {"+x", "+", "+x"}, {"a-b+c", "+-", "a"},
		{"owner-list", "-", "owner-list"}, {"list-request", "-", "list-request"},
		{"mailer-daemon", "-", "mailer-daemon"}, {"joe+", "+", "joe"}, {"joe+x", "", "joe+x"},
	};
	ph_pool *pool = ph_pool_new(0);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(alias_base(pool, cases[i][0], cases[i][1], true), cases[i][2]);
	assert_string_equal(alias_base(pool, "owner-list", "-", false), "owner");
	ph_pool_free(pool);
}

/* ---- Names in parameters --------------------------------------------------------------------- */

static const char *
value_of_name(void *context, const char *name)
{
	return strcmp(name, "user") == 0 ? "joe" : strcmp(name, "extension") == 0 ? context :
		strcmp(name, "recipient_delimiter") == 0 ? "+" : NULL;
}

static void
expands_names(void **unused)
{
	static const struct {
		const char *text, *extension, *expected; /* an error begins with "!" */
	} cases[] = {
		{"/home/$user/.forward", "", "/home/joe/.forward"},
		{"$user${recipient_delimiter}${extension}", "x", "joe_x"},
		{"$(user).${extension?ext-$extension}", "x", "joe.ext-x"},
		{"$(user).${extension?ext-$extension}", "", "joe."},
		{"${extension:none of ${user}}", "", "none of joe"},
		{"${extension:none}", "x", ""},
		{"a$$b", "", "a$b"},
		{"/$extension/y", "a b/../|c", "/a_b/../_c/y"},
		{"", "", ""},
		{"$nobody", "", "!\"$nobody\": there is no such name here"},
		{"a$", "", "!\"$\": a name must follow"},
		{"${user", "", "!\"${user\": \"{\" is not closed"},
		{"${user!x}", "", "!\"$user!x\": a name must follow"},
		{"${}", "", "!\"$\": a name must follow"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_pool *pool = ph_pool_new(0);
		ph_error error = {""};
		const char *text = ph_macros_expand(pool, cases[i].text,
			"abcdefghijklmnopqrstuvwxyz./", value_of_name, (void *)cases[i].extension, &error);

		if (cases[i].expected[0] == '!') {
			assert_null(text);
			assert_memory_equal(error.text, cases[i].expected + 1, strlen(cases[i].expected) - 1);
		} else if (text == NULL || strcmp(text, cases[i].expected) != 0)
			fail_msg("%s: %s %s", cases[i].text, text, error.text);
		ph_pool_free(pool);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_values_apart),
		cmocka_unit_test(expands_aliases),
		cmocka_unit_test(propagates_extensions),
		cmocka_unit_test(has_limits),
		cmocka_unit_test(expands_large_lists),
		cmocka_unit_test(finds_the_base),
		cmocka_unit_test(expands_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
