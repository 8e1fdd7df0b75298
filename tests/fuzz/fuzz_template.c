/* The file with the texts of reports: what is taken can stand in a letter. */
#include "fuzz.h"

#include "config/template.h"

#include <string.h>

static const char *
look_up(void *context, ph_pool *pool, const char *name, ph_error *error)
{
	size_t size = template_time_name(name);

	CHECK(size < strlen(name));
	if (size > 0)
		return template_time(pool, name, INT64_C(432000000));
	if (name[0] != 'm') {
		ph_error_set(error, "$%s: unknown", name);
		return NULL;
	}
	return name;
}

static void
add_problem(void *context, int line, const char *text)
{
	int *problems = context;

	CHECK(line > 0 && *text != '\0');
	++*problems;
}

static void
check_header(const char *value)
{
	for (; *value != '\0'; value++)
		CHECK(*value >= ' ' && *value <= '~');
}

static void
check_template(const struct template *template)
{
	check_header(template->charset);
	check_header(template->from);
	check_header(template->subject);
	check_header(template->postmaster_subject);
	CHECK(*template->charset != '\0' && *template->from != '\0' && *template->subject != '\0');
	for (const char *line = template->text; *line != '\0'; line += strcspn(line, "\n") + 1) {
		CHECK(strchr(line, '\n') != NULL && strcspn(line, "\n") <= 900);
		CHECK(strcspn(line, "\r") >= strcspn(line, "\n"));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ph_pool *pool = ph_pool_new(0);
	int problems = 0, result;
	struct template_reader reader = {pool, look_up, add_problem, &problems};
	struct templates templates;

	CHECK(templates_default(&reader, &templates) == 0 && problems == 0);
	result = templates_read(&reader, (ph_span){(const char *)data, size}, &templates);
	CHECK((result == 0) == (problems == 0));
	for (size_t i = 0; i < TEMPLATE_KINDS; i++)
		check_template(&templates.items[i]);
	ph_pool_free(pool);
	return 0;
}
