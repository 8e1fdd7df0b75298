#include "session/limits.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "process/role.h"

enum {
	SLOTS = 4096, /* of a column; a power of two */
	WINDOW = 16   /* an address lies in one of that many slots from its hash on */
};

/* A slot is free when its count is 0. Its key is written before its count. */
struct slot {
	uint64_t key[2];
	_Atomic uint32_t count;
	uint32_t reserved;
};

struct column {
	struct slot slots[SLOTS];
};

static struct {
	struct column *columns; /* shared by the parent and its roles */
	unsigned count;
	unsigned own;
} limits;

int
limits_create(unsigned columns, ph_error *error)
{
	void *memory;

	limits_destroy();
	if (columns == 0)
		return 0;
	memory = mmap(NULL, columns * sizeof(struct column), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return ph_error_set(error, "shared memory for connection counts: %s", strerror(errno));
	limits.columns = memory;
	limits.count = columns;
	return 0;
}

void
limits_destroy(void)
{
	if (limits.columns != NULL)
		(void)munmap(limits.columns, limits.count * sizeof(struct column));
	memset(&limits, 0, sizeof(limits));
}

void
limits_clear(unsigned column)
{
	if (column >= limits.count)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		atomic_store_explicit(&limits.columns[column].slots[i].count, 0, memory_order_relaxed);
}

void
limits_attach(unsigned column)
{
	limits.own = column;
}

static void
make_key(const ph_address *client, uint64_t key[2])
{
	key[0] = client->family;
	key[1] = 0;
	memcpy(&key[1], client->bytes, client->family == AF_INET ? 4 : 8);
	/* The loopback address is a host of its own, not one of a network of 64 bits. */
	if (client->family == AF_INET6 && key[1] == 0)
		memcpy(&key[1], client->bytes + 8, 8);
}

static size_t
hash(const uint64_t key[2])
{
	uint64_t value = (key[1] ^ key[0]) * UINT64_C(0x9e3779b97f4a7c15);

	return (size_t)(value >> 40) & (SLOTS - 1);
}

static struct slot *
find(struct column *column, const uint64_t key[2])
{
	size_t first = hash(key);

	for (size_t i = 0; i < WINDOW; i++) {
		struct slot *slot = &column->slots[(first + i) & (SLOTS - 1)];

		if (atomic_load_explicit(&slot->count, memory_order_acquire) > 0 &&
			memcmp(slot->key, key, sizeof(slot->key)) == 0)
			return slot;
	}
	return NULL;
}

static struct slot *
find_free(struct column *column, const uint64_t key[2])
{
	size_t first = hash(key);

	for (size_t i = 0; i < WINDOW; i++) {
		struct slot *slot = &column->slots[(first + i) & (SLOTS - 1)];

		if (atomic_load_explicit(&slot->count, memory_order_relaxed) == 0)
			return slot;
	}
	return NULL;
}

unsigned
limits_enter(const ph_address *client)
{
	uint64_t key[2];
	struct slot *own;
	unsigned total = 0;

	if (limits.own >= limits.count || 
		(client->family != AF_INET && client->family != AF_INET6 && client->family != AF_UNIX))
		return 0;
	make_key(client, key);
	own = find(&limits.columns[limits.own], key);
	if (own == NULL) {
		own = find_free(&limits.columns[limits.own], key);
		if (own == NULL)
			return 0;
		memcpy(own->key, key, sizeof(own->key));
	}
	atomic_fetch_add_explicit(&own->count, 1, memory_order_release);
	for (unsigned i = 0; i < limits.count; i++) {
		const struct slot *slot = find(&limits.columns[i], key);

		if (slot != NULL)
			total += atomic_load_explicit(&slot->count, memory_order_relaxed);
	}
	return total;
}

void
limits_leave(const ph_address *client)
{
	uint64_t key[2];
	struct slot *own;

	if (limits.own >= limits.count)
		return;
	make_key(client, key);
	own = find(&limits.columns[limits.own], key);
	if (own != NULL)
		atomic_fetch_sub_explicit(&own->count, 1, memory_order_release);
}
