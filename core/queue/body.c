/*
 * Bodies: the recipients of a message in delivery, and what has become of them. See message.h.
 */
#include <stdlib.h>
#include <string.h>

#include "queue/message.h"

/* ---- Recipients ------------------------------------------------------------------------------ */

void
body_set_state(struct body *body, uint32_t number, enum recipient_state state)
{
	struct rcpt *rcpt = &body->rcpts[number];

	body->in_state[rcpt->state]--;
	body->in_state[state]++;
	rcpt->state = (uint8_t)state;
}

void
body_drop_expansion(struct body *body, uint32_t parent)
{
	for (uint32_t i = parent + 1; i < body->count && body->rcpts[parent].expanding; i++)
		if (body->rcpts[i].parent == parent && body->rcpts[i].state == RCPT_WAITING)
			body_set_done(body, i, OUTCOME_DISCARDED);
	body->rcpts[parent].expanding = false;
}

/* What became of a recipient ends an expansion that is not complete. */
void
body_set_done(struct body *body, uint32_t number, enum outcome outcome)
{
	body_drop_expansion(body, number);
	body->rcpts[number].outcome = (uint8_t)outcome;
	body_set_state(body, number, RCPT_DONE);
}

void
body_set_reason(struct body *body, uint32_t number, const char *status, const char *text,
	const char *relay)
{
	struct rcpt *rcpt = &body->rcpts[number];

	/* a reason that stays the same takes no more memory, however often it comes */
	if (rcpt->status == NULL || strcmp(rcpt->status, status) != 0)
		rcpt->status = ph_pool_strdup(body->pool, status);
	if (rcpt->text == NULL || strcmp(rcpt->text, text) != 0)
		rcpt->text = ph_pool_strdup(body->pool, text);
	if (rcpt->relay == NULL || strcmp(rcpt->relay, relay) != 0)
		rcpt->relay = ph_pool_strdup(body->pool, relay);
}

void
body_set_owed(struct body *body, uint32_t number, enum dsn_action action)
{
	struct rcpt *rcpt = &body->rcpts[number];

	if (rcpt->owed != 0 || action == DSN_PASSED_ON)
		return;
	rcpt->owed = (uint8_t)action;
	body->owed++;
}

void
body_set_reported(struct body *body, uint32_t number)
{
	struct rcpt *rcpt = &body->rcpts[number];

	if (rcpt->owed != 0 && rcpt->owed != DSN_REPORTED)
		body->owed--;
	rcpt->owed = DSN_REPORTED;
}

void
body_set_final(struct body *body, uint32_t number, const char *final)
{
	struct rcpt *rcpt = &body->rcpts[number];
	const char *copy = strcmp(rcpt->final, final) == 0 ? rcpt->final
		: ph_pool_strdup(body->pool, final);

	rcpt->final = copy == NULL ? "" : copy;
}

void
body_note_owed(const struct body *body, uint32_t number, uint32_t attempt,
	struct note_writer *writer)
{
	const struct rcpt *rcpt = &body->rcpts[number];
	struct note_range range = {number, 1};

	note_put(writer, &(const struct note){.type = NOTE_OWED, .attempt = attempt,
		.action = (enum dsn_action)rcpt->owed, .status = rcpt->status, .text = rcpt->text,
		.relay = rcpt->relay, .final = rcpt->final, .ranges = &range, .range_count = 1});
}

bool
body_has_sender(const struct body *body, uint32_t number)
{
	const struct rcpt *rcpt = &body->rcpts[number];

	return rcpt->target != NULL && *rcpt->target->sender != '\0' &&
		strcmp(rcpt->target->sender, body->envelope.sender) != 0;
}

bool
body_owes(const struct body *body)
{
	return body->owed > 0 || (body->envelope.alias_count > 0 && !body->aliases_told);
}

bool
body_is_finished(const struct body *body)
{
	return body_open_count(body) == 0 && !body_owes(body);
}

uint32_t
body_open_count(const struct body *body)
{
	return body->count - body->in_state[RCPT_DONE];
}

bool
body_is_idle(const struct body *body)
{
	return body->in_state[RCPT_QUEUED] == 0 && body->in_state[RCPT_BUSY] == 0 &&
		(body->in_state[RCPT_TODO] == 0 || body->message->hold);
}

unsigned
body_depth(const struct body *body, uint32_t number)
{
	unsigned depth = 0;

	/* a parent always has a smaller number than its children */
	while (body->rcpts[number].parent < number) {
		number = body->rcpts[number].parent;
		depth++;
	}
	return depth;
}

struct rcpt *
body_add(struct body *body, enum recipient_state state)
{
	struct rcpt *rcpt;

	if (body->count == body->room) {
		size_t room = body->room == 0 ? 1 : (size_t)body->room * 2;
		struct rcpt *bigger;

		if (room > UINT32_MAX / 2 ||
			(bigger = realloc(body->rcpts, room * sizeof(*bigger))) == NULL)
			return NULL;
		body->rcpts = bigger;
		body->room = (uint32_t)room;
	}
	rcpt = &body->rcpts[body->count++];
	*rcpt = (struct rcpt){.address = "", .original = "", .orcpt = "", .final = "",
		.parent = RCPT_NO_PARENT, .state = (uint8_t)state};
	body->in_state[state]++;
	return rcpt;
}

/* ---- Addresses of expansions, each wanted once ----------------------------------------------- */

struct note_address
body_target(const struct body *body, uint32_t number)
{
	const struct rcpt *rcpt = &body->rcpts[number];

	if (rcpt->target != NULL)
		return *rcpt->target;
	return (struct note_address){rcpt->address, rcpt->kind, "", "", ""};
}

static uint32_t
hash_text(const char *text, uint32_t hash)
{
	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte >= 'A' && byte <= 'Z')
			byte += 'a' - 'A';
		hash = (hash ^ byte) * 16777619u;
	}
	return hash;
}

static uint32_t
hash_target(const struct note_address *target)
{
	return hash_text(target->what, hash_text(target->address, 2166136261u));
}

bool
target_is_same(const struct note_address *a, const struct note_address *b)
{
	return a->kind == b->kind && ph_strcasecmp(a->address, b->address) == 0 &&
		strcmp(a->what, b->what) == 0 && strcmp(a->user, b->user) == 0 &&
		strcmp(a->sender, b->sender) == 0;
}

static void
seen_put(struct body *body, uint32_t number)
{
	struct note_address target = body_target(body, number);
	size_t at = hash_target(&target) & (body->seen_size - 1);

	while (body->seen[at] != 0)
		at = (at + 1) & (body->seen_size - 1);
	body->seen[at] = number + 1;
	body->seen_count++;
}

static int
grow_seen(struct body *body)
{
	size_t size = 64;
	uint32_t *table;

	if (body->seen != NULL && body->seen_count * 2 < body->seen_size)
		return 0;
	while (size < (size_t)body->count * 4)
		size *= 2;
	if ((table = calloc(size, sizeof(*table))) == NULL)
		return -1;
	free(body->seen);
	body->seen = table;
	body->seen_size = size;
	body->seen_count = 0;
	for (uint32_t i = 0; i < body->count; i++)
		if (body->rcpts[i].parent != RCPT_NO_PARENT)
			seen_put(body, i);
	return 0;
}

bool
body_has_expanded(const struct body *body, const struct note_address *address)
{
	size_t at;

	if (body->seen == NULL)
		return false;
	for (at = hash_target(address) & (body->seen_size - 1); body->seen[at] != 0;
		at = (at + 1) & (body->seen_size - 1)) {
		const struct rcpt *rcpt = &body->rcpts[body->seen[at] - 1];
		struct note_address target = body_target(body, body->seen[at] - 1);

		if (target_is_same(&target, address) &&
			!(rcpt->state == RCPT_DONE && rcpt->outcome == OUTCOME_DISCARDED))
			return true;
	}
	return false;
}

int
body_remember(struct body *body, uint32_t number)
{
	if (grow_seen(body) == -1)
		return -1;
	seen_put(body, number);
	return 0;
}

/* ---- The end --------------------------------------------------------------------------------- */

void
body_free(struct body *body)
{
	if (body == NULL)
		return;
	ph_pool_free(body->pool);
	free(body->rcpts);
	free(body->seen);
	free(body);
}
