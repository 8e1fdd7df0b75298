/*
 * posthouse/session.h: what is known of the client and of the transaction in progress.
 *
 * Every text is terminated, never NULL, and "" when there is none; all live until the transaction
 * (sender, recipient) or the session (the rest) ends. What came from the client is not escaped.
 */
#ifndef POSTHOUSE_SESSION_H
#define POSTHOUSE_SESSION_H

#include <posthouse/base.h>
#include <posthouse/dns.h>
#include <posthouse/map.h>
#include <posthouse/module.h>

PH_BEGIN_DECLS

typedef struct ph_session ph_session;

/* With its port. */
PH_API const ph_address *ph_client_address(const ph_session *session);
/* The address as text, "192.0.2.1". */
PH_API const char *ph_client_address_text(const ph_session *session);
/* The verified name of the client, or "unknown". */
PH_API const char *ph_client_name(const ph_session *session);
/* "name[address]", with ":port" behind it where smtpd_client_port_logging says so: the client as
 * log and replies know it. */
PH_API const char *ph_client_label(const ph_session *session);
/* Was that name verified (PH_FOUND), is there none (PH_NOT_FOUND), or did a lookup fail for now? */
PH_API ph_found ph_client_name_found(const ph_session *session);
/*
 * What the client's address says its name is (the first PTR record), which nobody has verified:
 * whoever has the address may write what he likes there. "unknown" when there is none, when it is
 * no host name, and without smtpd_peername_lookup.
 */
PH_API const char *ph_client_reverse_name(const ph_session *session);
/* Is there such a name, is there none (PH_NOT_FOUND), or did the lookup fail for now? */
PH_API ph_found ph_client_reverse_name_found(const ph_session *session);
/* Does that name say the client's address back (PH_FOUND), does it have other addresses or none, or
 * is there no name (PH_NOT_FOUND), or did a lookup fail for now, of the name or of its
 * addresses? */
PH_API ph_found ph_client_forward_found(const ph_session *session);
/* The address and port that the client connected to. */
PH_API const ph_address *ph_server_address(const ph_session *session);
/* The name given with HELO or EHLO. */
PH_API const char *ph_helo(const ph_session *session);
/* "SMTP", "ESMTP" or "LMTP". */
PH_API const char *ph_protocol(const ph_session *session);
/* Was there a MAIL command? Tells "<>" from no sender. */
PH_API bool ph_has_sender(const ph_session *session);
PH_API const char *ph_sender(const ph_session *session);
PH_API const char *ph_sender_domain(const ph_session *session);
/* The recipient in hand, in the recipient stage. */
PH_API const char *ph_recipient(const ph_session *session);
PH_API const char *ph_recipient_domain(const ph_session *session);
/* How many recipients were accepted so far. */
PH_API size_t ph_recipient_count(const ph_session *session);
/* The recipient, when exactly one was accepted; "" otherwise. */
PH_API const char *ph_only_recipient(const ph_session *session);
/* The size that the client announced or, at end of data, sent. Bytes; 0: not known. */
PH_API int64_t ph_message_size(const ph_session *session);
/* The queue ID, once there is one. */
PH_API const char *ph_queue_id(const ph_session *session);
/* The command that is judged, as logs and policy servers name it: "CONNECT", "HELO", "EHLO",
 * "MAIL", "RCPT", "DATA", "END-OF-MESSAGE", "VRFY", "ETRN". */
PH_API const char *ph_command(const ph_session *session);
/* The domain of ETRN. */
PH_API const char *ph_etrn_domain(const ph_session *session);
/* What this transaction is known by in this process and in others: it stays the same from the
 * first MAIL to the end of the message, and is used once. */
PH_API const char *ph_transaction_id(const ph_session *session);
/* What MAIL announced. Never NULL; ENVID "" without one. */
PH_API const char *ph_envelope_id(const ph_session *session);
/* The login, "" without one; who the client says wrote the message (AUTH= of MAIL, RFC 4954). */
PH_API const char *ph_sasl_username(const ph_session *session);
PH_API const char *ph_sasl_method(const ph_session *session);
PH_API const char *ph_sasl_sender(const ph_session *session);
/* "TLSv1.3", or "" in plain text. */
PH_API const char *ph_tls_protocol(const ph_session *session);
PH_API const char *ph_tls_cipher(const ph_session *session);
/* The bits of the cipher's key; 0 in plain text. */
PH_API int ph_tls_cipher_bits(const ph_session *session);
/* The client's certificate: names, and digests of it and of its public key as hexadecimal pairs
 * with colons between; "" without one. Was it issued by an authority that we trust? */
PH_API const char *ph_ccert_subject(const ph_session *session);
PH_API const char *ph_ccert_issuer(const ph_session *session);
PH_API const char *ph_ccert_fingerprint(const ph_session *session);
PH_API const char *ph_ccert_pubkey_fingerprint(const ph_session *session);
PH_API bool ph_ccert_trusted(const ph_session *session);
/* Is the client's address in mynetworks; in one of our own networks interfaces? */
PH_API bool ph_client_in_mynetworks(const ph_session *session);
PH_API bool ph_client_is_local_interface(const ph_session *session);

/* Is it an address on which this host receives mail? */
PH_API bool ph_is_own_address(const ph_session *session, const ph_address *address);

/* Has the client sent commands ahead where it may not: without PIPELINING (HELO), or behind DATA
 * before the answer to it (RFC 2920, 3.1)? */
PH_API bool ph_client_pipelined(const ph_session *session);

/* What becomes of an address. */
typedef enum ph_destination {
	PH_DESTINATION_FAILED = -1, /* a table could not be asked */
	PH_DESTINATION_FOREIGN = 0, /* neither of these */
	/* mydestination, virtual_alias_domains, virtual_mailbox_domains, our own address literals,
	 * no domain at all */
	PH_DESTINATION_FINAL = 1,
	PH_DESTINATION_RELAY = 2    /* relay_domains */
} ph_destination;
/* Where an address goes, judged by its domain. A local part that hides another route ("a%b@here",
 * "b!a@here", "a@b"@here) is foreign when the domain is ours. */
PH_API ph_destination ph_destination_of(ph_session *session, const char *address);

/* Memory until the restriction returns; until the transaction ends; until the session ends. */
PH_API ph_pool *ph_scratch_pool(ph_session *session);
PH_API ph_pool *ph_message_pool(ph_session *session);
PH_API ph_pool *ph_session_pool(ph_session *session);

/* A pointer that a module keeps for as long as the session lives: what it found out about the
 * client, in the session's pool. owner is the address of something static in the module. *slot is
 * NULL at first. NULL: no memory. */
PH_API void **ph_session_slot(ph_session *session, const void *owner);

/*
 * Since ABI 1.1. Expands the template of what a client is told, as ph_macros_expand() does: with the
 * names that own knows (NULL: none) and these of the session: client, client_address, client_name,
 * client_port, helo_name, localtime, recipient, recipient_domain, recipient_name,
 * reverse_client_name, sender, sender_domain, sender_name, server_address, server_name, server_port.
 * What is not printable ASCII in values becomes "_". The result lives in the pool. session NULL: a
 * check of the template, with any values. NULL with the error, as there.
 */
PH_API const char *ph_reply_expand(ph_pool *pool, ph_session *session, const char *text,
	ph_macro_fn *own, void *context, ph_error *error);

/* Lookups whose answers live until the restriction returns. They wait; other sessions go on. */
PH_API const ph_dns_answer *ph_dns_lookup(ph_session *session, ph_dns_type type, const char *name);
PH_API ph_found ph_map_find(ph_session *session, const ph_map *map, const char *key,
	const char **value);
/* The same for a part of a key ("example.com" of user@example.com), which only tables of fixed
 * strings are asked for. */
PH_API ph_found ph_map_find_fixed(ph_session *session, const ph_map *map, const char *key,
	const char **value);
/* A mail address, as ph_map_lookup_address() looks it up. */
PH_API ph_found ph_map_find_address(ph_session *session, const ph_map *map, const char *address,
	unsigned flags, const char **value);

PH_END_DECLS

#endif
