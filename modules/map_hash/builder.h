/*
 * Builds a constant database from the text of a table.
 */
#ifndef MAP_HASH_BUILDER_H
#define MAP_HASH_BUILDER_H

#include <posthouse/base.h>
#include <posthouse/table.h>

/* Makes PATH.cdb, durable before it takes the old one's place; mode is that of the source. The text
 * stands in path. 0 or -1, and then the old one is untouched. */
int builder_build(const char *path, ph_span text, enum ph_table_style style, unsigned mode,
	ph_error *error);

#endif
