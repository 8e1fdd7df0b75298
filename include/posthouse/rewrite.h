/*
 * posthouse/rewrite.h: addresses looked up in tables, and rewritten in headers.
 */
#ifndef POSTHOUSE_REWRITE_H
#define POSTHOUSE_REWRITE_H

#include <posthouse/map.h>

PH_BEGIN_DECLS

/*
 * Looks an address up as canonical(5), virtual(5) and generic(5) have it: user+extension@domain,
 * user@domain, user (of our own domains), @domain. rewritten is the first address of what was found,
 * complete, in the pool; extension: append that of the address when the key was found without it.
 * PH_FAILED: as ph_map_lookup(), and for a value that is no address. May wait.
 */
PH_API ph_found ph_address_rewrite(ph_pool *pool, const ph_map *map, const char *address,
	bool extension, const char **rewritten, ph_error *error);

/* What becomes of an address in a header; rewritten is that address at first. 0, or another value
 * than -1, which ends it. */
typedef int ph_header_rewrite_fn(void *context, const char *address, const char **rewritten);

/*
 * Rewrites the addresses in the headers that have some (From, Sender, Reply-To, To, Cc and so on). Only
 * the bytes of addresses that change are replaced. bytes: the content from its start, as much of it as
 * PH_HEADERS_MOST or all; head becomes its header section, rewritten, in the pool or in bytes; used:
 * the bytes for which it stands. What rewrite returned, or -1 without memory.
 */
PH_API int ph_headers_rewrite(ph_pool *pool, ph_span bytes, ph_header_rewrite_fn *rewrite,
	void *context, ph_span *head, size_t *used);
#define PH_HEADERS_MOST 104448

PH_END_DECLS

#endif
