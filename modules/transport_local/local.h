/*
 * What the parts of transport_local share: an instance, a delivery in hand.
 */
#ifndef TRANSPORT_LOCAL_LOCAL_H
#define TRANSPORT_LOCAL_LOCAL_H

#include <posthouse/map.h>
#include <posthouse/transport.h>

#include "batches.h"
#include "params.h"
#include "users.h"

/* What changes while the instance is read-only. */
struct state {
	struct users *users;
	struct batches *batches;
	bool warned_of_postmaster;
	bool propagate_alias, propagate_forward, propagate_include; /* propagate_unmatched_extensions */
};

struct local {
	const ph_map *alias_maps, *fallback_transport_maps, *mailbox_transport_maps;
	const ph_match_list *alias_domains;
	ph_strings allow_mail_to_commands, allow_mail_to_files, forward_path;
	const char *fallback_transport, *forward_expansion_filter, *luser_relay, *mailbox_transport;
	struct params rights;
	int64_t duplicate_filter_limit;
	bool biff, expand_owner_alias, owner_request_special, require_home_directory;
	struct state *state;
};

/* A delivery in hand. */
struct work {
	struct local *local;
	ph_delivery *delivery;
	ph_pool *pool;
	struct letter **letters; /* for each recipient; NULL: none is under way */
	bool have_content;
	int fd;
	int64_t offset, length;
};

/* A recipient on the way to a user of this host. */
struct addressee {
	size_t index;
	const char *user;      /* a local part, with its extension, without quotes, in lower case */
	const char *address;   /* where it stands now */
	const char *recipient; /* what the headers show: Delivered-To */
	const char *original;  /* X-Original-To */
	const char *sender;
	bool forwards;         /* the user's .forward counts */
	bool passes;           /* mailbox_transport and what is like it count */
};

/* What the log shows as relay. */
extern const char local_relay[];

/* Must the names behind an address stay hidden from who asks? A probe's answer goes to SMTP
 * clients, a rehearsal's to the administrator. */
bool local_hides(const struct work *w);
/* In a rehearsal: what a file says, on one line. */
void local_tell_text(struct work *w, const char *what, const char *path, ph_span text);
ph_found local_is_domain(const struct local *local, const char *domain, ph_error *error);
/* Is the word in the list? */
bool local_allows(const ph_strings *list, const char *word);
/* Was the message here for this recipient before? 1, 0, or -1: the recipient was put off. Of a
 * probe:
 * 0. */
int local_was_here(struct work *w, size_t i, const char *recipient);
/* Has the content ready for a letter. Room for the reason why there will be none; NULL: the
 * recipient was put off. */
struct ph_user_result *local_prepare(struct work *w, size_t i);
/* A recipient's result, in the form that a letter gives it. */
void local_say(struct work *w, size_t i, const struct ph_user_result *result);

#endif
