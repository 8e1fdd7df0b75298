/*
 * The instance of transport_virtual.
 */
#ifndef TRANSPORT_VIRTUAL_VIRTUAL_H
#define TRANSPORT_VIRTUAL_VIRTUAL_H

#include <posthouse/map.h>

struct virtual {
	const ph_map *virtual_mailbox_maps, *virtual_uid_maps, *virtual_gid_maps;
	const char *virtual_mailbox_base;
	ph_strings virtual_mailbox_lock;
	int64_t virtual_mailbox_limit;
	int64_t virtual_minimum_uid;
};

#endif
