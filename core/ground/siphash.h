/*
 * SipHash-2-4: a short keyed hash (Aumasson and Bernstein, 2012). Whoever does not know the secret
 * can neither find two texts of one hash nor one that falls into a certain place of a table. Pure.
 */
#ifndef GROUND_SIPHASH_H
#define GROUND_SIPHASH_H

#include <posthouse/base.h>

uint64_t siphash(const uint64_t secret[2], ph_span text);

#endif
