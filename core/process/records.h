/*
 * The supervisor's inside: generations as it sees them. records.c starts them and hears what they
 * say, supervisor.c judges what becomes of them.
 */
#ifndef PROCESS_RECORDS_H
#define PROCESS_RECORDS_H

#include <posthouse/base.h>

#include "process/conduit.h"
#include "process/sockets.h"
#include "process/supervisor.h"

enum {
	MAX_GENERATIONS = 8,
	MAX_PROBLEMS = 200,
	START_TIME = 60 * 1000 /* for a generation to serve or to fail */
};

enum record_state { RECORD_FREE, RECORD_STARTING, RECORD_SERVING, RECORD_DRAINING,
	RECORD_STOPPING };

/* A generation, as the supervisor sees it. Texts are in its pool. */
struct record {
	enum record_state state;
	unsigned number;
	pid_t pid;
	bool reload;          /* an administrator waits for it */
	struct conduit link;
	ph_pool *pool;
	bool registered;
	const char *run_directory, *log_destination, *syslog_name;
	bool json;
	int64_t reload_grace;
	int pid_fd;           /* of a pid file in a directory of its own; -1: the supervisor has it */
	int64_t began, kill_at;
	const char *problems[MAX_PROBLEMS];
	size_t problem_count;
	ph_span status;       /* the last GENERATION_STATUS */
	ph_pool *status_pool;
};

struct supervisor {
	const struct supervisor_options *options;
	struct record records[MAX_GENERATIONS];
	struct sockets sockets;
	int signal_fd;
	int snapshot_fd;      /* of the last accepted configuration */
	unsigned last_number;
	char run_directory[256]; /* ""; where the pid file and the status are */
	int pid_fd;
	bool served;          /* the first generation came up */
	bool stopping;
	bool reload_again;    /* asked for while one was starting */
	int64_t started, restart_at;
	unsigned failures;    /* of generations that ended unasked */
	unsigned reloads;
	int64_t reload_time;
	const char *reload_result;
	unsigned closing;     /* the generation that a reload waits for until it takes nothing new; 0: none */
	int64_t closing_until;
	ph_pool *reload_pool;
	const char *reload_problems[MAX_PROBLEMS];
	size_t reload_problem_count;
	bool status_changed;
	int exit_code;
};

struct record *record_find(struct supervisor *supervisor, enum record_state state);
void record_free(struct record *record);
/* Executes a new generation. 0 or -1. */
int record_start(struct supervisor *supervisor, bool reload, int snapshot_fd);
void record_problem(struct record *record, bool warning, const char *line);
/* Reads what the generation says. */
void record_service(struct supervisor *supervisor, struct record *record, short revents);
void supervisor_write_status(struct supervisor *supervisor);

/* In supervisor.c: the generation is ready to serve. Takes over the descriptor. */
void supervisor_accept(struct supervisor *supervisor, struct record *record, int snapshot_fd);
/* One that drains takes nothing new any more. */
void supervisor_closed(struct supervisor *supervisor, const struct record *record);

#endif
