/*
 * run_directory/status: what the supervisor shows of itself. One fact a line, "word value":
 *
 *	supervisor PID
 *	version VERSION
 *	state starting|serving|stopping
 *	started SECONDS
 *	reload COUNT SECONDS running|accepted|failed   (of the last reload; COUNT 0: none yet)
 *	problem TEXT                                   (of the last reload, when it failed)
 *	generation NUMBER PID STATE
 *	role GENERATION NAME NUMBER PID STATE
 */
#ifndef PROCESS_STATUS_H
#define PROCESS_STATUS_H

#include <stdio.h>

#include <posthouse/base.h>

struct status_role {
	unsigned generation, number;
	long pid;
	char name[32], state[16];
};

struct status_generation {
	unsigned number;
	long pid;
	char state[16];
};

/* The file, read. */
struct status {
	long supervisor;
	char version[32], state[16];
	int64_t started;
	unsigned reloads;
	int64_t reload_time;
	char reload_result[16];
	const char **problems;
	size_t problem_count;
	struct status_generation *generations;
	size_t generation_count;
	struct status_role *roles;
	size_t role_count;
};

/* Replaces the file atomically by what write() prints. 0 or -1. */
int status_replace(const char *directory, void (*write)(FILE *out, void *context), void *context,
	ph_error *error);
void status_remove(const char *directory);
/* Reads the file into the pool. 0, or -1: there is none, or it is unreadable. */
int status_read(const char *directory, ph_pool *pool, struct status *status, ph_error *error);

#endif
