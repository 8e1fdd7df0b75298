#include "batches.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	BUCKETS = 64,
	STOP_TIME = 5000
};

/* A mailbox, a file or a command for which something is under way; its task lives as long as it
 * does. */
struct mailbox {
	struct batches *batches;
	struct ph_user_delivery *key; /* a request for it: kind, user, target and flags count */
	struct letter *first, **last;
	struct mailbox *next;       /* in its bucket */
	struct mailbox *next_start; /* of those that have no task yet */
};

/*
 * The tasks of mailboxes are started by a task of the instance, not by the delivery that comes
 * first: they outlive it, and must not work in its name.
 */
struct batches {
	void *self;
	struct mailbox *buckets[BUCKETS];
	struct mailbox *to_start;
	ph_task starter;
};

/* The parallel arrays of a request to the spawner. */
struct parcel {
	size_t count;
	struct letter *letters[PH_SPAWN_MAX];
	int fds[PH_SPAWN_MAX];
	struct ph_user_delivery *requests;
	struct ph_user_result *results;
};

struct batches *
batches_new(void *self)
{
	struct batches *batches = calloc(1, sizeof(*batches));

	if (batches != NULL)
		batches->self = self;
	return batches;
}

void
batches_free(struct batches *batches)
{
	free(batches);
}

static struct mailbox **
bucket_of(struct batches *batches, const struct ph_user_delivery *key)
{
	size_t hash = 5381 + key->kind;

	for (const char *user = key->user; *user != '\0'; user++)
		hash = hash * 33 ^ (unsigned char)*user;
	for (const char *target = key->target; *target != '\0'; target++)
		hash = hash * 33 ^ (unsigned char)*target;
	return &batches->buckets[hash % BUCKETS];
}

static bool
goes_together(const struct ph_user_delivery *a, const struct ph_user_delivery *b)
{
	return a->kind == b->kind && (a->kind == PH_USER_MAILBOX || a->kind == PH_USER_FILE) &&
		a->flags == b->flags && strcmp(a->user, b->user) == 0 &&
		strcmp(a->target, b->target) == 0;
}

static void
letter_free(struct letter *letter)
{
	if (letter->fd != -1)
		close(letter->fd);
	free(letter);
}

/* The letter has its result: its owner goes on, or is gone. */
static void
letter_done(struct letter *letter)
{
	close(letter->fd);
	letter->fd = -1;
	letter->done = true;
	if (letter->abandoned)
		letter_free(letter);
	else
		ph_unpark(letter->waiting);
}

static void
letter_fail(struct letter *letter, const char *why)
{
	letter->result = (struct ph_user_result){.size = sizeof(letter->result), .outcome = 1,
		.status = "4.3.0"};
	snprintf(letter->result.text, sizeof(letter->result.text), "%s", why);
	letter_done(letter);
}

/* Takes letters that somebody still waits for, up to what one request may hold. */
static void
fill_parcel(struct mailbox *mailbox, struct parcel *parcel)
{
	parcel->count = 0;
	while (mailbox->first != NULL && parcel->count < PH_SPAWN_MAX) {
		struct letter *letter = mailbox->first;

		mailbox->first = letter->next;
		if (mailbox->first == NULL)
			mailbox->last = &mailbox->first;
		letter->next = NULL;
		if (letter->abandoned)
			letter_free(letter);
		else
			parcel->letters[parcel->count++] = letter;
	}
}

static void
send_parcel(struct batches *batches, struct parcel *parcel)
{
	ph_error error = {"no memory"};
	int sent = -1;

	parcel->requests = calloc(parcel->count, sizeof(*parcel->requests));
	parcel->results = calloc(parcel->count, sizeof(*parcel->results));
	if (parcel->requests != NULL && parcel->results != NULL) {
		for (size_t i = 0; i < parcel->count; i++) {
			parcel->requests[i] = parcel->letters[i]->request;
			parcel->fds[i] = parcel->letters[i]->fd;
		}
		sent = ph_spawn_delivery(batches->self, parcel->requests, parcel->fds,
			parcel->count, parcel->results, ph_in(parcel->letters[0]->time), &error);
	}
	for (size_t i = 0; i < parcel->count; i++) {
		if (sent == -1) {
			letter_fail(parcel->letters[i], error.text);
			continue;
		}
		parcel->letters[i]->result = parcel->results[i];
		letter_done(parcel->letters[i]);
	}
	free(parcel->requests);
	free(parcel->results);
}

static void
mailbox_free(struct mailbox *mailbox)
{
	struct mailbox **at = bucket_of(mailbox->batches, mailbox->key);

	while (*at != mailbox)
		at = &(*at)->next;
	*at = mailbox->next;
	free(mailbox->key);
	free(mailbox);
}

/* The task of a mailbox: until nothing waits. */
static void
run_mailbox(void *argument)
{
	struct mailbox *mailbox = argument;
	struct parcel *parcel = calloc(1, sizeof(*parcel));

	while (mailbox->first != NULL) {
		if (parcel == NULL) {
			struct letter *letter = mailbox->first;

			mailbox->first = letter->next;
			letter_fail(letter, "no memory");
			continue;
		}
		fill_parcel(mailbox, parcel);
		if (parcel->count > 0)
			send_parcel(mailbox->batches, parcel);
	}
	free(parcel);
	mailbox_free(mailbox);
}

/* There will be no task: nothing is delivered. */
static void
mailbox_fail(struct mailbox *mailbox)
{
	while (mailbox->first != NULL) {
		struct letter *letter = mailbox->first;

		mailbox->first = letter->next;
		letter_fail(letter, "no task for the delivery");
	}
	mailbox_free(mailbox);
}

static void
run_starter(void *argument)
{
	struct batches *batches = argument;

	do {
		while (batches->to_start != NULL) {
			struct mailbox *mailbox = batches->to_start;

			batches->to_start = mailbox->next_start;
			if (ph_task_spawn("mailbox", run_mailbox, mailbox).generation == 0)
				mailbox_fail(mailbox);
		}
	} while (ph_park(PH_NEVER) == PH_WAIT_OK);
	while (batches->to_start != NULL) {
		struct mailbox *mailbox = batches->to_start;

		batches->to_start = mailbox->next_start;
		mailbox_fail(mailbox);
	}
}

int
batches_start(struct batches *batches)
{
	batches->starter = ph_task_spawn("mailboxes", run_starter, batches);
	return batches->starter.generation != 0 ? 0 : -1;
}

void
batches_stop(struct batches *batches)
{
	ph_task_cancel(batches->starter);
	ph_task_join(batches->starter, ph_in(STOP_TIME));
}

/* Where a request's letter waits; made where there is none. NULL: could not be. */
static struct mailbox *
mailbox_of(struct batches *batches, const struct ph_user_delivery *request)
{
	struct mailbox **bucket = bucket_of(batches, request), *mailbox;

	for (mailbox = *bucket; mailbox != NULL; mailbox = mailbox->next)
		if (goes_together(mailbox->key, request))
			return mailbox;
	if (!ph_task_alive(batches->starter) || (mailbox = calloc(1, sizeof(*mailbox))) == NULL)
		return NULL;
	mailbox->key = malloc(sizeof(*mailbox->key));
	if (mailbox->key == NULL) {
		free(mailbox);
		return NULL;
	}
	*mailbox->key = *request;
	mailbox->batches = batches;
	mailbox->last = &mailbox->first;
	mailbox->next = *bucket;
	*bucket = mailbox;
	mailbox->next_start = batches->to_start;
	batches->to_start = mailbox;
	ph_unpark(batches->starter);
	return mailbox;
}

struct letter *
batches_post(struct batches *batches, const struct ph_user_delivery *request, int fd, int64_t time)
{
	struct letter *letter = calloc(1, sizeof(*letter));
	struct mailbox *mailbox;

	if (letter == NULL)
		return NULL;
	letter->request = *request;
	letter->time = time;
	letter->waiting = ph_task_self();
	letter->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (letter->fd == -1 || (mailbox = mailbox_of(batches, request)) == NULL) {
		letter_free(letter);
		return NULL;
	}
	*mailbox->last = letter;
	mailbox->last = &letter->next;
	return letter;
}

void
batches_wait(struct letter *letter, ph_deadline deadline)
{
	while (!letter->done && ph_park(deadline) == PH_WAIT_OK)
		;
}

void
batches_release(struct letter *letter)
{
	if (letter->done)
		letter_free(letter);
	else
		letter->abandoned = true;
}
