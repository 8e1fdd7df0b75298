/*
 * The supervisor's listening sockets. They belong to no generation: a reload changes who accepts on
 * them, and what waits in their backlogs stays.
 */
#ifndef PROCESS_SOCKETS_H
#define PROCESS_SOCKETS_H

#include <posthouse/base.h>

/* What a generation asks for. */
struct socket_request {
	bool is_unix;
	bool optional;         /* may be missing on this machine */
	const char *listener;  /* its name: with port 0, each listener has a port of its own */
	ph_address address;
	const char *path;
	unsigned mode;
};

struct listening {
	struct socket_request request; /* texts are copies */
	int fd;
	unsigned generation; /* the last that asked for it */
	bool serves;         /* a generation that was accepted asked for it */
};

struct sockets {
	struct listening *items;
	size_t count, room;
};

/* Finds or creates the sockets of all requests; fds[i] is the table's descriptor, or -1 for an
 * optional one that cannot be had. 0, or -1 with what is wrong; then those that were made for it
 * are closed again. */
int sockets_acquire(struct sockets *sockets, const struct socket_request *requests, size_t count,
	unsigned generation, int *fds, ph_error *error);
/* The generation serves: closes those that it did not ask for. */
void sockets_keep(struct sockets *sockets, unsigned generation);
/* The generation failed: closes those that were made for it alone. */
void sockets_forget(struct sockets *sockets, unsigned generation);
void sockets_close(struct sockets *sockets);

#endif
