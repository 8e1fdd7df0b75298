/*
 * Memos: see memo.h.
 */
#include "queue/memo.h"

#include <stdlib.h>
#include <string.h>

struct memo {
	struct memo *next;
	uint32_t hash, users, size;
	char bytes[];
};

/* All of this process. */
static struct {
	struct memo **by_hash;
	size_t size, count; /* size: a power of two, or 0 */
} memos;

static uint32_t
hash_bytes(ph_span bytes)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < bytes.size; i++)
		hash = (hash ^ (unsigned char)bytes.data[i]) * 16777619u;
	return hash;
}

static struct memo **
place_of(uint32_t hash)
{
	return &memos.by_hash[hash & (memos.size - 1)];
}

/* -1: there is no table at all. A table that cannot grow is slower, but as good. */
static int
make_room(void)
{
	size_t old_size = memos.size, size = old_size == 0 ? 256 : old_size * 2;
	struct memo **old = memos.by_hash, **table;

	if (memos.count < old_size)
		return 0;
	if ((table = calloc(size, sizeof(struct memo *))) == NULL)
		return old_size == 0 ? -1 : 0;
	memos.by_hash = table;
	memos.size = size;
	for (size_t i = 0; i < old_size; i++)
		while (old[i] != NULL) {
			struct memo *moved = old[i];

			old[i] = moved->next;
			moved->next = *place_of(moved->hash);
			*place_of(moved->hash) = moved;
		}
	free(old);
	return 0;
}

const struct memo *
memo_keep(ph_span bytes)
{
	uint32_t hash = hash_bytes(bytes);
	struct memo *memo;

	if (bytes.size > UINT32_MAX || make_room() == -1)
		return NULL;
	for (memo = *place_of(hash); memo != NULL; memo = memo->next)
		if (memo->hash == hash && memo->size == bytes.size && memo->users < UINT32_MAX &&
			memcmp(memo->bytes, bytes.data, bytes.size) == 0) {
			memo->users++;
			return memo;
		}
	if ((memo = malloc(sizeof(*memo) + bytes.size)) == NULL)
		return NULL;
	*memo = (struct memo){.next = *place_of(hash), .hash = hash, .users = 1,
		.size = (uint32_t)bytes.size};
	if (bytes.size > 0)
		memcpy(memo->bytes, bytes.data, bytes.size);
	*place_of(hash) = memo;
	memos.count++;
	return memo;
}

void
memo_drop(const struct memo *memo)
{
	struct memo **at, *gone;

	if (memo == NULL)
		return;
	for (at = place_of(memo->hash); *at != memo; at = &(*at)->next)
		;
	gone = *at;
	if (--gone->users > 0)
		return;
	*at = gone->next;
	free(gone);
	if (--memos.count > 0)
		return;
	free(memos.by_hash);
	memos.by_hash = NULL;
	memos.size = 0;
}

ph_span
memo_bytes(const struct memo *memo)
{
	return memo == NULL ? (ph_span){NULL, 0} : (ph_span){memo->bytes, memo->size};
}
