/*
 * Match lists, for the core.
 */
#ifndef CONFIG_MATCH_H
#define CONFIG_MATCH_H

#include <posthouse/map.h>

/* As ph_match(); and "example.com" of the list stands for everything below it as well. Of tables
 * only those of fixed strings are asked for the parents. */
ph_found match_with_parents(const ph_match_list *list, const char *name, ph_error *error);

#endif
