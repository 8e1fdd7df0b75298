/*
 * Memos: what is known of messages at rest, as bytes that never change. Equal ones are kept once:
 * when a destination is dead, what is known of thousands of messages is the same.
 */
#ifndef QUEUE_MEMO_H
#define QUEUE_MEMO_H

#include <posthouse/base.h>

struct memo;

/* A memo of these bytes, for memo_drop(). NULL: no memory. */
const struct memo *memo_keep(ph_span bytes);
/* NULL: nothing. */
void memo_drop(const struct memo *memo);
/* Its bytes; of NULL: none. */
ph_span memo_bytes(const struct memo *memo);

#endif
