/*
 * What the tables of rewriting make of one address: completion, canonical_maps, masquerade_domains;
 * and virtual_alias_maps.
 */
#ifndef INTAKE_REWRITE_H
#define INTAKE_REWRITE_H

#include "intake/message.h"

/* The classes of addresses that the parameters name. */
enum rewrite_class {
	REWRITE_ENVELOPE_SENDER,
	REWRITE_ENVELOPE_RECIPIENT,
	REWRITE_HEADER_SENDER,
	REWRITE_HEADER_RECIPIENT
};

/* Does any table rewrite addresses beyond completing them? */
bool rewrite_is_configured(const struct settings *settings);

/* The address (not "") in its final form, in the message's pool. 0; or -1: the reply is set (a lookup
 * failed, memory), and the log says why. */
int rewrite_address(struct ph_filter_message *message, enum rewrite_class class, const char *address,
	const char **rewritten);

/* The host that the local part of a recipient of $mydestination names becomes its domain
 * (source_route.h), as often as there is one. 0 or -1, as above. */
int rewrite_route(struct ph_filter_message *message, const char *address, const char **rewritten);

/* Looks up one address in a table; a failure is as above. 1, 0 or -1. */
int rewrite_lookup(struct ph_filter_message *message, const char *parameter, const ph_map *map,
	const char *address, bool propagate, ph_strings *found);

/* A result of virtual_alias_maps. 0 or -1. */
typedef int rewrite_emit_fn(void *context, const char *address);
/* Everything that virtual_alias_maps makes of an address, itself when that is nothing. An address
 * that leads back to itself stays as it is; the log names it. 0, or -1 as above. */
int rewrite_expand(struct ph_filter_message *message, const char *address, rewrite_emit_fn *emit,
	void *context);

/* The first two steps of rewrite_envelope(), for who wants to see what each does: addresses in their
 * final form; copies for others (always_bcc, sender_bcc_maps, recipient_bcc_maps), which become
 * recipients behind those that are there. The third is rewrite_expand() for each. 0, or -1 as above. */
int rewrite_addresses(struct ph_filter_message *message);
int rewrite_copies(struct ph_filter_message *message);

/* All of the envelope: sender, recipients, copies. 0, or -1 as above. Nothing happens when no table
 * is set. */
int rewrite_envelope(struct ph_filter_message *message);

#endif
