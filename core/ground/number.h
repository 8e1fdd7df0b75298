/*
 * Numbers as little-endian bytes, one to eight of them.
 */
#ifndef GROUND_NUMBER_H
#define GROUND_NUMBER_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t
number_get(const char *at, size_t size)
{
	uint64_t value = 0;

	for (size_t i = 0; i < size; i++)
		value |= (uint64_t)(unsigned char)at[i] << (8 * i);
	return value;
}

static inline void
number_put(char *at, uint64_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		at[i] = (char)(value >> (8 * i) & 0xff);
}

#endif
