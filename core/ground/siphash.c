#include "ground/siphash.h"

#include "ground/number.h"

enum { WORD = 8, WORD_ROUNDS = 2, LAST_ROUNDS = 4 };

static uint64_t
rotate(uint64_t value, unsigned by)
{
	return value << by | value >> (64 - by);
}

/* A step of one half: a and b are mixed, a moves on to its next partner. */
static void
mix(uint64_t *a, uint64_t *b, unsigned by)
{
	*a += *b;
	*b = rotate(*b, by) ^ *a;
}

static void
rounds(uint64_t v[4], unsigned count)
{
	while (count-- > 0) {
		mix(&v[0], &v[1], 13);
		v[0] = rotate(v[0], 32);
		mix(&v[2], &v[3], 16);
		mix(&v[0], &v[3], 21);
		mix(&v[2], &v[1], 17);
		v[2] = rotate(v[2], 32);
	}
}

static void
take(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	rounds(v, WORD_ROUNDS);
	v[0] ^= word;
}

uint64_t
siphash(const uint64_t secret[2], ph_span text)
{
	uint64_t v[4] = {
		secret[0] ^ UINT64_C(0x736f6d6570736575), secret[1] ^ UINT64_C(0x646f72616e646f6d),
		secret[0] ^ UINT64_C(0x6c7967656e657261), secret[1] ^ UINT64_C(0x7465646279746573)};
	size_t whole = text.size / WORD * WORD;

	for (size_t at = 0; at < whole; at += WORD)
		take(v, number_get(text.data + at, WORD));
	/* What is left, with the length above it. */
	take(v, number_get(text.data + whole, text.size - whole) | (uint64_t)text.size << 56);
	v[2] ^= 0xff;
	rounds(v, LAST_ROUNDS);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
