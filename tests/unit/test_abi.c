/*
 * What holds the ABI together: modules with shorter and longer structs than ours. Each struct of a
 * module ends where its memory ends, so that a read behind it is a crash.
 */
#include "test.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <posthouse/intake.h>
#include <posthouse/listener.h>
#include <posthouse/map.h>
#include <posthouse/queue.h>
#include <posthouse/restriction.h>
#include <posthouse/table.h>
#include <posthouse/transport.h>

#include "config/loader.h"

/* Layouts that will not change as long as the major does not. */
_Static_assert(sizeof(ph_span) == 2 * sizeof(size_t), "ph_span");
_Static_assert(sizeof(ph_error) == 256, "ph_error");
_Static_assert(sizeof(ph_address) == 24, "ph_address");
_Static_assert(sizeof(ph_task) == 8, "ph_task");
_Static_assert(sizeof(ph_strings) == 2 * sizeof(size_t), "ph_strings");
_Static_assert(sizeof(ph_addresses) == 2 * sizeof(size_t), "ph_addresses");
_Static_assert(sizeof(ph_reply) == 272, "ph_reply");
_Static_assert(sizeof(struct ph_expansion) == 2 * sizeof(void *), "ph_expansion");
_Static_assert(offsetof(struct ph_user_delivery, flags) == PH_USER_DELIVERY_1_0, "ph_user_delivery");
_Static_assert(offsetof(struct ph_user_result, output) == PH_USER_RESULT_1_0, "ph_user_result");

/* A copy of the first size bytes, or of all and nonsense behind them, at the end of its memory. */
static void *
at_edge(const void *from, size_t have, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (size + page - 1) / page * page;
	char *memory = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(mprotect(memory + room, page, PROT_NONE), 0);
	char *at = memory + room - size;
	memset(at, 0x5a, size);
	memcpy(at, from, have < size ? have : size);
	return at;
}

static ph_found
find(void *self, ph_pool *pool, ph_span key, ph_span *value, ph_error *error)
{
	return PH_NOT_FOUND;
}

static int
each(void *self, int (*fn)(void *context, ph_span key, ph_span value), void *context, ph_error *error)
{
	return 0;
}

static int
open_instance(void *self, ph_error *error)
{
	return 0;
}

static const struct ph_param params[] = {
	{"first", PH_INT, 0, 0, "1", 0, 9, NULL, "The first."},
	{"second", PH_STRING, 0, 8, "x", 0, 0, NULL, "The second."},
};

/* What a map module consists of, each part of a size of its own. */
struct parts {
	const char *name;
	size_t descriptor, operations, life, param;
};

static const struct module *
adopt(const struct parts *parts)
{
	struct ph_map_ops ops = {.size = (uint32_t)parts->operations, .flags = PH_MAP_PATTERNS, .find = find, .each = each};
	struct ph_life life = {.size = (uint32_t)parts->life, .open = open_instance};
	char *table = at_edge("", 0, 2 * parts->param);
	ph_error error = {""};

	for (int i = 0; i < 2; i++)
		memcpy(table + (size_t)i * parts->param, &params[i],
			parts->param < sizeof(params[i]) ? parts->param : sizeof(params[i]));
	struct ph_module descriptor = {.magic = PH_MODULE_MAGIC, .abi_major = PH_ABI_MAJOR,
		.abi_minor = parts->descriptor > sizeof(descriptor) ? PH_ABI_MINOR + 1 : PH_ABI_MINOR,
		.size = (uint32_t)parts->descriptor, .class_number = PH_CLASS_MAP, .class_major = PH_MAP_MAJOR,
		.name = parts->name, .version = "1", .purpose = "x", .instance_size = 16,
		.params = (const struct ph_param *)(const void *)table, .param_count = 2, .param_stride = parts->param,
		.life = at_edge(&life, sizeof(life), parts->life),
		.operations = at_edge(&ops, sizeof(ops), parts->operations), .operation_count = 1,
		.operation_stride = parts->operations};
	const struct module *module =
		loader_adopt(at_edge(&descriptor, sizeof(descriptor), parts->descriptor), parts->name, "/x.so", &error);
	if (!module)
		fail_msg("%s", error.text);
	return module;
}

static void
test_shorter(void **state)
{
	const struct parts parts = {"map_shorter", sizeof(struct ph_module), offsetof(struct ph_map_ops, build),
		offsetof(struct ph_life, start), offsetof(struct ph_param, doc)};
	const struct ph_module *module = &adopt(&parts)->descriptor;
	const struct ph_map_ops *ops = module->operations;

	assert_ptr_equal(ops->find, find);
	assert_null(ops->build);
	assert_null(ops->each);
	assert_ptr_equal(module->life->open, open_instance);
	assert_null(module->life->start);
	assert_null(module->life->stop);
	assert_null(module->life->close);
	assert_string_equal(module->params[1].name, "second");
	assert_null(module->params[0].doc);
	assert_null(module->params[1].doc);
}

static void
test_longer(void **state)
{
	const struct parts parts = {"map_longer", sizeof(struct ph_module) + 40, sizeof(struct ph_map_ops) + 24,
		sizeof(struct ph_life) + 16, sizeof(struct ph_param) + 8};
	const struct ph_module *module = &adopt(&parts)->descriptor;
	const struct ph_map_ops *ops = module->operations;

	assert_ptr_equal(ops->find, find);
	assert_ptr_equal(ops->each, each);
	assert_ptr_equal(module->life->open, open_instance);
	assert_string_equal(module->params[0].doc, "The first.");
	assert_string_equal(module->params[1].name, "second");
	assert_string_equal(module->params[1].doc, "The second.");
}

/* A map module of before there were several types in one. */
static void
test_map_without_type(void **state)
{
	const struct parts parts = {"map_untyped", sizeof(struct ph_module), offsetof(struct ph_map_ops, type),
		sizeof(struct ph_life), sizeof(struct ph_param)};
	const struct module *module = adopt(&parts);
	const struct ph_map_ops *ops = module_map_type(module, "untyped");

	assert_non_null(ops);
	assert_ptr_equal(ops, module->descriptor.operations);
	assert_ptr_equal(ops->find, find);
	assert_ptr_equal(ops->each, each);
	assert_string_equal(ops->type, "untyped");
	assert_null(ops->suffix);
	assert_null(module_map_type(module, "map_untyped"));
}

/* One of a later release, whose table has longer rows. */
static void
test_map_types(void **state)
{
	struct longer {
		struct ph_map_ops ops;
		char more[24];
	} rows[2] = {{.ops = {.size = sizeof(rows[0]), .find = find, .type = "one", .suffix = ".one"}},
		{.ops = {.size = sizeof(rows[0]), .flags = PH_MAP_PATTERNS, .each = each}}};
	struct ph_module descriptor = {.magic = PH_MODULE_MAGIC, .abi_major = PH_ABI_MAJOR, .size = sizeof(descriptor),
		.class_number = PH_CLASS_MAP, .class_major = PH_MAP_MAJOR, .name = "map_several",
		.operations = rows, .operation_count = 2, .operation_stride = sizeof(rows[0])};
	ph_error error = {""};
	const struct module *module = loader_adopt(&descriptor, "map_several", "/x.so", &error);

	assert_non_null(module);
	assert_ptr_equal(module_map_type(module, "one")->find, find);
	assert_string_equal(module_map_type(module, "one")->suffix, ".one");
	assert_ptr_equal(module_map_type(module, "several")->each, each);
	assert_int_equal(module_map_type(module, "several")->flags, PH_MAP_PATTERNS);
	assert_null(module_map_type(module, "two"));
}

static void
refuse(struct ph_module *descriptor, const char *text)
{
	ph_error error = {""};

	assert_null(loader_adopt(descriptor, "map_broken", "/x.so", &error));
	if (!strstr(error.text, text))
		fail_msg("\"%s\" is not in \"%s\"", text, error.text);
}

/* Less than what 1.0 had is no module of any release. */
static void
test_too_short(void **state)
{
	static const struct ph_map_ops ops = {.size = sizeof(ops), .find = find};
	struct ph_life life = {.size = 2};
	struct ph_module descriptor = {.magic = PH_MODULE_MAGIC, .abi_major = PH_ABI_MAJOR, .size = sizeof(descriptor) - 8,
		.class_number = PH_CLASS_MAP, .class_major = PH_MAP_MAJOR, .name = "map_broken",
		.operations = &ops, .operation_count = 1, .operation_stride = sizeof(ops)};

	refuse(&descriptor, "broken: a descriptor of");
	descriptor.size = sizeof(descriptor);
	descriptor.operation_stride = 4;
	refuse(&descriptor, "broken: it has no operations");
	descriptor.operation_stride = sizeof(ops);
	descriptor.life = &life;
	refuse(&descriptor, "broken: its life has no size");
}

static void
test_bad_types(void **state)
{
	struct ph_map_ops ops[2] = {{.size = sizeof(ops[0]), .type = "a:b"}, {.size = sizeof(ops[0])}};
	struct ph_module descriptor = {.magic = PH_MODULE_MAGIC, .abi_major = PH_ABI_MAJOR, .size = sizeof(descriptor),
		.class_number = PH_CLASS_MAP, .class_major = PH_MAP_MAJOR, .name = "map_broken",
		.operations = ops, .operation_count = 2, .operation_stride = sizeof(ops[0])};

	refuse(&descriptor, "broken: \"a:b\" is no name for a type of tables");
	ops[0].type = "";
	refuse(&descriptor, "broken: \"\" is no name for a type of tables");
	ops[0].type = "broken";
	refuse(&descriptor, "broken: it provides the type broken twice");
}

static void
deliver(void *self, ph_delivery *delivery)
{
}

/* One that is older than names has its module's. */
static void
test_names_of_transports(void **state)
{
	enum { OLD = offsetof(struct ph_transport_ops, name) };
	struct ph_transport_ops ops[2] = {{.size = sizeof(ops[0]), .deliver = deliver, .name = "one"},
		{.size = sizeof(ops[0]), .deliver = deliver, .name = "one"}}, old = {.size = OLD, .deliver = deliver};
	struct ph_module descriptor = {.magic = PH_MODULE_MAGIC, .abi_major = PH_ABI_MAJOR, .size = sizeof(descriptor),
		.class_number = PH_CLASS_TRANSPORT, .class_major = PH_TRANSPORT_MAJOR, .name = "transport_broken",
		.operations = ops, .operation_count = 2, .operation_stride = sizeof(ops[0])};
	const struct module *module;
	ph_error error = {""};

	assert_null(loader_adopt(&descriptor, "transport_broken", "/x/transport_broken.so", &error));
	assert_non_null(strstr(error.text, "broken: it provides the transport one twice"));
	ops[1].name = "t-w-o";
	assert_null(loader_adopt(&descriptor, "transport_broken", "/x/transport_broken.so", &error));
	assert_non_null(strstr(error.text, "broken: \"t-w-o\" is no name for a transport"));
	descriptor.operations = at_edge(&old, OLD, OLD);
	descriptor.operation_count = 1;
	descriptor.operation_stride = OLD;
	module = loader_adopt(&descriptor, "transport_broken", "/x/transport_broken.so", &error);
	assert_non_null(module);
	assert_ptr_equal(module_transport(module, "broken")->deliver, deliver);
	assert_null(module_transport(module, "one"));
}

/* ---- A storage and the queue role ------------------------------------------------------------- */

static void
test_queue_items(void **state)
{
	struct ph_queue_item items[2], item = {.size = sizeof(item), .handle = 1, .token = 2, .id = "A1", .note_count = 3};
	struct ph_queue_item *longer = at_edge(&item, sizeof(item), sizeof(item) + 32);
	struct ph_queue_item *shorter = at_edge(&item, sizeof(item), offsetof(struct ph_queue_item, notes));

	longer->size = sizeof(item) + 32;
	shorter->size = offsetof(struct ph_queue_item, notes);
	memset(items, 0x77, sizeof(items));
	ph_queue_item_put(items, 0, shorter);
	ph_queue_item_put(items, 1, longer);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(items[i].size, sizeof(item));
		assert_int_equal(items[i].handle, 1);
		assert_int_equal(items[i].note_count, 3);
		assert_string_equal(items[i].id, "A1");
		assert_null(items[i].notes);
	}
}

static void
test_queue_content(void **state)
{
	struct ph_queue_content filled = {.size = sizeof(filled), .fd = 7, .length = 5, .id = "A1", .envelope = {"x", 1}};
	size_t less = offsetof(struct ph_queue_content, envelope);
	struct ph_queue_content *older = at_edge("", 0, less), content = {.size = sizeof(content), .envelope = {"y", 1}};

	older->size = (uint32_t)less;
	ph_queue_content_put(older, &filled);
	assert_int_equal(older->size, less);
	assert_int_equal(older->fd, 7);
	assert_string_equal(older->id, "A1");
	filled.size = (uint32_t)less;
	ph_queue_content_put(&content, &filled);
	assert_int_equal(content.size, sizeof(content));
	assert_int_equal(content.length, 5);
	assert_null(content.envelope.data);
}

/* ---- A table ---------------------------------------------------------------------------------- */

static int
load(void *self, ph_pool *pool, const char *name, ph_span text, void **content, ph_error *error)
{
	return 0;
}

static void
test_table_ops(void **state)
{
	struct ph_table_ops ops = {.size = offsetof(struct ph_table_ops, unload), .load = load};
	ph_table *table = ph_table_new(NULL, "path", "/x", NULL, 100, at_edge(&ops, sizeof(ops), ops.size));

	assert_non_null(table);
	ph_table_free(table);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shorter),
		cmocka_unit_test(test_longer),
		cmocka_unit_test(test_map_without_type),
		cmocka_unit_test(test_map_types),
		cmocka_unit_test(test_too_short),
		cmocka_unit_test(test_bad_types),
		cmocka_unit_test(test_names_of_transports),
		cmocka_unit_test(test_queue_items),
		cmocka_unit_test(test_queue_content),
		cmocka_unit_test(test_table_ops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
