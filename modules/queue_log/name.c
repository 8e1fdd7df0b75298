#include "name.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Exactly that many lower-case hexadecimal digits. */
static bool
hex(const char **text, unsigned digits, uint64_t *value)
{
	*value = 0;
	for (unsigned i = 0; i < digits; i++) {
		const char *found;

		if (**text == '\0' || (found = strchr("0123456789abcdef", **text)) == NULL)
			return false;
		*value = *value << 4 | (uint64_t)(found - "0123456789abcdef");
		(*text)++;
	}
	return true;
}

static const struct {
	enum name_kind kind;
	const char *suffix;
} numbered[] = {
	{NAME_SEGMENT, ".seg"},
	{NAME_NEW, ".new"},
	{NAME_DEAD, ".dead"},
	{NAME_COPY, ".copy"},
};

static struct name
name_big_parse(const char *text, uint64_t number)
{
	struct name name = {.kind = NAME_BIG, .number = (uint32_t)number};

	if (!hex(&text, 16, &name.identity) || *text++ != '-' || !hex(&text, 8, &name.offset) ||
		strcmp(text, ".big") != 0)
		return (struct name){.kind = NAME_OTHER};
	name.offset <<= 3;
	return name;
}

struct name
name_parse(const char *text)
{
	struct name name = {.kind = NAME_OTHER};
	const char *rest = text;
	uint64_t number;

	if (strncmp(text, "spare-", 6) == 0) {
		rest = text + 6;
		if (hex(&rest, 8, &number) && *rest == '\0')
			name = (struct name){.kind = NAME_SPARE, .number = (uint32_t)number};
		return name;
	}
	if (!hex(&rest, 8, &number))
		return name;
	for (size_t i = 0; i < sizeof numbered / sizeof numbered[0]; i++)
		if (strcmp(rest, numbered[i].suffix) == 0)
			return (struct name){.kind = numbered[i].kind, .number = (uint32_t)number};
	if (*rest == '-')
		return name_big_parse(rest + 1, number);
	rest = text;
	if (hex(&rest, 16, &name.identity) && strcmp(rest, ".part") == 0)
		name.kind = NAME_PART;
	return name;
}

const char *
name_path(const char *folder, const struct name *name, char path[FILE_PATH_ROOM])
{
	const char *suffix = "";

	for (size_t i = 0; i < sizeof numbered / sizeof numbered[0]; i++)
		if (numbered[i].kind == name->kind)
			suffix = numbered[i].suffix;
	if (name->kind == NAME_BIG)
		snprintf(path, FILE_PATH_ROOM, "%s/%08x-%016llx-%08x.big", folder, name->number,
			(unsigned long long)name->identity, (unsigned)(name->offset >> 3));
	else if (name->kind == NAME_PART)
		snprintf(path, FILE_PATH_ROOM, "%s/%016llx.part", folder,
			(unsigned long long)name->identity);
	else if (name->kind == NAME_SPARE)
		snprintf(path, FILE_PATH_ROOM, "%s/spare-%08x", folder, name->number);
	else
		snprintf(path, FILE_PATH_ROOM, "%s/%08x%s", folder, name->number, suffix);
	return path;
}

const char *
name_path_of(const char *folder, enum name_kind kind, uint32_t number, char path[FILE_PATH_ROOM])
{
	struct name name = {.kind = kind, .number = number};

	return name_path(folder, &name, path);
}
