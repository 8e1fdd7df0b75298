/*
 * What is known of one address that was verified, as bytes of the cache's file. Pure.
 *
 * The file is a header and records, of which a later one about the same address holds. A record is
 * {u32 magic, u32 CRC of what follows, u16 size of the address, u16 size of the text, u8 status,
 * three zeros, u64 time} and the two texts; numbers are little-endian.
 */
#ifndef QUEUE_VERIFY_RECORD_H
#define QUEUE_VERIFY_RECORD_H

#include <posthouse/base.h>

enum verify_status {
	VERIFY_DELIVERABLE = 1,
	VERIFY_DEFERRED,      /* a probe found out nothing for now */
	VERIFY_UNDELIVERABLE,
	VERIFY_IN_PROGRESS    /* nothing is known yet; never in a file */
};

/* The longest address, and the most that is kept of a text, without a NUL. */
#define VERIFY_ADDRESS_MAX 1024
#define VERIFY_TEXT_MAX 500

struct verify_record {
	enum verify_status status;
	int64_t updated;           /* wall clock, seconds */
	ph_span address, text;
};

#define VERIFY_HEADER_SIZE 16
#define VERIFY_RECORD_SIZE 24 /* without its texts */
#define VERIFY_RECORD_MAX (VERIFY_RECORD_SIZE + VERIFY_ADDRESS_MAX + VERIFY_TEXT_MAX)

/* What the file begins with. */
void verify_header_put(char bytes[VERIFY_HEADER_SIZE]);
/* Takes it off. PH_FOUND; PH_NOT_FOUND: it is of another version; PH_FAILED: it is no such file. */
ph_found verify_header_take(ph_span *rest);

/* Takes off the next sound record; what lies before it is passed over and added to *skipped. Its
 * texts lie in the bytes, and hold no NUL. False: there is none. */
bool verify_record_next(ph_span *rest, struct verify_record *record, size_t *skipped);
/* Writes it; a text that is too long is cut. The size. */
size_t verify_record_put(const struct verify_record *record, char bytes[VERIFY_RECORD_MAX]);

#endif
