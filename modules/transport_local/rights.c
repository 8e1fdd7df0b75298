#include "rights.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "user.h"

enum {
	MAILBOX_TIME = 10 * 60 * 1000, /* a mailbox may be locked for long by its reader */
	MARGIN = 60 * 1000,            /* beyond a command's own limit */
	READ_TIME = 60 * 1000
};

static struct letter *refuse(struct ph_user_result *why, int outcome, const char *status,
	const char *format, ...) PH_PRINTF(4, 5);

static struct letter *
refuse(struct ph_user_result *why, int outcome, const char *status, const char *format, ...)
{
	va_list args;

	*why = (struct ph_user_result){.size = sizeof(*why), .outcome = outcome};
	snprintf(why->status, sizeof(why->status), "%s", status);
	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return NULL;
}

/* ---- Deliveries ------------------------------------------------------------------------------ */

/* Copies a text into a field of a request; true when it fits. */
static bool
fill(char *field, size_t size, const char *text)
{
	return snprintf(field, size, "%s", text) < (int)size;
}

/* What only commands are told. */
static bool
describe(struct ph_user_delivery *request, const struct dispatch *d)
{
	if (request->kind != PH_USER_COMMAND && request->kind != PH_USER_INSTANCE)
		return true;
	ph_delivery_describe(d->delivery, request);
	return fill(request->address, sizeof(request->address), d->address);
}

/* Of "user+extension@domain". */
static void
find_extension(struct ph_user_delivery *request)
{
	size_t name = strlen(request->user), local = strcspn(request->recipient, "@");
	const char *delimiters = ph_global("recipient_delimiter");

	if (name == 0 || local <= name ||
		strncasecmp(request->recipient, request->user, name) != 0 ||
		strchr(delimiters, request->recipient[name]) == NULL)
		return;
	snprintf(request->extension, sizeof(request->extension), "%.*s", (int)(local - name - 1),
		request->recipient + name + 1);
}

static struct ph_user_delivery *
make_request(const struct dispatch *d, enum ph_user_kind kind, const char *target)
{
	struct ph_user_delivery *request = calloc(1, sizeof(*request));

	if (request == NULL)
		return NULL;
	request->size = sizeof(*request);
	request->kind = kind;
	request->offset = d->offset;
	request->length = d->length;
	request->arrival = ph_delivery_arrival(d->delivery);
	fill(request->queue_id, sizeof(request->queue_id), ph_delivery_queue_id(d->delivery));
	if (fill(request->user, sizeof(request->user), d->user != NULL ? d->user : "") &&
		fill(request->sender, sizeof(request->sender),
		d->sender != NULL ? d->sender : ph_delivery_sender(d->delivery)) &&
		fill(request->recipient, sizeof(request->recipient), d->recipient) &&
		fill(request->original, sizeof(request->original), d->original) &&
		fill(request->extension, sizeof(request->extension),
		d->extension != NULL ? d->extension : "") &&
		fill(request->target, sizeof(request->target), target) && describe(request, d)) {
		if (d->extension == NULL)
			find_extension(request);
		return request;
	}
	request->size = 0;
	return request;
}

static struct letter *
post(struct batches *batches, const struct dispatch *d, enum ph_user_kind kind, const char *target,
	uint32_t flags, int64_t time, struct ph_user_result *why)
{
	struct ph_user_delivery *request = make_request(d, kind, target);
	struct letter *letter = NULL;

	if (request != NULL && request->size == 0)
		refuse(why, PH_USER_BOUNCED, "5.1.3",
			"an address or a target is too long for local delivery");
	else {
		if (request != NULL) {
			request->flags = flags;
			letter = batches_post(batches, request, d->fd, time);
		}
		if (letter == NULL)
			refuse(why, PH_USER_DEFERRED, "4.3.0",
				"no memory or descriptors for the delivery");
	}
	free(request);
	return letter;
}

static int64_t
command_time(const struct params *params)
{
	return params->command_time_limit + MARGIN;
}

/* Has the user a command of the administrator's? Which one, the child finds out for itself. */
static ph_found
has_command(const struct params *params, const struct dispatch *d, ph_error *error)
{
	ph_found found = PH_NOT_FOUND;

	if (!ph_map_is_empty(params->mailbox_command_maps))
		found = ph_map_lookup(ph_delivery_pool(d->delivery), params->mailbox_command_maps,
			d->user, NULL, error);
	return found == PH_NOT_FOUND && *params->mailbox_command != '\0' ? PH_FOUND : found;
}

struct letter *
rights_mailbox(struct batches *batches, const struct params *params, const struct dispatch *d,
	struct ph_user_result *why)
{
	const char *home = params->home_mailbox;
	ph_error error = {""};
	char target[512];

	switch (has_command(params, d, &error)) {
	case PH_FAILED:
		return refuse(why, PH_USER_DEFERRED, "4.3.0", "mailbox_command_maps lookup: %.180s",
			error.text);
	case PH_FOUND:
		return post(batches, d, PH_USER_INSTANCE, "", 0, command_time(params), why);
	case PH_NOT_FOUND:
		break;
	}
	if (*home == '\0')
		return post(batches, d, PH_USER_MAILBOX, "", 0, MAILBOX_TIME, why);
	if (snprintf(target, sizeof(target), "~/%s", home) >= (int)sizeof(target))
		return refuse(why, PH_USER_DEFERRED, "4.3.5", "home_mailbox is too long");
	return post(batches, d, PH_USER_FILE, target, PH_USER_HOME_MAILBOX, MAILBOX_TIME, why);
}

const char *
rights_mailbox_text(ph_pool *pool, const struct params *params, const struct user *user,
	ph_error *error)
{
	const char *command = params->mailbox_command;
	ph_found found = PH_NOT_FOUND;

	if (!ph_map_is_empty(params->mailbox_command_maps))
		found = ph_map_lookup(pool, params->mailbox_command_maps, user->name, &command,
			error);
	if (found == PH_FAILED)
		return NULL;
	if (found == PH_FOUND || *command != '\0')
		return ph_pool_printf(pool, "delivers to command: %s", command);
	if (*params->home_mailbox != '\0')
		return ph_pool_printf(pool, "delivers to mailbox %s/%s", user->home,
			params->home_mailbox);
	return ph_pool_printf(pool, "delivers to mailbox %s/%s", ph_global("mail_spool_directory"),
		user->name);
}

struct letter *
rights_file(struct batches *batches, const struct dispatch *d, const char *path,
	struct ph_user_result *why)
{
	return post(batches, d, PH_USER_FILE, path, 0, MAILBOX_TIME, why);
}

struct letter *
rights_command(struct batches *batches, const struct params *params, const struct dispatch *d,
	const char *command, struct ph_user_result *why)
{
	return post(batches, d, PH_USER_COMMAND, command, 0, command_time(params), why);
}

ph_deadline
rights_deadline(const struct params *params)
{
	int64_t command = command_time(params);

	/* One batch of the same mailbox may be under way before it. */
	return ph_in(command > 2 * MAILBOX_TIME ? command : 2 * MAILBOX_TIME);
}

const char *
rights_text(ph_pool *pool, const struct ph_user_result *result)
{
	if (*result->output == '\0')
		return result->text;
	if (result->outcome == PH_USER_SENT)
		return ph_pool_printf(pool, "%s (%s)", result->text, result->output);
	return ph_pool_printf(pool, "%s. Command output: %s", result->text, result->output);
}

/* ---- Reading --------------------------------------------------------------------------------- */

struct reading {
	struct ph_user_delivery *requests;
	struct ph_user_result *results;
	ph_span *texts;
	size_t count;
};

/* In the pool. */
static int
begin_reading(ph_pool *pool, const char *user, const char *const *paths, size_t count,
	uint32_t flags, struct reading *reading, ph_error *why)
{
	if (count == 0 || count > PH_SPAWN_MAX)
		return ph_error_set(why, "1 to %d files can be asked for", PH_SPAWN_MAX);
	reading->count = count;
	reading->requests = ph_pool_array(pool, count, sizeof(*reading->requests));
	reading->results = ph_pool_array(pool, count, sizeof(*reading->results));
	reading->texts = ph_pool_array(pool, count, sizeof(*reading->texts));
	if (reading->requests == NULL || reading->results == NULL || reading->texts == NULL)
		return ph_error_set(why, "no memory");
	for (size_t i = 0; i < count; i++) {
		struct ph_user_delivery *request = &reading->requests[i];

		*request = (struct ph_user_delivery){.size = sizeof(*request), .kind = PH_USER_READ,
			.flags = flags};
		if (!fill(request->user, sizeof(request->user), user != NULL ? user : "") ||
			!fill(request->target, sizeof(request->target), paths[i]))
			return ph_error_set(why, "the path of a file is too long");
	}
	return 0;
}

static enum file_answer
answer_of(const struct reading *reading, size_t i, ph_span *text, ph_error *why)
{
	ph_error_set(why, "%s", reading->results[i].text);
	switch ((enum ph_user_read)reading->results[i].outcome) {
	case PH_READ_TEXT:
		*text = reading->texts[i];
		return FILE_TEXT;
	case PH_READ_ABSENT:
		return FILE_ABSENT;
	case PH_READ_REFUSED:
		return FILE_REFUSED;
	case PH_READ_LATER:
		break;
	}
	return FILE_LATER;
}

enum file_answer
rights_forward(void *self, ph_pool *pool, const char *user, const char *const *paths, size_t count,
	size_t *which, ph_span *text, ph_error *why)
{
	struct reading reading;

	if (begin_reading(pool, user, paths, count, PH_USER_OWN_FILE, &reading, why) == -1 ||
		ph_spawn_read(self, pool, reading.requests, count, reading.results, reading.texts,
			ph_in(READ_TIME), why) == -1)
		return FILE_LATER;
	for (size_t i = 0; i < count; i++) {
		enum file_answer answer = answer_of(&reading, i, text, why);

		*which = i;
		if (answer != FILE_ABSENT)
			return answer;
	}
	return FILE_ABSENT;
}

enum file_answer
rights_include(void *self, ph_pool *pool, const char *user, const char *path, ph_span *text,
	ph_error *why)
{
	struct reading reading;

	if (begin_reading(pool, user, &path, 1, 0, &reading, why) == -1 ||
		ph_spawn_read(self, pool, reading.requests, 1, reading.results, reading.texts,
			ph_in(READ_TIME), why) == -1)
		return FILE_LATER;
	return answer_of(&reading, 0, text, why);
}
