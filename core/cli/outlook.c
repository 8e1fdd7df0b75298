#include "cli/outlook.h"

#include <stdio.h>
#include <string.h>

#include <posthouse/address.h>

#include "config/config.h"
#include "intake/complete.h"
#include "intake/rewrite.h"
#include "queue/delivery.h"

enum {
	DEPTH_MAX = 50,
	COUNT_MAX = 10000,
	SHOWN = 400        /* bytes of a table's value */
};

/* ---- Notes ----------------------------------------------------------------------------------- */

/* The same one again, as when a key is asked for twice, says nothing new. */
void
outlook_note(struct outlook_maker *maker, const char *text)
{
	struct outlook *outlook = maker->now;
	struct outlook_note *note;

	for (note = outlook->notes; note != NULL; note = note->next)
		if (strcmp(note->text, text) == 0)
			return;
	note = ph_pool_alloc(maker->pool, sizeof(*note));
	if (note == NULL || (note->text = ph_pool_strdup(maker->pool, text)) == NULL)
		return;
	note->next = NULL;
	*outlook->notes_end = note;
	outlook->notes_end = &note->next;
}

static void
told(void *context, const char *text)
{
	outlook_note(context, text);
}

static void
on_answer(void *context, const struct map_answer *answer)
{
	struct outlook_maker *maker = context;
	const char *text = answer->text != NULL ? answer->text : "";
	bool found = answer->found == PH_FOUND, known = found && answer->text != NULL;
	const char *line = ph_pool_printf(maker->pool, "%s: %s: \"%s\" %s%.*s%s%s",
		answer->parameter,
		answer->table, answer->key,
		known ? "gives \"" : found ? "is there" : "cannot be looked up: ",
		SHOWN, text, strlen(text) > SHOWN ? "…" : "", known ? "\"" : "");

	if (line != NULL)
		outlook_note(maker, line);
}

static struct outlook *
listen(struct outlook_maker *maker, struct outlook *outlook)
{
	struct outlook *before = maker->now;

	maker->now = outlook;
	map_set_watch(outlook != NULL ? on_answer : NULL, maker);
	return before;
}

/* ---- Outlooks -------------------------------------------------------------------------------- */

static struct outlook *
new_outlook(struct outlook_maker *maker, struct outlook *parent, const struct ph_target *target)
{
	struct outlook *outlook = ph_pool_alloc(maker->pool, sizeof(*outlook));

	if (outlook == NULL)
		return NULL;
	*outlook = (struct outlook){.parent = parent, .kind = (enum ph_target_kind)target->kind,
		.address = target->address, .what = target->what, .user = target->user,
		.sender = target->sender, .why = "", .status = "", .text = ""};
	outlook->targets_end = &outlook->targets;
	outlook->notes_end = &outlook->notes;
	maker->count++;
	if (parent != NULL) {
		*parent->targets_end = outlook;
		parent->targets_end = &outlook->next;
	}
	return outlook;
}

static struct outlook *
new_address(struct outlook_maker *maker, struct outlook *parent, const char *address)
{
	const struct ph_target target = {.kind = PH_TARGET_ADDRESS, .what = "", .user = "",
		.sender = "",
		.address = ph_pool_strdup(maker->pool, address)};

	return target.address != NULL ? new_outlook(maker, parent, &target) : NULL;
}

/* What the log says of it too is said once. */
static void
drop_note(struct outlook *outlook, const char *text)
{
	struct outlook_note **link = &outlook->notes;

	while (*link != NULL && strcmp((*link)->text, text) != 0)
		link = &(*link)->next;
	if (*link == NULL)
		return;
	*link = (*link)->next;
	outlook->notes_end = link;
	while (*outlook->notes_end != NULL)
		outlook->notes_end = &(*outlook->notes_end)->next;
}

static int
settle(struct outlook *outlook, enum fate fate, const char *status, const char *text)
{
	outlook->fate = fate;
	outlook->status = status;
	outlook->text = text;
	return text != NULL ? 0 : -1;
}

static unsigned
depth_of(const struct outlook *outlook)
{
	unsigned depth = 0;

	while ((outlook = outlook->parent) != NULL)
		depth++;
	return depth;
}

/* Did the same address of the same message lead here? */
static bool
is_round(const struct outlook *outlook)
{
	for (const struct outlook *up = outlook;
		up->kind != PH_TARGET_FORWARD && up->parent != NULL;) {
		up = up->parent;
		if (up->kind == PH_TARGET_ADDRESS && outlook->kind == PH_TARGET_ADDRESS &&
			ph_strcasecmp(up->address, outlook->address) == 0)
			return true;
	}
	return false;
}

/* Has a message on the way here this value in a Delivered-To header? */
static bool
was_here(const struct outlook *outlook, const char *value)
{
	for (; *value != '\0' && outlook != NULL; outlook = outlook->parent)
		if (outlook->kind == PH_TARGET_FORWARD && ph_strcasecmp(outlook->what, value) == 0)
			return true;
	return false;
}

/* ---- Where it goes --------------------------------------------------------------------------- */

/* What kind of address it is. */
static const char *
class_of(const struct resolved *resolved, const char *domain, ph_pool *pool)
{
	if (resolved->class == DOMAIN_FOREIGN)
		return ph_pool_printf(pool, "none of mydestination, virtual_alias_domains, "
			"virtual_mailbox_domains, relay_domains has %s", domain);
	if (domain[0] == '[')
		return ph_pool_printf(pool, "%s is an address of this host", domain);
	return ph_pool_printf(pool, "%s has %s", domain_class_parameter(resolved->class), domain);
}

/* Which parameters decided, and what tables said. */
static const char *
reason_of(ph_pool *pool, const char *address, const struct resolved *resolved)
{
	const char *domain = ph_address_domain(address), *hop = resolved->nexthop_parameter;
	bool relayhost = hop != NULL && strcmp(hop, "relayhost") == 0;
	const char *text = domain[0] == '\0' ? "an address without a domain is of this host"
		: class_of(resolved, domain, pool);

	if (text != NULL && relayhost)
		text = ph_pool_printf(pool, "%s; relayhost is set", text);
	if (text != NULL && resolved->table != NULL)
		text = ph_pool_printf(pool, "%s; %s: %s has \"%s\"", text,
			hop != NULL && !relayhost ? hop : resolved->transport_parameter,
			resolved->table, resolved->answer);
	return text;
}

static bool
is_at_home(const struct outlook *outlook)
{
	return outlook->kind >= PH_TARGET_USER && outlook->kind <= PH_TARGET_FILE;
}

static const char *
sender_of(const struct outlook_maker *maker, const struct outlook *outlook)
{
	for (; outlook != NULL; outlook = outlook->parent) {
		if (outlook->from != NULL)
			return outlook->from;
		if (outlook->kind == PH_TARGET_FORWARD && *outlook->sender != '\0')
			return outlook->sender;
	}
	return maker->sender;
}

/* FILTER is the message's; what is forwarded is another one. */
static const char *
route_of(const struct outlook_maker *maker, const struct outlook *outlook)
{
	if (outlook->kind == PH_TARGET_TRANSPORT)
		return outlook->what;
	for (; outlook != NULL; outlook = outlook->parent)
		if (outlook->kind == PH_TARGET_FORWARD)
			return NULL;
	return maker->filter;
}

/* As the queue role does it: 0 and where to, 1 when it goes nowhere, -1 without memory. */
static int
find_route(struct outlook_maker *maker, struct outlook *outlook, const char *address,
	struct resolved *resolved)
{
	const char *route = route_of(maker, outlook);
	const char *sender = is_at_home(outlook) ? NULL : sender_of(maker, outlook);
	ph_pool *pool = maker->pool;

	if ((route != NULL ? resolve_route(maker->resolver, route, outlook->kind == PH_TARGET_TRANSPORT
		? "" : maker->settings->default_filter_nexthop, address, pool, resolved)
		: resolve_address(maker->resolver, sender, address, pool, resolved)) == -1)
		return -1;
	if (resolved->result == RESOLVE_OK) {
		outlook->transport = resolved->transport->name;
		outlook->nexthop = resolved->nexthop;
		outlook->why = route == NULL ? reason_of(pool, address, resolved)
			: outlook->kind == PH_TARGET_TRANSPORT ? "local delivery says so"
			: ph_pool_printf(pool, "%s says so", maker->filter_why);
		if (resolved->on_demand && outlook->why != NULL)
			outlook->why = ph_pool_printf(pool, "%s; there it waits until it is flushed: defer_transports",
				outlook->why);
		return outlook->why != NULL ? 0 : -1;
	}
	outlook->why = resolved->transport_parameter != NULL ? reason_of(pool, address, resolved)
		: "";
	return settle(outlook, resolved->result == RESOLVE_REFUSE ? FATE_RETURNS : FATE_WAITS,
		resolved->status, resolved->reason) == 0 && outlook->why != NULL ? 1 : -1;
}

/* ---- What comes of it there ------------------------------------------------------------------ */

static int follow(struct outlook_maker *maker, struct outlook *outlook);

/* A message that was forwarded from here before comes back. */
static int
find_loop(struct outlook_maker *maker, struct outlook *outlook, const struct rehearsed *rehearsed)
{
	for (size_t i = 0; i < rehearsed->expansion_count; i++)
		if (rehearsed->expansion[i].kind == PH_TARGET_FORWARD &&
			was_here(outlook, rehearsed->expansion[i].what))
			return settle(outlook, FATE_RETURNS, "5.4.6", ph_pool_printf(maker->pool,
				"mail forwarding loop for %s", rehearsed->expansion[i].what)) == 0 ? 1 : -1;
	return 0;
}

static int
take_targets(struct outlook_maker *maker, struct outlook *outlook,
	const struct rehearsed *rehearsed)
{
	const char *sender = sender_of(maker, outlook);
	int loop = find_loop(maker, outlook, rehearsed);

	if (loop != 0)
		return loop == 1 ? 0 : -1;
	outlook->fate = FATE_BECOMES;
	for (size_t i = 0; i < rehearsed->expansion_count; i++) {
		const struct note_address *from = &rehearsed->expansion[i];
		struct outlook *target;

		if (maker->count >= COUNT_MAX) {
			outlook_note(maker, "it becomes so many that the rest is not shown");
			return 0;
		}
		target = new_outlook(maker, outlook, &(struct ph_target){.kind = from->kind,
			.address = from->address, .what = from->what, .user = from->user,
			.sender = strcmp(from->sender, sender) != 0 ? from->sender : ""});
		if (target == NULL)
			return -1;
	}
	for (struct outlook *target = outlook->targets; target != NULL; target = target->next)
		if (follow(maker, target) == -1)
			return -1;
	return 0;
}

static enum fate
fate_of(enum outcome outcome)
{
	switch (outcome) {
	case OUTCOME_BOUNCED:
		return FATE_RETURNS;
	case OUTCOME_SENT:
	case OUTCOME_DISCARDED:
		return FATE_DELIVERED;
	case OUTCOME_EXPANDED:
		return FATE_BECOMES;
	case OUTCOME_DEFERRED:
	case OUTCOME_NONE:
	case OUTCOME_BACK:
		break;
	}
	return FATE_WAITS;
}

static int
rehearse(struct outlook_maker *maker, struct outlook *outlook, const char *address,
	const struct resolved *resolved)
{
	const struct ph_transport_ops *ops = resolved->transport->ops;
	bool home = is_at_home(outlook);
	const struct ph_target target = {.kind = home ? outlook->kind : PH_TARGET_ADDRESS,
		.address = address, .what = home ? outlook->what : "", .user = outlook->user,
		.sender = outlook->sender};
	const struct rehearsal_of question = {.sender = sender_of(maker, outlook),
		.nexthop = resolved->nexthop, .original = "", .target = &target, .told = told,
		.context = maker};
	struct rehearsed rehearsed;

	outlook->fate = FATE_GOES;
	if ((ops->flags & PH_TRANSPORT_REHEARSES) == 0)
		return 0;
	if (delivery_rehearse(resolved->transport, &question, maker->pool, &rehearsed) == -1)
		return -1;
	outlook->status = rehearsed.status;
	outlook->text = rehearsed.text;
	outlook->fate = fate_of(rehearsed.outcome);
	drop_note(outlook, rehearsed.text);
	return rehearsed.outcome == OUTCOME_EXPANDED ? take_targets(maker, outlook, &rehearsed) : 0;
}

/* An address that no table of the intake changes any more, or a target of local delivery. */
static int
deliver(struct outlook_maker *maker, struct outlook *outlook, const char *address)
{
	struct resolved resolved;
	struct outlook *before;
	int result;

	if (is_round(outlook))
		return settle(outlook, FATE_RETURNS, "5.4.6", ph_pool_printf(maker->pool,
			"it leads back to itself: loop for %s", outlook->address));
	if ((result = find_route(maker, outlook, address, &resolved)) != 0)
		return result == 1 ? 0 : -1;
	before = listen(maker, outlook);
	result = rehearse(maker, outlook, address, &resolved);
	listen(maker, before);
	return result;
}

/* ---- The intake ------------------------------------------------------------------------------ */

/* How a recipient comes in. */
enum entrance {
	ENTRANCE_NEW,
	ENTRANCE_AGAIN, /* in a message that was here before; nobody gets copies of it */
	ENTRANCE_COPY   /* beside others: it has its final form */
};

struct emission {
	struct outlook_maker *maker;
	struct outlook *outlook;
};

static int
take_address(void *context, const char *address)
{
	const struct emission *emission = context;

	return new_address(emission->maker, emission->outlook, address) != NULL ? 0 : -1;
}

static struct ph_filter_message *
new_message(struct outlook_maker *maker, const char *sender, enum entrance entrance)
{
	bool again = entrance == ENTRANCE_AGAIN;
	struct ph_filter_message *message = ph_pool_alloc(maker->pool, sizeof(*message));

	if (message == NULL)
		return NULL;
	*message = (struct ph_filter_message){.pool = maker->pool, .settings = maker->settings,
		.origin = {.size = sizeof(message->origin),
		.origin = again ? PH_ORIGIN_INTERNAL : PH_ORIGIN_SMTP,
			.again = again}};
	strcpy(message->envelope.id, "rehearsal");
	message->envelope.sender = sender;
	return message;
}

static int
add_recipient(struct outlook_maker *maker, struct ph_filter_message *message, const char *address)
{
	const char *complete = recipient_complete(maker->pool, maker->settings, address);

	return complete == NULL ? -1 : message_add_recipient(message, complete, complete, NULL);
}

/* A table failed, or its limits were reached: the client is told so. */
static int
refuse(const struct outlook_maker *maker, struct outlook *outlook,
	const struct ph_filter_message *message)
{
	const ph_reply *reply = &message->reply;

	if (reply->code == 0)
		return -1;
	return settle(outlook, reply->code >= 500 ? FATE_RETURNS : FATE_WAITS,
		ph_pool_strdup(maker->pool, reply->status),
		ph_pool_strdup(maker->pool, reply->text));
}

/* The only one that comes of it is the address itself. */
static bool
is_unchanged(const struct outlook *outlook, const char *address)
{
	return outlook->targets != NULL && outlook->targets->next == NULL &&
		strcmp(outlook->targets->address, address) == 0;
}

static int
rewrite(struct outlook_maker *maker, struct outlook *outlook, struct ph_filter_message *message,
	enum entrance entrance)
{
	struct emission emission = {maker, outlook};
	const char *address;

	if (add_recipient(maker, message, outlook->address) == -1)
		return -1;
	if (entrance != ENTRANCE_COPY && rewrite_addresses(message) == -1)
		return refuse(maker, outlook, message) == 0 ? 1 : -1;
	outlook->from = message->envelope.sender;
	address = message->envelope.recipients[0].address;
	if (strcmp(address, outlook->address) != 0)
		outlook_note(maker, ph_pool_printf(maker->pool, "the address is then %s", address));
	if (rewrite_expand(message, address, take_address, &emission) == -1) {
		outlook->targets = NULL;
		outlook->targets_end = &outlook->targets;
		return refuse(maker, outlook, message) == 0 ? 1 : -1;
	}
	return 0;
}

/* The tables that rewrite envelopes, and then where it goes. */
static int
take_in(struct outlook_maker *maker, struct outlook *outlook, enum entrance entrance)
{
	struct ph_filter_message *message = new_message(maker, sender_of(maker, outlook), entrance);
	struct outlook *before = listen(maker, outlook);
	int result = message != NULL ? rewrite(maker, outlook, message, entrance) : -1;

	listen(maker, before);
	if (result != 0)
		return result == 1 ? 0 : -1;
	if (is_unchanged(outlook, message->envelope.recipients[0].address)) {
		outlook->targets = NULL;
		outlook->targets_end = &outlook->targets;
		return deliver(maker, outlook, message->envelope.recipients[0].address);
	}
	outlook->fate = FATE_BECOMES;
	for (struct outlook *target = outlook->targets; target != NULL; target = target->next)
		if (deliver(maker, target, target->address) == -1)
			return -1;
	return 0;
}

static int
follow(struct outlook_maker *maker, struct outlook *outlook)
{
	if (depth_of(outlook) >= DEPTH_MAX)
		return settle(outlook, FATE_RETURNS, "5.4.6",
			"so many steps lead here that no more are looked at");
	if (outlook->kind == PH_TARGET_FORWARD)
		return take_in(maker, outlook, ENTRANCE_AGAIN);
	return deliver(maker, outlook, outlook->address);
}

struct outlook *
outlook_make(struct outlook_maker *maker, const char *address)
{
	struct outlook *outlook = new_address(maker, NULL, address);

	return outlook != NULL && take_in(maker, outlook, ENTRANCE_NEW) == 0 ? outlook : NULL;
}

/* ---- Copies ---------------------------------------------------------------------------------- */

static int
copy_to(struct outlook_maker *maker, struct outlook *root, const char *address)
{
	struct outlook *copy = new_address(maker, root, address);

	return copy != NULL ? take_in(maker, copy, ENTRANCE_COPY) : -1;
}

struct outlook *
outlook_copies(struct outlook_maker *maker, const ph_strings *recipients)
{
	struct ph_filter_message *message = new_message(maker, maker->sender, ENTRANCE_NEW);
	struct outlook *root = new_address(maker, NULL, ""), *before;
	size_t count = recipients->count;
	int result = message != NULL && root != NULL ? 0 : -1;

	for (size_t i = 0; result == 0 && i < count; i++)
		result = add_recipient(maker, message, recipients->items[i]);
	if (result == -1)
		return NULL;
	before = listen(maker, NULL);
	result = rewrite_addresses(message);
	listen(maker, root);
	result = result == 0 ? rewrite_copies(message) : -1;
	listen(maker, before);
	if (result == -1)
		return refuse(maker, root, message) == 0 ? root : NULL;
	for (size_t i = count; result == 0 && i < message->envelope.recipient_count; i++)
		result = copy_to(maker, root, message->envelope.recipients[i].address);
	return result == 0 && root->targets != NULL ? root : NULL;
}
