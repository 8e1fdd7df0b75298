/*
 * What "posthouse verify" asks at run_directory/control: the addresses of which something is known.
 */
#include <string.h>
#include <sysexits.h>

#include <posthouse/log.h>

#include "queue/probe.h"
#include "queue/protocol.h"
#include "queue/verify_cache.h"
#include "queue/visitor.h"

/* Addresses in a frame. */
#define BATCH 100

/* A frame of the answer. */
struct page {
	struct page *next;
	struct wire_writer writer;
	uint32_t count;
};

/* The whole answer: what is known may change while it goes out. */
struct listing {
	const struct verify_cache *cache;
	const char *what;
	int64_t now;
	ph_pool *pool;
	struct page *first, *last;
	uint64_t count;
	bool failed;
};

static struct page *
page_for_one(struct listing *listing)
{
	struct page *page = listing->last;

	if (page != NULL && page->count < BATCH)
		return page;
	if ((page = ph_pool_alloc(listing->pool, sizeof(*page))) == NULL)
		return NULL;
	*page = (struct page){.count = 0};
	wire_begin(&page->writer, listing->pool);
	*(listing->last != NULL ? &listing->last->next : &listing->first) = page;
	listing->last = page;
	return page;
}

static void
add_one(void *context, const struct verify_record *record)
{
	struct listing *listing = context;
	int64_t refresh, expire;
	struct page *page;

	verify_cache_times(listing->cache, record, &refresh, &expire);
	if (expire < listing->now ||
		(*listing->what != '\0' && !verify_address_is(record->address, listing->what)))
		return;
	if ((page = page_for_one(listing)) == NULL) {
		listing->failed = true;
		return;
	}
	wire_put_bytes(&page->writer, record->address);
	wire_put_u8(&page->writer, record->status);
	wire_put_u64(&page->writer, (uint64_t)record->updated);
	wire_put_u64(&page->writer, (uint64_t)refresh);
	wire_put_u64(&page->writer, (uint64_t)expire);
	wire_put_bytes(&page->writer, record->text);
	listing->failed |= page->writer.failed;
	page->count++;
	listing->count++;
}

/* Is this visitor to be told? And is there anything that knows? */
static bool
is_served(struct visitor *visitor)
{
	if (!visitor_is_operator(visitor))
		visitor_end(visitor, EX_NOPERM,
			"only root and mail_owner may see and change what is known of "
			"addresses",
			0);
	else if (visitor->manager->probes == NULL)
		visitor_end(visitor, EX_TEMPFAIL, "the queue is not open yet", 0);
	else
		return true;
	return false;
}

void
visitor_list_verified(struct visitor *visitor, const char *what)
{
	struct listing listing = {.what = what, .now = ph_wall_clock() / 1000000};

	if (!is_served(visitor))
		return;
	listing.cache = probes_cache(visitor->manager->probes);
	if ((listing.pool = ph_pool_new(0)) != NULL)
		verify_cache_each(listing.cache, add_one, &listing);
	if (listing.pool == NULL || listing.failed)
		visitor_end(visitor, EX_TEMPFAIL, "out of memory", 0);
	else {
		for (const struct page *page = listing.first; page != NULL; page = page->next)
			if (visitor_answer(visitor, CONTROL_ADDRESSES, wire_span(&page->writer)) ==
				-1)
				break;
		visitor_end(visitor, EX_OK, "", listing.count);
	}
	ph_pool_free(listing.pool);
}

void
visitor_delete_verified(struct visitor *visitor, const char *what)
{
	size_t count;

	if (!is_served(visitor))
		return;
	if (*what == '\0') {
		visitor_end(visitor, EX_DATAERR, "name an address, a domain, or ALL", 0);
		return;
	}
	count = probes_remove(visitor->manager->probes, what);
	if (count > 0)
		ph_log(PH_LOG_INFO, "verify: %s: %zu address%s forgotten by uid %ld", what, count,
			count == 1 ? "" : "es", (long)visitor->uid);
	if (count == 0 && strcmp(what, "ALL") != 0)
		visitor_end(visitor, EX_DATAERR, "nothing is known of that", 0);
	else
		visitor_end(visitor, EX_OK, "", count);
}
