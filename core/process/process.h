/*
 * How a forked process of a generation begins: what role.c and spawner.c get from the parent.
 */
#ifndef PROCESS_PROCESS_H
#define PROCESS_PROCESS_H

#include <stdnoreturn.h>
#include <sys/types.h>

#include "process/owner.h"
#include "process/role.h"

struct process_setup {
	const struct role_ops *ops; /* NULL: the spawner */
	unsigned number, count;
	const struct config *config;
	const struct owner *owner;
	size_t socket_count;
	const struct role_socket *sockets;
	int control_fd;             /* to the parent */
	int spawner_fd;             /* of the local role: to the spawner; else -1 */
	pid_t parent;
	char *blame;                /* shared with the parent: "QUEUE_ID INSTANCE" of a crash */
	size_t blame_size;
	void (*blamed)(const char *queue_id, const char *instance, const char *role);
};

/* Runs a role to its end. */
noreturn void role_run(const struct process_setup *setup);
/* Runs the spawner to its end. */
noreturn void spawner_run(const struct process_setup *setup);

/* In the forked child: signals as they are in a new program, none blocked; its short name. */
void process_signals(void);
void process_title(const char *name);
/* Overwrites the arguments that ps shows: a forked process has those of its parent. Nothing may
 * point to them any more. */
void process_arguments(const char *name);
/* Dies soon after the parent, whatever it is doing; exits at once when it is dead already. */
void process_follow(pid_t parent);

/* The local role has a new spawner (spawn_client.c). Takes over the descriptor. */
void spawn_client_connect(int fd);

/* The monotonic clock in milliseconds, for processes without a loop. */
int64_t process_clock(void);
/* Leaves the terminal that started the daemon alone from here on; standard error only unless the
 * log goes there. */
void process_leave_terminal(bool log_there);

#endif
