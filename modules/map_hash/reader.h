/*
 * A constant database in memory. Nothing in it is believed: every offset and length is checked.
 */
#ifndef MAP_HASH_READER_H
#define MAP_HASH_READER_H

#include <posthouse/base.h>

struct reader {
	ph_span bytes;   /* the file; the owner of the reader owns them */
	size_t data_end; /* where the records end and the hash tables begin */
};

/* NULL when it is a database, else what is wrong with it. Where the file carries a checksum (ours
 * do) that is verified. */
const char *reader_open(struct reader *reader, ph_span bytes);
/* PH_FAILED: damaged. The value points into the bytes. */
ph_found reader_find(const struct reader *reader, ph_span key, ph_span *value);
/* The record at *at (0: the first), which moves on; PH_NOT_FOUND behind the last. */
ph_found reader_next(const struct reader *reader, size_t *at, ph_span *key, ph_span *value);

/*
 * The trailer that our databases have behind what the format knows (other readers do not see it):
 * these bytes and the CRC-32 of everything before the trailer, little-endian.
 */
#define TRAILER_MAGIC "posthouse cdb"
#define TRAILER_MAGIC_SIZE 12
#define TRAILER_SIZE 16

#endif
