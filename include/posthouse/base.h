/*
 * posthouse/base.h: spans, pools of memory, errors, addresses, checked numbers.
 *
 * What every other public header stands on. Nothing here waits.
 */
#ifndef POSTHOUSE_BASE_H
#define POSTHOUSE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define PH_API __attribute__((visibility("default")))
#define PH_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define PH_API
#define PH_PRINTF(fmt, args)
#endif

#ifdef __cplusplus
#define PH_BEGIN_DECLS extern "C" {
#define PH_END_DECLS }
#else
#define PH_BEGIN_DECLS
#define PH_END_DECLS
#endif

PH_BEGIN_DECLS

/* The ABI of this release (see <posthouse/module.h>). */
#define PH_ABI_MAJOR 1
#define PH_ABI_MINOR 1

/*
 * A counted run of bytes. Not terminated, may hold NUL; never owns its memory. An empty span may
 * have a null pointer.
 */
typedef struct ph_span {
	const char *data;
	size_t size;
} ph_span;

/* A span over a terminated string; the empty span for NULL. */
PH_API ph_span ph_span_of(const char *string);
PH_API bool ph_span_equal(ph_span a, ph_span b);
/* ASCII letters compare without regard to case, as domain names and SMTP verbs do (RFC 5321,
 * 2.4). */
PH_API bool ph_span_equal_nocase(ph_span a, ph_span b);
PH_API int ph_strcasecmp(const char *a, const char *b);

/*
 * The text of an error. A caller that wants to know why passes one; every function that takes a
 * ph_error accepts NULL for it. The text has no final full stop and no newline.
 */
typedef struct ph_error {
	char text[256];
} ph_error;

/* Writes the text, cut to fit. Returns -1, so that a failing function can end with it. */
PH_API int ph_error_set(ph_error *error, const char *format, ...) PH_PRINTF(2, 3);

/*
 * A pool: memory that is freed all at once by its owner. Allocations are aligned for any type and
 * are never freed singly. All functions return NULL when memory or the pool's limit is exhausted.
 */
typedef struct ph_pool ph_pool;

/* A pool that grows up to limit bytes (0: no limit). Nothing is allocated before the first use. */
PH_API ph_pool *ph_pool_new(size_t limit);
PH_API void ph_pool_free(ph_pool *pool);
/* Forgets everything that was allocated, keeps the first block for reuse. */
PH_API void ph_pool_reset(ph_pool *pool);
/* Memory set to zero. */
PH_API void *ph_pool_alloc(ph_pool *pool, size_t size);
/* The same for count elements; NULL when the product overflows. */
PH_API void *ph_pool_array(ph_pool *pool, size_t count, size_t size);
PH_API char *ph_pool_strdup(ph_pool *pool, const char *string);
/* A terminated copy of a span. */
PH_API char *ph_pool_copy(ph_pool *pool, ph_span span);
PH_API char *ph_pool_printf(ph_pool *pool, const char *format, ...) PH_PRINTF(2, 3);

/* An IPv4 or IPv6 address with a port (host byte order, 0: none). family is AF_INET, AF_INET6,
 * AF_UNIX (bytes unused) or 0 for no address. IPv4 uses the first four bytes. */
typedef struct ph_address {
	uint16_t family;
	uint16_t port;
	uint32_t scope;
	uint8_t bytes[16];
} ph_address;

/* Room for any text of ph_address_text(), its NUL included. */
#define PH_ADDRESS_TEXT 56

/* Parses "192.0.2.1" or "2001:db8::1" (no brackets, no port). 0, or -1. */
PH_API int ph_address_parse(ph_span text, ph_address *address);
/* The address without its port: "192.0.2.1", "2001:db8::1". Returns text. */
PH_API const char *ph_address_text(const ph_address *address, char text[PH_ADDRESS_TEXT]);
/* Equal addresses; ports are not compared. An IPv4-mapped IPv6 address equals its IPv4 address. */
PH_API bool ph_address_equal(const ph_address *a, const ph_address *b);

/*
 * The one checked parser of integers: the whole span must be decimal digits, with an optional
 * leading '-' for the signed form, and the value must lie within [min, max]. 0, or -1 (value kept).
 */
PH_API int ph_parse_int(ph_span text, int64_t min, int64_t max, int64_t *value);
PH_API int ph_parse_uint(ph_span text, uint64_t max, uint64_t *value);

/* The outcome of a lookup. Not found is an answer; failed means: try again later. */
typedef enum ph_found {
	PH_FAILED = -1,
	PH_NOT_FOUND = 0,
	PH_FOUND = 1
} ph_found;

/* A list of strings, as parameters hold it. */
typedef struct ph_strings {
	size_t count;
	const char *const *items;
} ph_strings;

PH_END_DECLS

#endif
