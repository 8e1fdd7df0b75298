/*
 * posthouse/transport.h: modules that carry mail on.
 *
 * A delivery is one message and those of its recipients that go to one next hop. deliver() runs in
 * a task and says for each recipient what became of it; a recipient about which it says nothing is
 * deferred.
 */
#ifndef POSTHOUSE_TRANSPORT_H
#define POSTHOUSE_TRANSPORT_H

#include <posthouse/base.h>
#include <posthouse/map.h>
#include <posthouse/module.h>
#include <posthouse/stream.h>
#include <posthouse/task.h>

PH_BEGIN_DECLS

#define PH_TRANSPORT_MAJOR 1

typedef struct ph_delivery ph_delivery;

PH_API const char *ph_delivery_queue_id(const ph_delivery *delivery);
/* The reverse-path, "" for reports. */
PH_API const char *ph_delivery_sender(const ph_delivery *delivery);
/* The next hop as the configuration gives it: "example.com", "[192.0.2.1]:587". */
PH_API const char *ph_delivery_nexthop(const ph_delivery *delivery);
/* When the message arrived; wall clock, microseconds. */
PH_API int64_t ph_delivery_arrival(const ph_delivery *delivery);
PH_API size_t ph_delivery_count(const ph_delivery *delivery);
/* A recipient's address now, and as it came in ("" when that is the same). */
PH_API const char *ph_delivery_recipient(const ph_delivery *delivery, size_t index);
PH_API const char *ph_delivery_original(const ph_delivery *delivery, size_t index);
/* Is this recipient the product of an expansion, not to be looked up in alias tables again? */
PH_API bool ph_delivery_is_final(const ph_delivery *delivery, size_t index);
/* 7BIT or 8BITMIME content, SMTPUTF8: what the next hop must be able to do. */
PH_API bool ph_delivery_8bit(const ph_delivery *delivery);
/*
 * What the sender asked about reports (RFC 3461), for transports that can pass it on: as in struct
 * ph_mail_parameters and struct ph_rcpt_parameters, "" where there is none.
 */
PH_API const char *ph_delivery_envid(const ph_delivery *delivery);
PH_API uint32_t ph_delivery_ret(const ph_delivery *delivery);
PH_API uint32_t ph_delivery_notify(const ph_delivery *delivery, size_t index);
PH_API const char *ph_delivery_orcpt(const ph_delivery *delivery, size_t index);
/* Who handed the message in: "client_address", "client_hostname", "client_helo", "client_protocol",
 * "client_port", "sasl_username", "sasl_method", "sasl_sender". "" of what is not known, and of a
 * name that this version does not know. Never NULL. */
PH_API const char *ph_delivery_client(const ph_delivery *delivery, const char *name);
/* Was it submitted with SMTPUTF8 (RFC 6531)? It may go only to who offers that. */
PH_API bool ph_delivery_smtputf8(const ph_delivery *delivery);
/*
 * Is this a probe: a question whether the recipients exist, and no mail? Then nothing is delivered,
 * and there is no content. The transport finds out what it can and says with ph_delivery_sent(),
 * _bounce() or _defer() what would become of mail, in a text that an SMTP client may see. Only for
 * transports with PH_TRANSPORT_PROBES; of others it is never true.
 */
PH_API bool ph_delivery_is_probe(const ph_delivery *delivery);
/*
 * Is this a rehearsal: a probe by which an administrator asks what would become of mail, in full?
 * Then everything is done but to deliver: the transport says with ph_delivery_expand_to() what a
 * recipient becomes, and with ph_delivery_sent(), in a text like "delivers to mailbox /var/mail/x",
 * what it would do. It connects to nobody. Only for transports with PH_TRANSPORT_REHEARSES; of
 * others it is never true.
 */
PH_API bool ph_delivery_is_rehearsal(const ph_delivery *delivery);
/* In a rehearsal: something that was found on the way, one line. Else nothing. */
PH_API void ph_delivery_tell(ph_delivery *delivery, const char *format, ...) PH_PRINTF(2, 3);
/* Memory until the delivery ends. */
PH_API ph_pool *ph_delivery_pool(ph_delivery *delivery);

/*
 * The content: CR LF lines at offset in fd, which the core closes after the delivery. dot_lines: a
 * line begins with a dot. 0, or -1 when it cannot be had now (the recipients are deferred).
 */
PH_API int ph_delivery_content(ph_delivery *delivery, int *fd, int64_t *offset, int64_t *length,
	bool *dot_lines, ph_error *error);

/*
 * Results. status is an enhanced status code of that class; relay is what the log shows after
 * "relay=" ("local", "mx.example.com[192.0.2.1]:25"); the text is what the log shows in brackets
 * and a report as diagnostic, for SMTP "host mx.example.com[192.0.2.1] said: 550 5.1.1 …".
 */
PH_API void ph_delivery_sent(ph_delivery *delivery, size_t index, const char *status,
	const char *relay, const char *format, ...) PH_PRINTF(5, 6);
PH_API void ph_delivery_defer(ph_delivery *delivery, size_t index, const char *status,
	const char *relay, const char *format, ...) PH_PRINTF(5, 6);
PH_API void ph_delivery_bounce(ph_delivery *delivery, size_t index, const char *status,
	const char *relay, const char *format, ...) PH_PRINTF(5, 6);
/* Before ph_delivery_sent(): the recipient is another host's now. reports: that host was told what
 * the sender asked, and reports a delivery; else the sender hears that it was relayed. Without this
 * call it was delivered. */
PH_API void ph_delivery_relayed(ph_delivery *delivery, size_t index, bool reports);
/* The recipient becomes these addresses instead; final ones are not expanded again. The expansion
 * is durable before the recipient counts as done. The struct's layout is fixed. */
struct ph_expansion {
	const char *address;
	bool final;
};
PH_API void ph_delivery_expand(ph_delivery *delivery, size_t index,
	const struct ph_expansion *addresses, size_t count);

/*
 * What a recipient is, or what it becomes: more than addresses. The queue keeps this beside the
 * address, never in its text: nobody can write a command or a file into an envelope.
 */
enum ph_target_kind {
	PH_TARGET_ADDRESS,   /* an address like any other */
	PH_TARGET_USER,      /* a user of this host: not looked up in alias tables again */
	PH_TARGET_MAILBOX,   /* a user's mailbox: no forwarding either */
	PH_TARGET_COMMAND,   /* what: a command, run with the rights of user */
	PH_TARGET_FILE,      /* what: a file, written with the rights of user */
	PH_TARGET_TRANSPORT, /* the address, through the transport and next hop of what: "name:nexthop" */
	/* The address in a new message from sender. what: the value of its Delivered-To header, ""
	 * none. The queue role writes that message; no transport sees this kind. */
	PH_TARGET_FORWARD,
	PH_TARGET_KINDS
};
struct ph_target {
	uint32_t size;
	uint32_t kind;       /* enum ph_target_kind */
	const char *address; /* never empty: what the log shows as "to" */
	const char *what;    /* "" or NULL: nothing */
	const char *user;    /* "" or NULL: the rights of default_privs */
	const char *sender;  /* "" or NULL: the message's */
};
/* Fills what there is room for (target->size); no pointer is NULL, the sender is always the one
 * that counts. Texts live as long as the delivery. */
PH_API void ph_delivery_target(const ph_delivery *delivery, size_t index, struct ph_target *target);
/* As ph_delivery_expand(), to targets of any kind. Each is tried and retried by itself. Copied;
 * every size is that of the first. */
PH_API void ph_delivery_expand_to(ph_delivery *delivery, size_t index,
	const struct ph_target *targets, size_t count);
/* The recipient is one mailbox under another name (an alias with one user): the log shows this
 * address, and the one before as orig_to. ph_delivery_recipient() gives the new one from now on,
 * ph_delivery_original() the old one. Copied. */
PH_API void ph_delivery_becomes(ph_delivery *delivery, size_t index, const char *address);
/* The whole destination does not answer: the remaining recipients are deferred, and the destination
 * is left alone for a while. */
PH_API void ph_delivery_dead(ph_delivery *delivery, const char *status, const char *relay,
	const char *format, ...) PH_PRINTF(4, 5);
/* The connection to the next hop was there after this many milliseconds: for "delays=a/b/c/d".
 * Called when the connection stands; 0 for one that was kept. */
PH_API void ph_delivery_connected(ph_delivery *delivery);

/* ---- Deliveries with a user's rights --------------------------------------------------------- */

/*
 * What is asked for. One batch has requests of one kind for one user.
 */
enum ph_user_kind {
	PH_USER_MAILBOX,  /* deliver into the user's mailbox in mail_spool_directory */
	PH_USER_FILE,     /* deliver into target, a file (mbox) or, with a slash at its end, a Maildir */
	PH_USER_COMMAND,  /* deliver to target, a command */
	PH_USER_INSTANCE, /* deliver as the instance's own parameters say: its command, … */
	PH_USER_READ      /* read the file target: only for ph_spawn_read() */
};

enum {
	/* PH_USER_READ: the file is like ~/.forward: it belongs to the user or to root, and it is
	 * no symbolic link. */
	PH_USER_OWN_FILE = 1,
	/* PH_USER_FILE: target is the user's mailbox, and must belong to them. */
	PH_USER_HOME_MAILBOX = 2
};

/*
 * A request to the spawner: fixed size, no pointers. The message goes along as a descriptor. As
 * long as the class's major is the same this struct and the next only grow at their ends; the
 * elements of an array lie as far apart as the first one's size says, and PH_USER_DELIVERY_1_0 goes
 * with results of PH_USER_RESULT_1_0.
 */
struct ph_user_delivery {
	uint32_t size;
	uint32_t kind;        /* enum ph_user_kind */
	/* Whose rights; the spawner looks the user up itself. "": default_privs, for files,
	 * commands and lists that an alias table names; with rights_offset always "". */
	char user[64];
	char sender[330];
	char recipient[330];  /* Delivered-To */
	char original[330];   /* X-Original-To */
	char queue_id[24];
	int64_t arrival;
	int64_t offset;       /* of the content in its descriptor */
	int64_t length;
	uint32_t flags;       /* PH_USER_OWN_FILE, … */
	char target[2044];    /* a command, or an absolute path; "~/" is the user's home */
	char extension[332];  /* of the recipient's address, without its delimiter */
	char nexthop[256];
	/* For commands that want to know (ph_delivery_client(), ph_delivery_envid()). */
	char client_address[48];
	char client_hostname[256];
	char client_helo[256];
	char client_protocol[16];
	char sasl_username[256];
	char envid[104];
	/* Since ABI 1.1. */
	char client_port[8];
	char sasl_method[32];
	char sasl_sender[336];
	char address[330];    /* where the recipient stands now, after aliases; "": as recipient */
};
#define PH_USER_DELIVERY_1_0 1112

enum ph_user_outcome {
	PH_USER_SENT,
	PH_USER_DEFERRED,
	PH_USER_BOUNCED
};

/* What the child answers, for each request. */
struct ph_user_result {
	uint32_t size;
	int32_t outcome;      /* enum ph_user_outcome; of a file to be read enum ph_user_read */
	char status[12];
	char text[244];
	char output[768];     /* what a command wrote, for the log and the report */
};
#define PH_USER_RESULT_1_0 264

/*
 * Has the spawner run deliver_as_user() of this instance for a batch of requests, all of one user;
 * waits. fds has one descriptor for each request (the same may stand several times). 0 with results
 * filled, or -1: nothing is known to be delivered.
 */
PH_API int ph_spawn_delivery(void *self, const struct ph_user_delivery *requests, const int *fds,
	size_t count, struct ph_user_result *results, ph_deadline deadline, ph_error *error);
/* The most that one batch may hold. */
#define PH_SPAWN_MAX 64
/*
 * Since ABI 1.1. Fills in who handed the message in, and its envid: texts that a command may want
 * to know, cut where they are too long.
 */
PH_API void ph_delivery_describe(const ph_delivery *delivery, struct ph_user_delivery *request);
/*
 * Since ABI 1.1. The same for the message of a delivery: all its recipients, in batches of what one
 * may hold; waits, and says what became of each. request: what all have in common, its size and
 * kind before all; sender, recipient, content, next hop and client are filled in here. A batch may
 * take time milliseconds, and time_each more for each recipient.
 */
PH_API void ph_spawn_message(void *self, ph_delivery *delivery,
	const struct ph_user_delivery *request, int64_t time, int64_t time_each);

/* What became of a file that was to be read. */
enum ph_user_read {
	PH_READ_TEXT,    /* here it is */
	PH_READ_LATER,   /* try again: text says what failed */
	PH_READ_REFUSED, /* whose it is, or who may write it, does not do: text says it, "file X: …" */
	PH_READ_ABSENT   /* there is no such file, or no such folder, that the user can see */
};

/*
 * Has the spawner read files with a user's rights (requests of PH_USER_READ, without messages);
 * waits. Each must be a regular file that not everybody may write; "~/" as PH_USER_OWN_FILE says.
 * results tell how it went (enum ph_user_read), texts what stands in them, in the pool. 0, or -1:
 * nothing is known. All files of a batch together hold PH_SPAWN_TEXT_MAX bytes at most: what does
 * not fit is refused.
 */
PH_API int ph_spawn_read(void *self, ph_pool *pool, const struct ph_user_delivery *requests,
	size_t count, struct ph_user_result *results, ph_span *texts, ph_deadline deadline, ph_error *error);
#define PH_SPAWN_TEXT_MAX (900 * 1024)

struct ph_user_context;
/* The same in confirm() and deliver_as_user(), where the user is at hand: one file, by the same
 * rules. The text is in the pool; the error for everything but PH_READ_TEXT. */
PH_API enum ph_user_read ph_user_file(ph_pool *pool, const struct ph_user_context *user,
	const char *path, uint32_t flags, ph_span *text, ph_error *error);

/* What deliver_as_user() knows of its surroundings: it runs in a process of its own that is the
 * user for good, with the mailbox (if any) opened and locked by the core. No tasks there. */
struct ph_user_context {
	uint32_t size;
	uint32_t uid;
	uint32_t gid;
	int mailbox_fd;       /* the mbox, opened to append: in mail_spool_directory or, for PH_USER_FILE,
	                       * the target; -1: none */
	int mailbox_errno;    /* why there is none: errno; 0: it is a Maildir, or none was asked for */
	const char *mailbox;  /* its path, for texts; a Maildir's ends with a slash */
	const char *home;
	const char *name;     /* the user's */
	const char *shell;
};

/* What find_rights() says of a request: the numbers of a user and a group, whom the system need not
 * know; or, with another outcome than PH_USER_SENT, what becomes of the recipient instead. */
struct ph_user_rights {
	uint32_t size;
	int32_t outcome;      /* enum ph_user_outcome */
	uint32_t uid;
	uint32_t gid;
	char status[12];
	char text[244];
};

struct ph_transport_ops {
	uint32_t size;
	uint32_t flags;
	/* Carries one delivery, in a task. */
	void (*deliver)(void *self, ph_delivery *delivery);
	/* In a child of the spawner; NULL for a transport that needs no user's rights. Fills
	 * results, one for each request. */
	void (*deliver_as_user)(void *self, const struct ph_user_context *user,
		const struct ph_user_delivery *requests, const int *fds, size_t count,
		struct ph_user_result *results);
	/* Where in the instance is a text (const char *) that says whose rights deliver_as_user()
	 * has: "user" or "user:group". It is the configuration's and not the request's. 0:
	 * nowhere. */
	uint32_t rights_offset;
	/* What "module = NAME" means in a section, and the name of the instance that loading makes.
	 * NULL: the module's name without "transport_". Letters, digits and underscores. */
	const char *name;
	/*
	 * Whose rights deliver_as_user() has for each request, where that is for the instance's
	 * tables to say (requests of PH_USER_INSTANCE without a user). A child of the spawner asks,
	 * in a process of its own that has only the rights of default_privs and the tables with
	 * PH_FOR_USER open; then deliver_as_user() runs once for each user and group that was
	 * found. Neither number is ever 0, nor the user mail_owner. NULL: rights_offset or the
	 * requests say it.
	 */
	void (*find_rights)(void *self, const struct ph_user_delivery *requests, size_t count,
		struct ph_user_rights *rights);
	/* Where in the instance is the smallest number of a user (int64_t) that find_rights() may
	 * find: it is held against it once more where no module's code has run. 0: nowhere. */
	uint32_t minimum_offset;
	/*
	 * Did the user want this? Asked before a command runs, or a file is opened or read, with
	 * the rights of a user whom the request names (PH_USER_COMMAND, PH_USER_FILE,
	 * PH_USER_READ), in the process that is that user: what the local role says is not enough,
	 * as all it holds could be made up. 0; or -1 with a result (of a file to be read its text
	 * counts, and the outcome is PH_READ_LATER). The requests of one batch have one target, but
	 * for PH_USER_READ. NULL: the requests are believed.
	 */
	int (*confirm)(void *self, const struct ph_user_context *user,
		const struct ph_user_delivery *request, struct ph_user_result *result);
	/* Since ABI 1.1. Where in the instance is a path (const char *) of a folder that is the
	 * root directory of deliver_as_user(), and where it begins; nothing that is run there gains
	 * rights by a set-id bit. "" there: the system's. 0: nowhere. */
	uint32_t chroot_offset;
};

enum {
	PH_TRANSPORT_LOCAL = 1, /* runs in the local role, beside the spawner */
	/* Knows ph_delivery_is_probe(). One that does not never sees a probe: the core answers in
	 * its place that the address is deliverable as far as can be known, so that no mail is
	 * refused. */
	PH_TRANSPORT_PROBES = 2,
	/* Knows ph_delivery_is_rehearsal(), and probes. Of one that does not "posthouse explain"
	 * says no more than that mail goes there. */
	PH_TRANSPORT_REHEARSES = 4
};

#define PH_TRANSPORT(...) \
	.class_number = PH_CLASS_TRANSPORT, .class_major = PH_TRANSPORT_MAJOR, \
	.operations = &(const struct ph_transport_ops){.size = sizeof(struct ph_transport_ops), \
		__VA_ARGS__}, \
	.operation_count = 1, .operation_stride = sizeof(struct ph_transport_ops)

/* Which of its module's transports an instance is, "lmtp", whatever the instance itself is called:
 * for the functions of ph_life, when a module has several. "" when it is no transport's. Lives as
 * long as the instance. */
PH_API const char *ph_transport_name(const void *self);

/* Several, as the SMTP client is that of LMTP too: an array of struct ph_transport_ops. They share
 * the parameters and the life of the module. */
#define PH_TRANSPORT_TABLE(table) \
	.class_number = PH_CLASS_TRANSPORT, .class_major = PH_TRANSPORT_MAJOR, .operations = (table), \
	.operation_count = sizeof(table) / sizeof((table)[0]), \
	.operation_stride = sizeof(struct ph_transport_ops)

PH_END_DECLS

#endif
