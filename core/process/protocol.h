/*
 * What the processes of the daemon say to each other: types of frames on the sockets between the
 * supervisor, a generation's parent, its roles and its spawner. Payloads in the order told here.
 */
#ifndef PROCESS_PROTOCOL_H
#define PROCESS_PROTOCOL_H

/* From a generation to the supervisor. */
enum {
	GENERATION_PROBLEM = 1, /* u8 is it a warning; string line */
	GENERATION_REGISTER,    /* strings run_directory, log_destination, syslog_name; u8 json;
	                           u64 reload_grace */
	GENERATION_SOCKETS,     /* u32 count; for each: u8 is Unix, u8 optional, string name of the
	                           listener, u8 family 4 or 6, bytes address, u32 port, string path,
	                           u32 mode */
	GENERATION_READY,       /* one descriptor: the snapshot of the configuration */
	GENERATION_STATUS,      /* u32 count; for each: string role, u32 number, u32 pid, string state */
	GENERATION_CLOSED       /* while it drains: nothing new comes in here any more */
};

/* From the supervisor to a generation. */
enum {
	SUPERVISOR_SOCKETS = 1, /* u32 index of the first; descriptors. An optional one that cannot be
	                           had is left out: u8 for each, is it there */
	SUPERVISOR_NO_SOCKET,   /* string text: the generation is to fail with it */
	SUPERVISOR_ACCEPTED,    /* it serves now */
	SUPERVISOR_DRAIN,
	SUPERVISOR_STOP,
	SUPERVISOR_REOPEN       /* log files */
};

/* From a role (and the spawner) to the generation's parent. */
enum {
	ROLE_READY = 1,
	ROLE_FAILED,       /* string text */
	ROLE_FILE_REQUEST, /* u32 number, string path */
	ROLE_CLOSED        /* while it drains: it takes nothing new any more */
};

/* From the parent to a role (and the spawner). */
enum {
	PARENT_DRAIN = 1,
	PARENT_STOP,
	PARENT_REOPEN,    /* maybe one descriptor: the log file opened again */
	PARENT_BLAME,     /* strings queue ID, instance, role */
	PARENT_FILE,      /* u32 number, string error; one descriptor when error is "" */
	PARENT_SPAWNER    /* one descriptor: to the local role, its end to the (new) spawner; to the
	                     spawner, its end to a new local role */
};

#endif
