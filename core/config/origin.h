/*
 * The domain of mail that is posted here.
 */
#ifndef CONFIG_ORIGIN_H
#define CONFIG_ORIGIN_H

#include "config/settings.h"

/* $myorigin, or the first line of the file that it names (read once in a process; when it cannot be
 * read, $myhostname). */
const char *origin_domain(const struct settings *settings);

#endif
