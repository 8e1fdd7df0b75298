/*
 * The part of posthouse.conf(5) that the tables of parameters are the source of.
 */
#ifndef CLI_MANUAL_H
#define CLI_MANUAL_H

#include <stdio.h>

#include "config/config.h"

/* Parameters and restrictions of the core and the loaded modules, as mdoc. 0. */
int manual_print(const struct config *config, FILE *out);

#endif
