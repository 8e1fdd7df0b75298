#include "listing.h"

#include <stdlib.h>
#include <string.h>

/* How many answers a session keeps: clients may send as many domains as they like. */
enum { KEPT_MAX = 100 };

/* What a session keeps. */
struct kept {
	struct listing *first;
	size_t count;
};

/* Its address is the name under which the session keeps them. */
static const char owner;

/*
 * One query on its way, in a task of its own. On the heap and owned by both, who asks and the task, as
 * either may end first: the task when there is an answer, who asks when he needs no more answers.
 */
struct cell {
	ph_pool *pool; /* the task's, with the answer in it */
	char *name;
	ph_task task, asker;
	const ph_dns_answer *answer; /* NULL: not yet */
	unsigned owners;
};

/* ---- What is known ----------------------------------------------------------------------------- */

static struct kept *
kept_of(ph_session *session)
{
	void **slot = ph_session_slot(session, &owner);

	if (slot != NULL && *slot == NULL)
		*slot = ph_pool_alloc(ph_session_pool(session), sizeof(struct kept));
	return slot != NULL ? *slot : NULL;
}

static const struct listing *
find(const struct kept *kept, const char *name)
{
	for (const struct listing *l = kept != NULL ? kept->first : NULL; l != NULL; l = l->next)
		if (ph_strcasecmp(l->name, name) == 0)
			return l;
	return NULL;
}

/* An answer as it is kept; NULL: no memory. */
static struct listing *
copy(ph_pool *pool, const char *name, const ph_dns_answer *answer)
{
	size_t count = ph_dns_count(answer);
	struct listing *listing = ph_pool_alloc(pool, sizeof(*listing));

	if (listing == NULL)
		return NULL;
	listing->result = ph_dns_status(answer);
	listing->count = count < LISTING_ADDRESSES_MAX ? count : LISTING_ADDRESSES_MAX;
	listing->name = ph_pool_strdup(pool, name);
	listing->reason = ph_pool_strdup(pool, ph_dns_reason(answer));
	listing->addresses = ph_pool_array(pool, listing->count + 1, sizeof(ph_address));
	if (listing->name == NULL || listing->reason == NULL || listing->addresses == NULL)
		return NULL;
	for (size_t i = 0; i < listing->count; i++)
		listing->addresses[i] = ph_dns_address(answer, i);
	return listing;
}

/* answer: NULL when the wait was cut short. */
static const struct listing *
keep(ph_session *session, const char *name, const ph_dns_answer *answer)
{
	static const struct listing cut_short = {.name = "", .result = PH_DNS_TEMPFAIL,
		.reason = "Service is shutting down"};
	static const struct listing no_memory = {.name = "", .result = PH_DNS_TEMPFAIL,
		.reason = "out of memory"};
	struct kept *kept = kept_of(session);
	bool full = kept == NULL || kept->count >= KEPT_MAX;
	struct listing *listing;

	if (answer == NULL || ph_task_cancelled())
		return &cut_short;
	listing = copy(full ? ph_scratch_pool(session) : ph_session_pool(session), name, answer);
	if (listing == NULL)
		return &no_memory;
	if (listing->result == PH_DNS_TEMPFAIL)
		ph_log(PH_LOG_WARNING, "%s: RBL lookup error: %s", name, listing->reason);
	if (!full) {
		listing->next = kept->first;
		kept->first = listing;
		kept->count++;
	}
	return listing;
}

/* ---- Queries on their way ---------------------------------------------------------------------- */

static void
leave(struct cell *cell)
{
	if (--cell->owners > 0)
		return;
	ph_pool_free(cell->pool);
	free(cell->name);
	free(cell);
}

static void
query(void *argument)
{
	struct cell *cell = argument;

	cell->answer = ph_dns_query(cell->pool, PH_DNS_A, cell->name);
	ph_unpark(cell->asker);
	leave(cell);
}

/* NULL: no memory, or no task to be had; it is asked when its turn comes. */
static struct cell *
begin(const char *name)
{
	struct cell *cell = calloc(1, sizeof(*cell));

	if (cell == NULL)
		return NULL;
	cell->owners = 1;
	cell->asker = ph_task_self();
	cell->name = strdup(name);
	cell->pool = ph_pool_new(0);
	if (cell->name != NULL && cell->pool != NULL) {
		cell->owners = 2;
		cell->task = ph_task_spawn("dnsbl", query, cell);
		if (cell->task.generation != 0)
			return cell;
		cell->owners = 1;
	}
	leave(cell);
	return NULL;
}

/* Nobody waits for it any more. */
static void
end(struct cell *cell)
{
	cell->asker = (ph_task){0};
	ph_task_cancel(cell->task);
	leave(cell);
}

/* ---- Asking ------------------------------------------------------------------------------------ */

static const ph_dns_answer *
wait_for(const struct cell *cell)
{
	/* The query's own wait ends after dns_timeout. */
	while (cell->answer == NULL)
		if (ph_park(PH_NEVER) != PH_WAIT_OK)
			break;
	return cell->answer;
}

static void
answer(ph_session *session, struct question *question, const struct cell *cell)
{
	question->listing = find(kept_of(session), question->name);
	if (question->listing != NULL)
		return;
	question->listing = keep(session, question->name, cell != NULL ? wait_for(cell)
		: ph_dns_query(ph_scratch_pool(session), PH_DNS_A, question->name));
}

/* Is it asked for further on? */
static bool
is_asked_before(const struct question *questions, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (ph_strcasecmp(questions[i].name, questions[index].name) == 0)
			return true;
	return false;
}

void
listing_ask(ph_session *session, struct question *questions, size_t count)
{
	struct kept *kept = kept_of(session);
	struct cell **cells = count > 1 ? ph_pool_array(ph_scratch_pool(session), count, sizeof(*cells)) : NULL;
	bool decided = false;

	for (size_t i = 0; cells != NULL && i < count; i++)
		if (find(kept, questions[i].name) == NULL && !is_asked_before(questions, i))
			cells[i] = begin(questions[i].name);
	for (size_t i = 0; i < count && !decided; i++) {
		answer(session, &questions[i], cells != NULL ? cells[i] : NULL);
		decided = questions[i].decides && listing_match(&questions[i]) != NULL;
	}
	for (size_t i = 0; cells != NULL && i < count; i++)
		if (cells[i] != NULL)
			end(cells[i]);
}

const ph_address *
listing_match(const struct question *question)
{
	const struct listing *listing = question->listing;

	for (size_t i = 0; listing != NULL && listing->result == PH_DNS_FOUND && i < listing->count; i++)
		if (site_counts(question->site, &listing->addresses[i]))
			return &listing->addresses[i];
	return NULL;
}

void
listing_explain(ph_session *session, const struct question *question)
{
	const struct listing *listing = question->listing;
	char text[PH_ADDRESS_TEXT];

	if (!ph_explaining(session) || listing == NULL)
		return;
	if (listing->result == PH_DNS_TEMPFAIL)
		ph_explain(session, "DNS A %s: failed (%s)", question->name, listing->reason);
	else if (listing->result != PH_DNS_FOUND)
		ph_explain(session, "DNS A %s: not listed", question->name);
	for (size_t i = 0; i < listing->count; i++)
		ph_explain(session, "DNS A %s: %s%s%s", question->name,
			ph_address_text(&listing->addresses[i], text),
			site_counts(question->site, &listing->addresses[i]) ? "" : ", which does not count for ",
			site_counts(question->site, &listing->addresses[i]) ? "" : question->site->text);
}
