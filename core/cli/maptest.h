/*
 * posthouse map test: keys, and what a table is expected to have for them.
 */
#ifndef CLI_MAPTEST_H
#define CLI_MAPTEST_H

#include <posthouse/map.h>

/*
 * Asks the map for each entry of a text in the syntax of tables: "key result", a key alone (it must
 * be there, whatever it has), and "! key" (it must not). Prints every difference, with name and the
 * line, and at the end how many there are. An exit code: 0 when there are none.
 */
int maptest_run(const ph_map *map, const char *name, ph_span text);

/* The same with a file; "-": standard input. */
int maptest_file(const ph_map *map, const char *path);

#endif
