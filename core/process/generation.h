/*
 * A generation: one configuration in force, and the processes that serve it. Its parent is executed
 * by the supervisor, reads the configuration, forks the spawner and the roles, and forks again
 * those that die. No threads, no event loop, no byte of the network.
 */
#ifndef PROCESS_GENERATION_H
#define PROCESS_GENERATION_H

#include "process/endpoints.h"
#include "process/conduit.h"
#include "process/owner.h"
#include "process/role.h"

/* Which roles there are, and what the parent asks of the rooms above. A test has its own. */
struct roster_entry {
	const struct role_ops *ops;
	unsigned (*count)(const struct settings *settings); /* NULL: one */
	bool sockets;                                       /* it accepts connections, and says role_closed() */
	bool limits;                                        /* it counts clients */
	bool spawner;                                       /* it talks to the spawner */
	bool last;                                          /* stops when the others have stopped */
};

struct roster {
	const struct roster_entry *entries; /* in the order in which they start and drain */
	size_t count;
	/* What its processes count clients in (session/limits.h). */
	int (*limits_open)(int fd, ph_error *error);
	void (*limits_close)(void); /* in a process that does not count */
	void (*limits_sweep)(void); /* one that does has died */
	void (*blame)(const char *queue_id, const char *instance, const char *role);
};

/* The daemon's own. */
extern const struct roster generation_roster;

struct generation_options {
	unsigned number;
	int supervisor_fd;
	const char *path;  /* of the configuration */
	int snapshot_fd;   /* -1: none */
	int limits_fd;     /* what the generations count clients in together; -1: none */
	bool detach;       /* standard error is not for us, unless the log goes there */
};

/* The whole life of a generation's parent; returns its exit code. */
int generation_main(const struct generation_options *options, const struct roster *roster);

/* ---- Between generation.c and children.c ----------------------------------------------------- */

enum { BLAME_ROOM = 128, MAX_BLAMES = 64 };

enum child_state {
	CHILD_NONE,     /* not forked, or dead and waiting for its time */
	CHILD_STARTING,
	CHILD_READY,
	CHILD_DRAINING,
	CHILD_STOPPING
};

struct child {
	const struct roster_entry *entry; /* NULL: the spawner */
	unsigned number, count;
	enum child_state state;
	bool closed;                      /* takes nothing new */
	pid_t pid;                        /* 0: none */
	struct conduit link;
	char *blame;                      /* shared with the process */
	int64_t started, retry_at;        /* milliseconds; retry_at 0: not to be forked */
	unsigned failures;
};

enum generation_state { GENERATION_STARTING, GENERATION_SERVING, GENERATION_DRAINING,
	GENERATION_STOPPING };

struct generation {
	const struct generation_options *options;
	const struct roster *roster;
	enum generation_state state;
	bool failed, closed;
	struct config *config;
	const struct settings *settings;
	struct owner owner;
	ph_pool *pool;
	struct conduit supervisor;
	int signal_fd;
	struct ph_endpoints endpoints;
	struct role_socket *sockets;
	size_t socket_count;
	struct child *children;           /* the spawner is the first */
	size_t child_count;
	char *blames;                     /* the shared memory */
	/* Deaths that the queue role has not been told yet, as payloads. */
	ph_span waiting_blames[MAX_BLAMES];
	size_t waiting_count;
	int64_t start_deadline;
	int64_t stop_began;               /* 0: no stop */
	int64_t kill_at;                  /* then what still lives is killed; 0: never */
	bool status_changed;
};

/* A role did not come up, or died before all were ready. */
void generation_fail(struct generation *generation, const char *text);

const char *child_name(const struct child *child);
int children_make(struct generation *generation, ph_error *error);
int children_fork_all(struct generation *generation, ph_error *error);
/* Forks those whose time has come. */
void children_retry(struct generation *generation);
/* When the next one is to be forked; 0: none. */
int64_t children_next_retry(const struct generation *generation);
/* Reaps every process that ended. */
void children_reap(struct generation *generation);
void child_service(struct generation *generation, struct child *child, short revents);
void children_drain(struct generation *generation);
/* Once they drain: has all that accepts closed its sockets, and the last one left its place to its
 * successor? */
bool children_closed(const struct generation *generation);
/* Sends the stops that are due: the last ones only when the others are gone, or late. */
void children_stop(struct generation *generation);
void children_kill(struct generation *generation);
void children_reopen(struct generation *generation);
bool children_all_ready(const struct generation *generation);
size_t children_alive(const struct generation *generation);
const char *child_state_name(enum child_state state);

#endif
