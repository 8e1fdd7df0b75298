/*
 * What is said on run_directory/queue and run_directory/control: types of frames and their fields,
 * in order. Numbers are u32 unless said otherwise; strings as in process/channel.h.
 */
#ifndef QUEUE_PROTOCOL_H
#define QUEUE_PROTOCOL_H

/* run_directory/queue */
enum {
	/* worker → queue role, first: string role; jobs at once; count, strings: transport
	 * instances; count, jobs in hand: {u64 number, string storage, string queue ID, attempt,
	 * count, numbers} */
	FRAME_HELLO = 1,
	/* worker → queue role: no more jobs, please */
	FRAME_DRAIN,
	/* anyone → queue role: u64 sequence, string storage, bytes hint */
	FRAME_HINT,
	/* queue role → the same: u64 sequence. The hint was taken up */
	FRAME_HINT_TAKEN,
	/* queue role → worker: u64 number, string storage, u64 handle, string queue ID, string
	 * transport, string next hop, string sender, u64 arrival, u64 active since, attempt, u8
	 * flags, count, {number, string address, string original, u8 kind (enum ph_target_kind);
	 * from PH_TARGET_MAILBOX on: string what, string user, string sender}; of RFC 3461: string
	 * ENVID, u8 RET, for each recipient {u8 NOTIFY, string ORCPT} */
	FRAME_JOB,
	/* worker → queue role: u64 number, string storage, string queue ID, attempt, parent, part,
	 * u8 last, count, {string address, u8 kind and what follows it, as in a job}. Before the
	 * result of the same job */
	FRAME_EXPANSION,
	/* worker → queue role: u64 number, string storage, string queue ID, attempt, u8 end (enum
	 * job_end), string status, string reason (with JOB_DEAD), count, {number, u8 outcome,
	 * string status, string text, string relay}; for each of these {u8 action (enum
	 * dsn_action), string final recipient}, which an older worker leaves out. Repeated after a
	 * reconnect until it is acknowledged */
	FRAME_RESULT,
	/* queue role → worker: count, u64 numbers of jobs whose results are durable */
	FRAME_ACK,
	/* queue role → worker: as FRAME_JOB. A probe: a worker that does not know it leaves it
	 * alone */
	FRAME_PROBE,
	/* anyone → queue role: string domain. Its mail is to be tried now */
	FRAME_SWEEP,
	/* anyone → queue role: u64 number, string address. What is known of it? */
	FRAME_VERIFY,
	/* queue role → the same: u64 number, u8 status (enum verify_status), string text. At once;
	 * after VERIFY_IN_PROGRESS once more, when a probe has found out, or never */
	FRAME_VERIFIED
};

enum {
	JOB_8BIT = 1,
	JOB_UTF8 = 2,
	JOB_PROBE = 4,    /* not on the wire: the type of the frame says it */
	JOB_REHEARSAL = 8 /* not on the wire: only a command asks so */
};

/* run_directory/control. A request is one frame; the answer ends with CONTROL_END. */
enum {
	CONTROL_LIST = 1,    /* string queue ID ("": all) */
	CONTROL_FLUSH,       /* string domain or queue ID ("": all) */
	CONTROL_SHOW,        /* string queue ID, u8 what (enum control_show) */
	CONTROL_DELETE,      /* string queue ID or "ALL" */
	CONTROL_HOLD,
	CONTROL_RELEASE,
	CONTROL_REQUEUE,     /* try as if it were new */
	CONTROL_VERIFY_LIST,   /* string address or domain ("": all): what is known of addresses */
	CONTROL_VERIFY_DELETE, /* string address, domain or "ALL" */
	/* answers */
	CONTROL_MESSAGE = 32, /* string ID, string queue name, u64 arrival (µs), u64 size, string
	                       * sender, string reason, u64 next attempt (µs, 0: now) */
	CONTROL_RECIPIENTS,   /* count, bytes {string address, string reason}; of the last message */
	CONTROL_TEXT,         /* bytes */
	CONTROL_END,          /* exit code, string text, u64 how many messages were meant */
	CONTROL_ADDRESSES     /* {string address, u8 status (enum verify_status), u64 since,
	                       * u64 probed again, u64 forgotten (s since 1970), string text} */
};

enum control_show {
	SHOW_ENVELOPE = 1,
	SHOW_HEADER = 2,
	SHOW_BODY = 4
};

#endif
