/*
 * What every map module must do. A module's test describes itself and calls map_conformance().
 * Link with MAP_TEST_WRAPS (tests/fragment.am): files, clocks and the log are this suite's.
 */
#ifndef TESTS_MAP_CONFORMANCE_H
#define TESTS_MAP_CONFORMANCE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <posthouse/map.h>

struct map_subject {
	const struct ph_module *module;
	const char *suffix;    /* of the file that open() reads, beside the source: "", ".cdb" */
	/* Sources in the module's syntax. first: alpha → one, beta → "two, three", gamma → "$" and
	 * nothing else; second: the same, but alpha → changed and no beta. */
	const char *first, *second;
	const char *broken;    /* a source that cannot be loaded or built; NULL: there is none */
	const char *broken_says; /* a part of the error, behind the path */
};

/* A table in a folder of its own. */
struct map_fixture {
	const struct map_subject *subject;
	char folder[64];
	char source[96];
	void *self;
	ph_pool *pool;
	bool opened;
};

void map_setup(struct map_fixture *fixture, const struct map_subject *subject);
void map_teardown(struct map_fixture *fixture);
/* Writes the source as a new file, as an editor does, or in place; its time is a second later than
 * the last one's. */
void map_write(struct map_fixture *fixture, const char *text);
void map_write_in_place(struct map_fixture *fixture, const char *text);
/* Builds, where the module builds. 0 or -1. */
int map_build(struct map_fixture *fixture, bool aliases, ph_error *error);
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
