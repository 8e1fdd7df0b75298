/*
 * One question to the name service, for a thread of the pool.
 */
#ifndef MAP_UNIX_LOOKUP_H
#define MAP_UNIX_LOOKUP_H

#include <posthouse/base.h>

enum { LOOKUP_KEY_SIZE = 256 };

/* On the heap, in one piece but for value. */
struct lookup {
	char key[LOOKUP_KEY_SIZE];
	bool group;    /* a group, not a user */
	ph_found found;
	int failure;   /* errno, with PH_FAILED */
	char *value;   /* the line of passwd(5) or group(5), with PH_FOUND */
};

/* NULL: no memory. The key is terminated, and shorter than LOOKUP_KEY_SIZE. */
struct lookup *lookup_new(const char *key, bool group);
/* Blocks. Its argument is a struct lookup. */
void lookup_run(void *lookup);
void lookup_free(void *lookup);

#endif
