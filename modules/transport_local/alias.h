/*
 * What becomes of an address when the alias tables are asked, and asked again for what they say.
 */
#ifndef TRANSPORT_LOCAL_ALIAS_H
#define TRANSPORT_LOCAL_ALIAS_H

#include <posthouse/transport.h>

enum {
	ALIAS_MAX_DEPTH = 100,
	ALIAS_MAX_RESULTS = 100000,
	ALIAS_MAX_NAMES = 10 * ALIAS_MAX_RESULTS
};

/* Whom to ask. */
struct alias_source {
	void *context;
	/* An alias table's value; the key is a local part without quotes. *pattern: the value may
	 * hold pieces of the key; it begins false. */
	ph_found (*find)(void *context, ph_pool *pool, const char *key, const char **value,
		bool *pattern, ph_error *error);
	/* What is in an :include: file. PH_NOT_FOUND, too, comes with an error. */
	ph_found (*include)(void *context, ph_pool *pool, const char *path, ph_span *text,
		ph_error *error);
	/* Is this domain one whose names are looked up here? */
	ph_found (*is_local)(void *context, const char *domain, ph_error *error);
	const char *origin;     /* the domain of names without one */
	const char *delimiters; /* of user+extension; "": there are no extensions */
	bool owner_special;     /* "-" does not cut owner-NAME and NAME-request */
	bool owners;            /* owner-NAME becomes the sender of what goes to NAME */
	bool expand_owner;      /* not owner-NAME itself, but the address for which it stands */
	/* The extension with which a name came and that its alias lacks goes to what the alias
	 * names; also to what a file names that it includes. */
	bool propagate, propagate_included;
};

struct alias_result {
	/* PH_TARGET_USER: a user; _MAILBOX: their mailbox, whatever they forward; _COMMAND, _FILE;
	 * _FORWARD: somebody elsewhere, or on a list with an owner. */
	enum ph_target_kind kind;
	const char *address; /* of a command or a file: the one that was expanded */
	const char *user;    /* of this host, without quotes; NULL: for the other kinds */
	const char *what;    /* the command, the file; "" */
	const char *sender;  /* "": the message's */
	bool included;       /* an :include: file names it */
};

enum alias_outcome {
	ALIAS_DONE,
	ALIAS_LATER,      /* a table could not be asked, or no memory */
	ALIAS_BAD_ENTRY,  /* a table says what cannot be understood, or not be done */
	ALIAS_TOO_LARGE   /* too deep, too many */
};

struct alias_expansion {
	struct alias_result *results;
	size_t count;
	bool nowhere;      /* /dev/null is among the targets */
	const char *loop;  /* a name that leads back to itself; NULL: none */
	bool postmaster;   /* there is no alias for postmaster, and none for root */
};

/*
 * Expands one address: its local part is looked up with its extension and without it; what is
 * found is looked up again, but for a name that directly stands for itself: that is the user. Each
 * result comes once. postmaster without an alias is root. The address itself is the only result
 * when no table knows it. The address must be of a local domain. All in the pool; may wait where
 * the source does. error for everything but ALIAS_DONE. What an alias with an owner names has its
 * sender, and the users among it get messages of their own, so that reports go to the owner.
 */
enum alias_outcome alias_expand(const struct alias_source *source, ph_pool *pool,
	const char *address, struct alias_expansion *expansion, ph_error *error);

/* The user's name in a local part: without its extension. Names that must stay whole
 * (mailer-daemon, double-bounce, and where owners are special and "-" delimits owner-x and
 * x-request) do. In the pool; NULL: no memory. */
const char *alias_base(ph_pool *pool, const char *local_part, const char *delimiters,
	bool owner_special);

/* The address with an extension, its delimiter included, behind its local part. As it is when there
 * is none, and when one of both would need quotes. NULL: no memory. */
const char *alias_extend(ph_pool *pool, const char *address, const char *extension);

/* A local part in lower case (ASCII), without quotes. NULL: no memory. */
const char *alias_user(ph_pool *pool, const char *address);

#endif
