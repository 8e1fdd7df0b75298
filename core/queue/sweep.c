#include "queue/sweep.h"

#include <stdio.h>
#include <string.h>

#include <posthouse/address.h>
#include <posthouse/log.h>

#include "queue/visitor.h"

#define YIELD_EVERY 64

uint64_t
sweep_each(struct manager *manager, sweep_fn *fn, void *context)
{
	struct scheduler *scheduler = manager->scheduler;
	struct message *message = scheduler_first(scheduler), *next;
	uint64_t count = 0;
	unsigned seen = 0;
	int result = 0;

	if (message != NULL)
		message->pins++;
	for (; message != NULL; message = next) {
		if (message->state != MESSAGE_GONE && result >= 0 &&
			(result = fn(context, message)) > 0)
			count++;
		if (++seen % YIELD_EVERY == 0 && ph_yield() == PH_WAIT_CANCELLED)
			result = -1;
		next = result < 0 || manager->stopping ? NULL : TAILQ_NEXT(message, all);
		if (next != NULL)
			next->pins++;
		scheduler_unpin(scheduler, message);
	}
	return count;
}

int
sweep_one(struct manager *manager, struct message *message)
{
	if (message->state != MESSAGE_WAITING)
		return 0;
	scheduler_flush(manager->scheduler, message, manager_earliest(manager));
	return 1;
}

/* ---- By domain ------------------------------------------------------------------------------- */

struct sweep {
	struct manager *manager;
	const char *domain;
};

/* Does the message, whose body is somewhere, have a recipient in this domain? */
static bool
goes_to(const struct body *body, const char *domain)
{
	for (uint32_t i = 0; i < body->count; i++)
		if (body->rcpts[i].state != RCPT_DONE &&
			ph_strcasecmp(ph_address_domain(body->rcpts[i].address), domain) == 0)
			return true;
	return false;
}

static int
wake_if_bound(void *context, struct message *message)
{
	const struct sweep *sweep = context;
	ph_pool *pool = ph_pool_new(0);
	struct message *picture = NULL;
	int result = 0;

	if (pool != NULL && message->state == MESSAGE_WAITING)
		picture = visitor_picture(sweep->manager, message, pool);
	if (picture != NULL && goes_to(picture->body, sweep->domain))
		result = sweep_one(sweep->manager, message);
	message_free(picture);
	ph_pool_free(pool);
	return result;
}

uint64_t
sweep_domain(struct manager *manager, const char *domain)
{
	struct sweep sweep = {manager, domain};

	scheduler_revive(manager->scheduler, NULL);
	return sweep_each(manager, wake_if_bound, &sweep);
}

/* ---- By and by ------------------------------------------------------------------------------- */

/* One task at a time; it takes the domains in the order in which they were asked for. */
static void
sweeper(void *argument)
{
	struct manager *manager = argument;
	struct sweep_wishes *wishes = &manager->sweeps;
	char domain[SWEEP_DOMAIN_MAX];
	uint64_t count;

	while (wishes->count > 0 && !manager->stopping && !ph_task_cancelled()) {
		snprintf(domain, sizeof(domain), "%s", wishes->domains[0]);
		wishes->count--;
		memmove(wishes->domains[0], wishes->domains[1],
			wishes->count * sizeof(wishes->domains[0]));
		count = sweep_domain(manager, domain);
		if (count > 0)
			ph_log(PH_LOG_INFO, "%llu messages for %s are tried now",
				(unsigned long long)count, domain);
		manager_wake(manager);
	}
}

void
sweep_later(struct manager *manager, const char *domain)
{
	struct sweep_wishes *wishes = &manager->sweeps;

	for (size_t i = 0; i < wishes->count; i++)
		if (ph_strcasecmp(wishes->domains[i], domain) == 0)
			return;
	if (wishes->count == SWEEP_MAX || strlen(domain) >= SWEEP_DOMAIN_MAX || manager->stopping) {
		ph_log(PH_LOG_WARNING, "too much is asked for: the queue is not flushed for %s",
			domain);
		return;
	}
	snprintf(wishes->domains[wishes->count++], SWEEP_DOMAIN_MAX, "%s", domain);
	if (!ph_task_alive(wishes->task))
		wishes->task = ph_task_spawn("sweep", sweeper, manager);
}
