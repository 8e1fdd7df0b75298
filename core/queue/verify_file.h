/*
 * The file of the verification cache ($address_verify_map). Records are appended to it as they
 * come; when most of it is of the past it is written anew beside it, and takes its place at once.
 * It is a cache: what is torn or damaged is passed over, and the file then written anew.
 */
#ifndef QUEUE_VERIFY_FILE_H
#define QUEUE_VERIFY_FILE_H

#include "queue/verify_cache.h"

struct verify_file;

/* What reading a file gave. */
struct verify_reading {
	size_t records;      /* sound ones, whether they hold or not */
	size_t skipped;      /* bytes that are no record */
	bool foreign;        /* it is of another version, or no such file: nothing was read */
};

/* Reads a file into the cache. PH_FOUND; PH_NOT_FOUND: there is none; PH_FAILED: it cannot be read,
 * and the error says why. Blocks. */
ph_found verify_file_read(const char *path, struct verify_cache *cache, int64_t now,
	struct verify_reading *reading, ph_error *error);

/* Reads it, says in the log what was wrong, and starts the task that writes; the path is kept by
 * reference. "": nothing is ever written. NULL: no memory or task. */
struct verify_file *verify_file_open(const char *path, struct verify_cache *cache, int64_t now);
/* The cache has this one now. */
void verify_file_put(struct verify_file *file, const struct verify_record *record);
/* The cache has some no more. */
void verify_file_renew(struct verify_file *file);
/* In a task: writes what is left. NULL: nothing. */
void verify_file_close(struct verify_file *file);

#endif
