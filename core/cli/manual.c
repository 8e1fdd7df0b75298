#include "cli/manual.h"

#include <posthouse/map.h>

#include <stdlib.h>
#include <string.h>

#include "config/state.h"

static const char *const type_texts[] = {
	[PH_BOOL] = "yes or no", [PH_INT] = "a number", [PH_SIZE] = "a size", [PH_TIME] = "a time",
	[PH_STRING] = "a text", [PH_PATH] = "an absolute path", [PH_ENUM] = "one of",
	[PH_STRINGS] = "a list", [PH_ADDRESSES] = "a list of addresses",
	[PH_NETWORKS] = "a list of networks", [PH_MATCH_LIST] = "a list of names and tables",
	[PH_MAP_REF] = "a list of tables", [PH_RESTRICTIONS] = "a list of restrictions"};

/* A parameter, and the module whose it is (NULL: the core). */
struct entry {
	const struct ph_param *param;
	const struct module *owner;
};

void
manual_text(FILE *out, const char *text, bool argument)
{
	if (!argument && (*text == '.' || *text == '\''))
		fputs("\\&", out);
	for (; *text; text++) {
		if (*text == '\\')
			fputs("\\e", out);
		else if (argument && *text == '"')
			fputs("\\(dq", out);
		else
			fputc(*text == '\n' ? ' ' : *text, out);
	}
}

static void
put_literal(FILE *out, const char *before, const char *text, const char *after)
{
	fprintf(out, "%s\n.Ql \"", before);
	manual_text(out, text, true);
	fprintf(out, "\"%s\n", after);
}

static void
put_owners(FILE *out, const struct entry *entries, size_t count)
{
	const struct ph_param *param = entries->param;

	if (!entries->owner) {
		if (param->flags & PH_SECTION_ONLY)
			fputs("Only in sections of listeners.\n", out);
		return;
	}
	fputs(param->flags & PH_SECTION_ONLY ? "Only in sections, of\n" :
		count > 1 ? "Modules:\n" : "Module:\n", out);
	fputs(".Sy", out);
	for (size_t i = 0; i < count; i++)
		fprintf(out, "%s %s", i ? " ," : "", entries[i].owner->name);
	fputs(" .\n", out);
}

/* One parameter; several modules may have it. */
static void
put_entry(FILE *out, const struct entry *entries, size_t count)
{
	const struct ph_param *param = entries->param;

	fprintf(out, ".It Ic %s\n", param->name);
	if (param->doc && param->doc[0]) {
		manual_text(out, param->doc, false);
		fputc('\n', out);
	}
	fprintf(out, "Takes %s", type_texts[param->type]);
	if (param->type == PH_ENUM)
		put_literal(out, "", param->choices, " .");
	else
		fputs(".\n", out);
	if (param->default_value && param->default_value[0])
		put_literal(out, "Default:", param->default_value, " .");
	if (param->flags & PH_PER_SECTION)
		fputs("May be set\n.Em also in sections .\n", out);
	put_owners(out, entries, count);
}

static int
compare(const void *a, const void *b)
{
	const struct entry *left = a, *right = b;
	int order = strcmp(left->param->name, right->param->name);

	if (order || !left->owner || !right->owner)
		return order ? order : (left->owner != NULL) - (right->owner != NULL);
	return strcmp(left->owner->name, right->owner->name);
}

/* Whether two modules mean the same by a name. */
static bool
same(const struct entry *a, const struct entry *b)
{
	return strcmp(a->param->name, b->param->name) == 0 && a->owner && b->owner && a->param->doc &&
		b->param->doc && strcmp(a->param->doc, b->param->doc) == 0;
}

static void
add(struct entry *entries, size_t *count, const struct ph_param *params, size_t param_count,
	const struct module *owner)
{
	for (size_t i = 0; i < param_count; i++)
		entries[(*count)++] = (struct entry){&params[i], owner};
}

static void
put_parameters(const struct config *config, FILE *out)
{
	size_t room = settings_param_count + policy_param_count, count = 0;
	struct entry *entries;

	for (size_t i = 0; i < config->module_count; i++)
		room += config->modules[i]->descriptor.param_count;
	entries = calloc(room, sizeof(*entries));
	if (!entries)
		return;
	add(entries, &count, settings_params, settings_param_count, NULL);
	add(entries, &count, policy_params, policy_param_count, NULL);
	for (size_t i = 0; i < config->module_count; i++)
		add(entries, &count, config->modules[i]->descriptor.params,
			config->modules[i]->descriptor.param_count, config->modules[i]);
	qsort(entries, count, sizeof(*entries), compare);
	fputs(".Bl -tag -width Ds\n", out);
	for (size_t i = 0, next; i < count; i = next) {
		for (next = i + 1; next < count && same(&entries[i], &entries[next]);)
			next++;
		put_entry(out, &entries[i], next - i);
	}
	fputs(".El\n", out);
	free(entries);
}

/* The types of tables of one module. */
static void
put_types(FILE *out, const struct module *module)
{
	const struct ph_param *path = section_param(module->class, module, "path");
	const struct ph_map_ops *types = module->descriptor.operations;

	fputs(".It Ic", out);
	for (size_t i = 0; i < module->descriptor.operation_count; i++)
		fprintf(out, "%s %s : Ns Ar %s", i ? " , Ic" : "", types[i].type,
			path && path->type == PH_PATH ? "path" : "text");
	fputc('\n', out);
	manual_text(out, module->descriptor.purpose, false);
	fprintf(out, ".\nModule:\n.Sy %s .\n", module->name);
}

static void
put_tables(const struct config *config, FILE *out)
{
	bool any = false;

	for (size_t i = 0; i < config->module_count; i++) {
		if (config->modules[i]->class->number != PH_CLASS_MAP)
			continue;
		if (!any)
			fputs(".Sh TABLES\nThe types of tables, as a parameter or an argument names "
			      "one.\n.Bl -tag -width Ds\n", out);
		any = true;
		put_types(out, config->modules[i]);
	}
	if (any)
		fputs(".El\n", out);
}

int
manual_print(const struct config *config, FILE *out)
{
	put_parameters(config, out);
	put_tables(config, out);
	return 0;
}
