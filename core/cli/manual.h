/*
 * The parts of the manual that tables are the source of: parameters in posthouse.conf(5), and
 * posthouse-restrictions(5).
 */
#ifndef CLI_MANUAL_H
#define CLI_MANUAL_H

#include <stdio.h>

#include "config/config.h"

/* Parameters and types of tables of the core and the loaded modules, as mdoc. 0. */
int manual_print(const struct config *config, FILE *out);
/* Their restrictions, by what they judge: posthouse-restrictions(5). 0. */
int manual_restrictions(const struct config *config, FILE *out);
/* Text as mdoc has it: backslashes doubled; as an argument of a macro, quotes are safe too. */
void manual_text(FILE *out, const char *text, bool argument);

#endif
