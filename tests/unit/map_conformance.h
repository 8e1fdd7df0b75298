/*
 * What every type of tables must do. A module's test describes each of its types and calls
 * map_conformance(). Link with MAP_TEST_WRAPS (tests/fragment.am): files, clocks, the log and the
 * type are this suite's.
 */
#ifndef TESTS_MAP_CONFORMANCE_H
#define TESTS_MAP_CONFORMANCE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <posthouse/map.h>

enum {
	MAP_NO_FILE = 1,   /* what follows the colon is no path, but first */
	MAP_ANY_KEY = 2,   /* every key is found, with the value of alpha */
	MAP_ANY_FAILS = 4  /* every lookup fails */
};

struct map_subject {
	const struct ph_module *module;
	const char *type;      /* NULL: the module's first */
	unsigned flags;
	const char *suffix;    /* of the file that open() reads, beside the source: "", ".cdb" */
	/* Sources in the module's syntax. first: alpha → one, beta → "two, three", gamma → "$" and
	 * nothing else; second: the same, but alpha → changed and no beta. */
	const char *first, *second;
	const char *broken;    /* a source that cannot be loaded or built; NULL: there is none */
	const char *broken_says; /* a part of the error, behind the path */
	/* Where keys cannot be words: what stands for alpha, beta, gamma; NULL: these. */
	const char *const *keys;
	const char *const *values; /* what stands for their values; NULL: those above */
	const char *const *others; /* more that must not be found, up to a NULL; NULL: none */
	/* A type that is made of other tables gets one of this module, and the source is that one's. */
	const struct ph_module *nested;
};

struct instance;


/* A table in a folder of its own. */
struct map_fixture {
	const struct map_subject *subject;
	char folder[64];
	char source[96];
	void *self;
	ph_pool *pool;
	bool opened;
	struct instance *nested; /* the table that it is made of; NULL: it is none of these */
};

void map_setup(struct map_fixture *fixture, const struct map_subject *subject);
void map_teardown(struct map_fixture *fixture);
/* The name of the source within its folder, instead of "table"; before anything is written. */
void map_call_it(struct map_fixture *fixture, const char *name);
/* Writes the source as a new file, as an editor does, or in place; its time is a second later than
 * the last one's. */
void map_write(struct map_fixture *fixture, const char *text);
void map_write_in_place(struct map_fixture *fixture, const char *text);
/* The operations of the subject's type. */
const struct ph_map_ops *map_operations(const struct map_fixture *fixture);
/* Builds, where the module builds. 0 or -1. */
int map_build(struct map_fixture *fixture, bool aliases, ph_error *error);
/* A nested table is opened before, as the core does it. */
int map_open(struct map_fixture *fixture, ph_error *error);
void map_close(struct map_fixture *fixture);
ph_found map_find(struct map_fixture *fixture, const char *key, const char **value);
/* The error of the last map_find(). */
const char *map_find_error(void);
/* The clock moves on. */
void map_time_passes(int64_t milliseconds);
/* How long ago, by the wall clock, the last file was written; 100 seconds otherwise. */
void map_set_file_age(int64_t seconds);
/* A log line with this in it must have come; other lines fail the test at its end. */
void map_expect_log(const char *part);

void map_conformance(const struct map_subject *subject);

#endif
