/*
 * transport_virtual: mailboxes of people who are no users of this host.
 *
 * The local role sends recipients to the spawner as they are. A child of the spawner has
 * virtual_find_rights() look up whose rights each needs, and runs virtual_deliver_as_user() with
 * these: that finds the mailbox's path in the same tables. Nothing that the local role says names a
 * user, a group or a path.
 */
#include <posthouse/log.h>
#include <posthouse/mailbox.h>
#include <posthouse/transport.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lookup.h"
#include "place.h"
#include "virtual.h"

enum {
	DELIVERY_TIME = 1000 * 1000, /* for the mailboxes of one message, milliseconds */
	LOCK_TIME = 30 * 1000
};

#define FIELD(name) offsetof(struct virtual, name)

static const struct ph_param params[] = {
	{.name = "virtual_gid_maps", .type = PH_MAP_REF, .flags = PH_PER_SECTION | PH_FOR_USER,
		.offset = FIELD(virtual_gid_maps),
		.doc = "Tables of recipients with the number of the group that their mailbox has, like "
		       "static:5000."},
	{.name = "virtual_mailbox_base", .type = PH_PATH, .flags = PH_PER_SECTION,
		.offset = FIELD(virtual_mailbox_base),
		.doc = "The folder below which the mailboxes of virtual_mailbox_maps are; empty: their paths are "
		       "absolute."},
	{.name = "virtual_mailbox_limit", .type = PH_SIZE, .flags = PH_PER_SECTION,
		.offset = FIELD(virtual_mailbox_limit), .default_value = "51200000", .min = 0,
		.max = INT64_MAX,
		.doc = "The largest size of a virtual mailbox, and of a message in a Maildir; mail that would exceed "
		       "it is returned. 0: no limit."},
	{.name = "virtual_mailbox_lock", .type = PH_STRINGS, .flags = PH_PER_SECTION,
		.offset = FIELD(virtual_mailbox_lock), .default_value = "fcntl, dotlock",
		.doc = "How a virtual mailbox in mbox format is locked: fcntl, flock, dotlock, or several of them."},
	{.name = "virtual_mailbox_maps", .type = PH_MAP_REF, .flags = PH_PER_SECTION | PH_FOR_USER,
		.offset = FIELD(virtual_mailbox_maps),
		.doc = "Tables of all recipients in $virtual_mailbox_domains, with the paths of their mailboxes "
		       "below $virtual_mailbox_base; a slash at the end makes one a Maildir; empty: any."},
	{.name = "virtual_minimum_uid", .type = PH_INT, .flags = PH_PER_SECTION,
		.offset = FIELD(virtual_minimum_uid), .default_value = "100", .min = 1,
		.max = UINT32_MAX - 1,
		.doc = "The smallest number of a user that virtual_uid_maps may give."},
	{.name = "virtual_uid_maps", .type = PH_MAP_REF, .flags = PH_PER_SECTION | PH_FOR_USER,
		.offset = FIELD(virtual_uid_maps),
		.doc = "Tables of recipients with the number of the user to whom their mailbox belongs, like "
		       "static:5000."},
};

/* ---- In the local role ----------------------------------------------------------------------- */

/* Which mailbox it is, an administrator may know. */
static void
tell_place(const struct virtual *virtual, ph_delivery *delivery, size_t i, const char *value)
{
	const char *relay = ph_instance_name(virtual), *path;
	ph_error error = {"no memory"};

	path = place_path(ph_delivery_pool(delivery), virtual->virtual_mailbox_base, value, &error);
	if (path != NULL)
		ph_delivery_sent(delivery, i, "2.0.0", relay, "delivers to mailbox %s", path);
	else
		ph_delivery_defer(delivery, i, "4.3.5", relay, "virtual_mailbox_maps: %s",
			error.text);
}

/* Is there a mailbox? That is all that a probe is told. */
static void
probe(const struct virtual *virtual, ph_delivery *delivery, size_t i)
{
	const char *relay = ph_instance_name(virtual),
		*recipient = ph_delivery_recipient(delivery, i);
	const char *value;
	ph_error error = {""};

	switch (lookup_mailbox(ph_delivery_pool(delivery), virtual, recipient, &value, &error)) {
	case PH_FOUND:
		if (ph_delivery_is_rehearsal(delivery))
			tell_place(virtual, delivery, i, value);
		else
			ph_delivery_sent(delivery, i, "2.0.0", relay, "delivers to mailbox");
		break;
	case PH_NOT_FOUND:
		ph_delivery_bounce(delivery, i, "5.1.1", relay, "unknown user: \"%s\"", recipient);
		break;
	case PH_FAILED:
		ph_delivery_defer(delivery, i, "4.3.0", relay, "mailbox lookup: %s", error.text);
		break;
	}
}

static void
virtual_deliver(void *self, ph_delivery *delivery)
{
	const struct ph_user_delivery request = {.size = sizeof(request), .kind = PH_USER_INSTANCE};

	if (!ph_delivery_is_probe(delivery))
		ph_spawn_message(self, delivery, &request, DELIVERY_TIME, 0);
	else
		for (size_t i = 0; i < ph_delivery_count(delivery); i++)
			probe(self, delivery, i);
}

/* ---- In the children of the spawner ---------------------------------------------------------- */

static void
virtual_find_rights(void *self, const struct ph_user_delivery *requests, size_t count,
	struct ph_user_rights *rights)
{
	for (size_t i = 0; i < count; i++) {
		ph_pool *pool = ph_pool_new(0);

		if (pool == NULL)
			continue; /* later, as it stands there */
		lookup_rights(pool, self, requests[i].recipient, &rights[i]);
		if (rights[i].outcome == PH_USER_DEFERRED)
			ph_log(PH_LOG_WARNING, "%s: %s", requests[i].queue_id, rights[i].text);
		ph_pool_free(pool);
	}
}

static unsigned
locks_of(const struct virtual *virtual)
{
	unsigned locks = 0;

	for (size_t i = 0; i < virtual->virtual_mailbox_lock.count; i++) {
		const char *word = virtual->virtual_mailbox_lock.items[i];

		locks |= strcmp(word, "fcntl") == 0 ? PH_LOCK_FCNTL : strcmp(word, "flock") == 0 ?
			PH_LOCK_FLOCK : strcmp(word, "dotlock") == 0 ? PH_LOCK_DOTLOCK : 0u;
	}
	return locks;
}

static void
deliver_to(const struct virtual *virtual, const char *path, const struct ph_user_delivery *request,
	int fd, struct ph_user_result *result)
{
	struct ph_mailbox box = {.size = sizeof(box), .path = path, .user = request->recipient,
		.fd = -1,
		.limit = virtual->virtual_mailbox_limit};
	bool maildir = path[strlen(path) - 1] == '/';
	ph_error why = {""};

	if (!maildir)
		box.fd = ph_mailbox_open(path, locks_of(virtual), LOCK_TIME, &why);
	if (box.fd == -1 && !maildir)
		box.failure = errno != 0 ? errno : EIO;
	if (*why.text != '\0')
		ph_user_answer(result, PH_USER_DEFERRED, "4.2.0", "mailbox %.150s %s", path,
			why.text);
	else
		ph_mailbox_write(&box, request, &fd, 1, result);
	if (box.fd != -1) {
		ph_mailbox_unlock(path);
		close(box.fd);
	}
}

static void
deliver_one(const struct virtual *virtual, ph_pool *pool, const struct ph_user_delivery *request,
	int fd, struct ph_user_result *result)
{
	const char *value = NULL, *path;
	ph_error error = {""};

	switch (lookup_mailbox(pool, virtual, request->recipient, &value, &error)) {
	case PH_FAILED:
		ph_user_answer(result, PH_USER_DEFERRED, "4.3.0", "mailbox lookup: %.200s",
			error.text);
		return;
	case PH_NOT_FOUND:
		ph_user_answer(result, PH_USER_BOUNCED, "5.1.1", "unknown user: \"%.200s\"",
			request->recipient);
		return;
	case PH_FOUND:
		break;
	}
	path = place_path(pool, virtual->virtual_mailbox_base, value, &error);
	if (path != NULL) {
		deliver_to(virtual, path, request, fd, result);
		return;
	}
	ph_log(PH_LOG_WARNING, "%s: virtual_mailbox_maps: recipient %s: %s", request->queue_id,
		request->recipient, error.text);
	ph_user_answer(result, PH_USER_DEFERRED, "4.3.5", "virtual_mailbox_maps: %s", error.text);
}

static void
virtual_deliver_as_user(void *self, const struct ph_user_context *user,
	const struct ph_user_delivery *requests, const int *fds, size_t count,
	struct ph_user_result *results)
{
	(void)user;
	for (size_t i = 0; i < count; i++) {
		ph_pool *pool = ph_pool_new(0);

		if (pool == NULL)
			continue; /* later, as it stands there */
		deliver_one(self, pool, &requests[i], fds[i], &results[i]);
		ph_pool_free(pool);
	}
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int
virtual_check(void *self, ph_error *error)
{
	const struct virtual *virtual = self;

	for (size_t i = 0; i < virtual->virtual_mailbox_lock.count; i++) {
		const char *word = virtual->virtual_mailbox_lock.items[i];

		if (strcmp(word, "fcntl") != 0 && strcmp(word, "flock") != 0 &&
			strcmp(word, "dotlock") != 0)
			return ph_error_set(error,
				"virtual_mailbox_lock: \"%s\" is none of fcntl, flock, dotlock",
				word);
	}
	return virtual->virtual_mailbox_lock.count > 0 ? 0 :
		ph_error_set(error, "virtual_mailbox_lock: expected fcntl, flock, dotlock, or several of them");
}

PH_MODULE(transport_virtual, "1.0", "delivery to virtual mailboxes",
	PH_TRANSPORT(.flags = PH_TRANSPORT_LOCAL | PH_TRANSPORT_PROBES | PH_TRANSPORT_REHEARSES,
		.deliver = virtual_deliver,
		.deliver_as_user = virtual_deliver_as_user, .find_rights = virtual_find_rights,
		.minimum_offset = FIELD(virtual_minimum_uid)),
	PH_INSTANCE(struct virtual, params),
	PH_LIFE(.check = virtual_check));
