/*
 * The supervisor: owns the listening sockets, starts generations, and stops everything. It reads no
 * configuration and loads no module; what it knows of one, a generation told it.
 */
#ifndef PROCESS_SUPERVISOR_H
#define PROCESS_SUPERVISOR_H

#include <posthouse/base.h>

struct supervisor_options {
	const char *program; /* what to execute for a generation: an absolute path */
	const char *config;  /* absolute */
	bool foreground;
	int limits_fd;       /* handed to every generation; -1: none */
	int ready_fd;        /* told "R" when the first generation serves; -1: nobody waits */
};

/* Runs until it is told to stop; returns the exit code. */
int supervisor_main(const struct supervisor_options *options);

#endif
