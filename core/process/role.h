/*
 * Roles: what a process of a generation is. The generation parent forks each with the configuration
 * in hand; the role opens what it uses, drops privileges, and runs its loop.
 */
#ifndef PROCESS_ROLE_H
#define PROCESS_ROLE_H

#include "config/config.h"

struct role;

struct role_ops {
	const char *name;      /* "smtpd", "queue", "delivery", "local" */
	const char *component; /* its name in the log: "smtpd", "qmgr", "smtp", "local" */
	bool dns;              /* does it need the resolver? */
	/* Privileged, before the loop: open instances (instance_open). A failure at the first start
	 * fails the generation. */
	int (*open)(struct role *role, ph_error *error);
	/* In the role's first task, unprivileged: instance_start, sockets, tasks. The parent hears
	 * "ready" when it returns 0. */
	int (*start)(struct role *role, ph_error *error);
	/* A newer generation serves: stop taking work, finish what is in hand, then role_done().
	 * NULL: as stop. In a task. */
	void (*drain)(struct role *role);
	/* Orderly stop: finish quickly (a few seconds at most). In a task; the process ends when it
	 * returns and all tasks have ended. */
	void (*stop)(struct role *role);
};

struct role {
	const struct role_ops *ops;
	unsigned number;             /* 0 … count-1 */
	unsigned count;
	const struct config *config;
	const struct settings *settings;
	/* Listening sockets of this generation, for smtpd: parallel arrays. */
	size_t socket_count;
	const struct role_socket *sockets;
	int spawner_fd;              /* local: the request socket of the spawner; else -1 */
	void *data;                  /* the role's own */
};

struct role_socket {
	int fd;
	const struct instance *listener;
};

/* In a drain: nothing new is taken any more. Who waits for the reload is not told before. */
void role_closed(struct role *role);
/* The drain is complete: the process may end. */
void role_done(struct role *role);
/* The role of this process; NULL in the others. */
struct role *role_current(void);

/* The four, each in its room. */
extern const struct role_ops smtpd_role;    /* core/session/accept.c */
extern const struct role_ops queue_role;    /* core/queue/role.c */
extern const struct role_ops delivery_role; /* core/queue/worker.c */
extern const struct role_ops local_role;    /* core/queue/worker.c */

/* A role died of a message: the parent tells the queue role (core/queue/role.c handles it). */
void queue_blame(const char *queue_id, const char *instance, const char *role);

#endif
