/* Types of tables in a configuration: several in one module, those of defaults, "proxy:". */
#include "config/scratch.h"

#include <posthouse/map.h>

#include "config/state.h"

/* Line 1 to 3 of every text. */
#define HEAD "module_directory = %s\nload(queue_test, transport_test, map_test)\n" \
	"default_transport = test local_transport = test relay_transport = test\n"

static const char *
tail_of(const char *line)
{
	const char *name = strstr(line, "posthouse.conf:");

	return name ? name + strlen("posthouse.conf:") : line;
}

static void
collect(void *context, bool warning, const char *line)
{
	strcat(strcat(context, tail_of(line)), "\n");
}

/* Its problems must be these; NULL when they are more than warnings. */
static struct config *
load(const char *text, const char *expected)
{
	struct problems *problems = problems_new();
	char all[2000], found[4000] = "";
	struct config *config;

	snprintf(all, sizeof(all), HEAD "%s", scratch_modules, text);
	scratch_write(scratch_config, all, strlen(all));
	config = config_load(scratch_config, -1, problems);
	problems_each(problems, collect, found);
	assert_string_equal(found, expected);
	problems_free(problems);
	return config;
}

/* What a table says to any key. */
static const char *
answer(struct instance *instance)
{
	static char text[32];
	const struct ph_map_ops *ops = instance->ops;
	ph_error error;
	ph_span value = {"", 0};

	assert_int_equal(ops->find(instance->self, NULL, ph_span_of("key"), &value, &error), PH_FOUND);
	assert_string_equal(ph_map_type(instance->self), ops->type);
	snprintf(text, sizeof(text), "%.*s", (int)value.size, value.data);
	return text;
}

static void
several_types(void **state)
{
	struct config *config = load("load(map_types)\nmydestination = {first:/x, second:/x, one, two}\n"
		"map one { module = second path = /y }\nmap two { module = types path = /y }\n", "");

	assert_non_null(config);
	assert_string_equal(answer(config_find(config, PH_CLASS_MAP, "first:/x")), "first");
	assert_string_equal(answer(config_find(config, PH_CLASS_MAP, "second:/x")), "second");
	assert_string_equal(answer(config_find(config, PH_CLASS_MAP, "one")), "second");
	assert_string_equal(answer(config_find(config, PH_CLASS_MAP, "two")), "first");
	assert_string_equal(ph_map_type(config_instance(config, PH_CLASS_QUEUE, 0)->self), "");
	config_free(config);
}

static void
unknown_types(void **state)
{
	char expected[500];

	assert_null(load("mydestination = {second:/x, secnd:/x, hatch:/x, tset:/x}\n",
		"4: mydestination: second:/x: no table of type second is loaded; load(map_types) provides it\n"
		"4: mydestination: secnd:/x: no table of type secnd is known; did you mean second?\n"
		"4: mydestination: hatch:/x: no table of type hatch is known; is the package posthouse-map-hatch "
		"installed, and is there load(map_hatch)?\n"
		"4: mydestination: tset:/x: no table of type tset is known; did you mean test?\n"));
	snprintf(expected, sizeof(expected), "4: module = second: not loaded; add load(map_types)\n"
		"5: module = secnd: there is no map_secnd.so in %s; did you mean second?\n", scratch_modules);
	assert_null(load("map a { module = second path = /x }\nmap b { module = secnd path = /x }\n", expected));
	assert_null(load("load(map_types)\nmydestination = {second:x, first:}\n",
		"5: mydestination: second:x: expected an absolute path after second:\n"
		"5: mydestination: first:: expected a path after the colon\n"));
}

/* A module whose only type another one has too. */
static void
one_type_of_two_modules(void **state)
{
	struct problems *problems = problems_new();
	struct ph_map_ops ops = {.size = sizeof(ops), .type = "second"};
	struct ph_module descriptor = {.magic = PH_MODULE_MAGIC, .abi_major = PH_ABI_MAJOR, .size = sizeof(descriptor),
		.class_number = PH_CLASS_MAP, .class_major = PH_MAP_MAJOR, .name = "map_double",
		.operations = &ops, .operation_count = 1, .operation_stride = sizeof(ops)};
	struct config *config = load("load(map_types)\n", "");
	char found[1000] = "";
	ph_error error;

	config->modules[config->module_count++] = loader_adopt(&descriptor, "map_double", "/x.so", &error);
	config->problems = problems;
	map_types_check(config);
	config->problems = NULL;
	problems_each(problems, collect, found);
	assert_non_null(strstr(found,
		"map_types and map_double both provide tables of type second: they cannot be loaded together"));
	problems_free(problems);
	config_free(config);
}

static void
proxies(void **state)
{
	struct config *config = load("mydestination = {proxy:test:/x, test:/x}\n",
		"4: warning: proxy:test:/x: proxy: is not needed here; test:/x means the same\n");

	assert_non_null(config);
	assert_non_null(config_find(config, PH_CLASS_MAP, "test:/x"));
	assert_null(config_instance(config, PH_CLASS_MAP, 1));
	config_free(config);
	assert_null(load("mydestination = {proxy:tset:/x, proxy:/x}\n",
		"4: warning: proxy:tset:/x: proxy: is not needed here; tset:/x means the same\n"
		"4: mydestination: tset:/x: no table of type tset is known; did you mean test?\n"
		"4: mydestination: proxy:/x: no table of type proxy is known; is the package posthouse-map-proxy "
		"installed, and is there load(map_proxy)?\n"));
}

static void
tables_in_braces(void **state)
{
	assert_null(load("mydestination = {x, inline:{a=b}}\n",
		"4: mydestination: a table in braces is written in quotes: 'inline:{ … }'\n"));
	assert_null(load("mydestination = static:{ x }\n",
		"4: mydestination: a table in braces is written in quotes: 'static:{ … }'\n"));
	assert_null(load("mydestination = {'inline:{a=b, {c = d}}', 'tset:{ x }'}\n",
		"4: mydestination: inline:{a=b, {c = d}}: no table of type inline is known; is the package "
		"posthouse-map-inline installed, and is there load(map_inline)?\n"
		"4: mydestination: tset:{ x }: no table of type tset is known; did you mean test?\n"));
}

static void
types_of_defaults(void **state)
{
	struct config *config = load("load(transport_lazy)\n", "");

	assert_non_null(config);
	assert_string_equal(answer(config_find(config, PH_CLASS_MAP, "second:/etc/lazy")), "second");
	assert_string_equal(answer(config_find(config, PH_CLASS_MAP, "first:/etc/names")), "first");
	config_free(config);
	/* What is added to a default leaves it one. */
	config = load("load(transport_lazy)\nlazy_tables += {test:/x}\nmydestination = {$lazy_names}\n", "");
	assert_non_null(config);
	assert_string_equal(answer(config_find(config, PH_CLASS_MAP, "second:/etc/lazy")), "second");
	assert_non_null(config_find(config, PH_CLASS_MAP, "test:/x"));
	config_free(config);
}

static void
types_named_in_the_text(void **state)
{
	assert_null(load("load(transport_lazy)\nlazy_tables = {second:/etc/lazy}\nlazy_names = {a.example}\n",
		"5: lazy_tables: second:/etc/lazy: no table of type second is loaded; load(map_types) provides it\n"));
}

/* What the tables say that a table is made of, "first second"; it is opened with them, and they are
 * closed with it. */
static char answers[64];

static int
add_answer(struct instance *instance, ph_error *error)
{
	assert_true(instance->opened);
	strcat(strcat(answers, answers[0] ? " " : ""), answer(instance));
	return 0;
}

static int
is_closed(struct instance *instance, ph_error *error)
{
	assert_false(instance->opened);
	return map_each_nested(instance, is_closed, error);
}

static const char *
opened_answers(struct config *config, const char *name)
{
	struct instance *instance = config_find(config, PH_CLASS_MAP, name);
	ph_error error = {""};

	assert_non_null(instance);
	answers[0] = '\0';
	if (instance_open(instance, &error) != 0)
		fail_msg("%s", error.text);
	assert_int_equal(map_each_nested(instance, add_answer, &error), 0);
	instance_close(instance);
	is_closed(instance, &error);
	return answers;
}

static void
tables_of_tables(void **state)
{
	struct config *config = load("load(map_types, map_nested)\n"
		"mydestination = {'nested:{ first:/x, second:/x }', 'nested:{nested:{second:/x} {first:/y}}', out}\n"
		"map out { module = nested path = {second:/z, in} }\nmap in { module = second path = /y }\n", "");

	assert_non_null(config);
	assert_string_equal(opened_answers(config, "nested:{ first:/x, second:/x }"), "first second");
	assert_string_equal(opened_answers(config, "nested:{nested:{second:/x} {first:/y}}"), "nested first");
	assert_string_equal(opened_answers(config, "out"), "second second");
	config_free(config);
	/* what a command asks needs no load() */
	config = load("", "");
	assert_non_null(config);
	assert_non_null(config_map_open(config, "nested:{nested:{second:/x, first:/x}}", &(ph_error){""}));
	assert_string_equal(opened_answers(config, "nested:{second:/x, first:/x}"), "second first");
	config_free(config);
}

static void
wrong_tables_of_tables(void **state)
{
	assert_null(load("load(map_types, map_nested)\nmydestination = {nested:/x, 'nested:{}', 'nested:{secnd:/x}', "
		"'nested:{first:x}', 'nested:{nobody}', nested:}\n",
		"5: mydestination: nested:/x: expected tables in braces after the colon: {type:path, type:path}\n"
		"5: mydestination: nested:{}: no table stands in the braces\n"
		"5: mydestination: secnd:/x: no table of type secnd is known; did you mean second?\n"
		"5: mydestination: first:x: expected an absolute path after first:\n"
		"5: mydestination: nobody: is neither type:path nor the name of a map section\n"
		"5: mydestination: nested:: expected {type:path, type:path} after the colon\n"));
	assert_null(load("load(map_types, map_nested)\nmydestination = {a}\nmap a { module = nested path = {b, first:/x} }\n"
		"map b { module = nested path = {'nested:{a}'} }\nmap c { module = nested path = {a} }\n",
		"6: map a: is made of itself: a -> b -> nested:{a} -> a\n"
		"7: map b: is made of itself: b -> nested:{a} -> a -> b\n"
		"8: map c: is made of itself: c -> a -> b -> nested:{a} -> a\n"));
}

/* The last test: it takes the module away. */
static void
a_default_whose_module_is_not_installed(void **state)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/map_types.so", scratch_modules);
	assert_int_equal(unlink(path), 0);
	assert_null(load("load(transport_lazy)\nlazy_names = {}\n",
		" lazy_tables (its default): second:/etc/lazy: no table of type second is known; is the package "
		"posthouse-map-second installed, and is there load(map_second)?\n"));
}

static int
begin(void **state)
{
	static const char *const modules[] =
		{"map_test", "map_types", "map_nested", "queue_test", "transport_test", "transport_lazy"};

	if (scratch_begin(state) != 0)
		return -1;
	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++)
		scratch_module(modules[i], modules[i], SIZE_MAX);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(several_types),
		cmocka_unit_test(unknown_types),
		cmocka_unit_test(one_type_of_two_modules),
		cmocka_unit_test(proxies),
		cmocka_unit_test(tables_in_braces),
		cmocka_unit_test(types_of_defaults),
		cmocka_unit_test(types_named_in_the_text),
		cmocka_unit_test(tables_of_tables),
		cmocka_unit_test(wrong_tables_of_tables),
		cmocka_unit_test(a_default_whose_module_is_not_installed),
	};

	return cmocka_run_group_tests(tests, begin, scratch_end);
}
