/*
 * The parameters of an instance that bear on deliveries with a user's rights.
 */
#ifndef TRANSPORT_LOCAL_PARAMS_H
#define TRANSPORT_LOCAL_PARAMS_H

#include <posthouse/map.h>

/* Part of the instance, in the local role and in the children of the spawner. */
struct params {
	ph_strings prepend_delivered_header;
	int64_t mailbox_size_limit;
	const char *home_mailbox;
	const char *mailbox_command;
	const ph_map *mailbox_command_maps;
	const char *local_command_shell;
	const char *command_expansion_filter;
	const char *command_execution_directory;
	int64_t command_time_limit; /* milliseconds */
};

/* Is this kind of delivery ("command", "file") without Delivered-To? */
bool params_bare(const struct params *params, const char *kind);

#endif
