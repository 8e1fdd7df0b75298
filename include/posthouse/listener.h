/*
 * posthouse/listener.h: modules that let mail in.
 *
 * A listener says which addresses it listens on; the supervisor owns the sockets. Each accepted
 * connection gets a task that runs serve(). A protocol module talks to the client; what the
 * commands mean, which policy applies and what becomes of the mail is the core's: the session.
 */
#ifndef POSTHOUSE_LISTENER_H
#define POSTHOUSE_LISTENER_H

#include <posthouse/base.h>
#include <posthouse/intake.h>
#include <posthouse/module.h>
#include <posthouse/session.h>
#include <posthouse/stream.h>
#include <posthouse/task.h>

PH_BEGIN_DECLS

#define PH_LISTENER_MAJOR 1

typedef struct ph_endpoints ph_endpoints;
typedef struct ph_connection ph_connection;

/* Listens on a TCP port of every address in inet_interfaces, or of one address. port 0: the kernel
 * picks one, written to run_directory/NAME.port. 0, or -1. */
PH_API int ph_endpoint_inet(ph_endpoints *endpoints, const ph_address *address_or_null, uint16_t port,
	ph_error *error);
/* Listens on a Unix-domain socket of that name in run_directory, with these permissions. */
PH_API int ph_endpoint_unix(ph_endpoints *endpoints, const char *name, unsigned mode,
	ph_error *error);

PH_API const ph_address *ph_connection_client(const ph_connection *connection);
PH_API const ph_address *ph_connection_server(const ph_connection *connection);
/* The user at the other end of a Unix-domain socket; 0, or -1. */
PH_API int ph_connection_peer_uid(const ph_connection *connection, uint32_t *uid);
/* The stream; it is closed by the core when serve() returns. */
PH_API ph_stream *ph_connection_stream(ph_connection *connection);
/* Is the process about to end (a stop, the end of the time after a reload)? Then finish the
 * transaction in hand, answer 421. */
PH_API bool ph_connection_draining(const ph_connection *connection);
/* "" or why the core wants this client turned away at once, as the text of a 421 reply. */
PH_API const char *ph_connection_refusal(const ph_connection *connection);

/* Flags of a listener: serve() talks SMTP to any stream, with a session (ph_session_begin) for all
 * that it decides, so that "posthouse explain" can rehearse one. */
enum {
	PH_LISTENER_SMTP = 0x1
};

struct ph_listener_ops {
	uint32_t size;
	uint32_t flags;
	/* Which sockets? Called when the configuration is checked. */
	int (*endpoints)(void *self, ph_endpoints *endpoints, ph_error *error);
	/* One connection from its accept to its end, in a task. A session that only waits for its
	 * next command calls ph_session_idle() first, so that a reload may cancel it. */
	void (*serve)(void *self, ph_connection *connection);
};

#define PH_LISTENER(...) \
	.class_number = PH_CLASS_LISTENER, .class_major = PH_LISTENER_MAJOR, \
	.operations = &(const struct ph_listener_ops){.size = sizeof(struct ph_listener_ops), \
		__VA_ARGS__}, \
	.operation_count = 1, .operation_stride = sizeof(struct ph_listener_ops)

/* ---- The session: an SMTP server's state, policy and transaction ----------------------------- */

/*
 * Each call below judges one command and changes the state only when it is accepted. The reply is
 * filled when the command is refused (then they return -1); on 0 the protocol module words its own
 * positive reply. A reply with code 421 or 521: say it and close. Lines are logged here, not in the
 * module. All may wait (restrictions look things up).
 */
PH_API ph_session *ph_session_begin(void *self, ph_connection *connection);
PH_API void ph_session_end(ph_session *session);

/* The client connected; client restrictions, unless delayed. */
PH_API int ph_session_connect(ph_session *session, ph_reply *reply);
/* HELO, EHLO or LHLO with its argument; protocol "SMTP", "ESMTP", "LMTP". Resets a transaction. */
PH_API int ph_session_helo(ph_session *session, const char *name, const char *protocol,
	ph_reply *reply);
/* MAIL: the parsed reverse-path and its parameters; announced is SIZE's value or 0. */
PH_API int ph_session_mail(ph_session *session, const char *sender,
	const struct ph_mail_parameters *parameters, int64_t announced, ph_reply *reply);
PH_API int ph_session_rcpt(ph_session *session, const char *recipient,
	const struct ph_rcpt_parameters *parameters, ph_reply *reply);
/* DATA, before 354. */
PH_API int ph_session_data(ph_session *session, ph_reply *reply);
/* VRFY of an address: judged as a recipient would be, and nothing more. */
PH_API int ph_session_vrfy(ph_session *session, const char *address, ph_reply *reply);
/* ETRN of a domain (RFC 1985): the mail that waits for it is tried. The reply is always filled. */
PH_API int ph_session_etrn(ph_session *session, const char *domain, ph_reply *reply);
/* A piece of content: lines in CR LF, dots unstuffed. Never refuses: a failure shows at the end. */
PH_API void ph_session_content(ph_session *session, ph_span bytes);
/* End of data: judges, commits and fills the reply, a positive one too ("250 2.0.0 Ok: queued as
 * ID"). refusal, unless NULL: the module found the content unacceptable (a bare LF): nothing is
 * queued and this reply is logged and given. The transaction is over. */
PH_API void ph_session_end_of_data(ph_session *session, const ph_reply *refusal, ph_reply *reply);
/* RSET and whatever ends a transaction. */
PH_API void ph_session_reset(ph_session *session);
/* Logs a protocol error of the client with what it said, as a reject is logged. */
PH_API void ph_session_log_reject(ph_session *session, const char *command, const ph_reply *reply);
/* Has a transaction begun (MAIL accepted); how many recipients does it have? */
PH_API bool ph_session_in_transaction(const ph_session *session);

/*
 * The session waits for its next command (idle), or has read one. An idle session without a
 * transaction is cancelled when the process is about to end. Returns false when it is so already:
 * do not wait, answer "421 4.3.2" and close.
 */
PH_API bool ph_session_idle(ph_session *session, bool idle);
/* Counts a command ("ehlo", "mail"; others as "unknown") for the line at the session's end. */
PH_API void ph_session_count(ph_session *session, const char *command, bool accepted);
/* A line of the dialogue, with its line end or without, for a notice to the postmaster; client: it
 * is the client's. Not what is in the content, and no password. */
PH_API void ph_session_said(ph_session *session, bool client, ph_span line);
/* soft_bounce: does every reply of class 5 become one of class 4? (The core's lines in the log
 * do.) */
PH_API bool ph_session_soft_bounce(const ph_session *session);
/* message_size_limit, for the SIZE keyword; bytes, 0: none. */
PH_API int64_t ph_session_size_limit(const ph_session *session);

PH_END_DECLS

#endif
