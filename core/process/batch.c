/*
 * The child of the spawner that carries out one batch. It begins with the spawner's rights, looks
 * the user up, opens and locks the mailbox; then it becomes the user for good, and only then is a
 * module's code run, a file of the user's opened, or a byte of a message read.
 */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ground/logger.h"
#include "ground/number.h"
#include "process/spawn.h"
#include "process/userfile.h"

enum {
	LOCK_TIME = 30 * 1000, /* for the locks of a mailbox */
	GROUP_ROOM = 16384,
	PATH_ROOM = 4096
};

/* What the steps of a batch share. */
struct errand {
	const struct batch *batch;
	const struct process_setup *setup;
	int result_fd;
	struct rights rights;
	struct ph_user_context context;
	struct ph_user_result *results;
	char *path;          /* of the mailbox, for texts; PATH_ROOM bytes where one is opened here */
	char *directory;     /* of a mailbox that has a .lock, in it and its name; */
	const char *name;    /* NULL: there is none that we have to remove */
};

/* ---- Answers --------------------------------------------------------------------------------- */

static void
write_all(int fd, const void *data, size_t size)
{
	const char *at = data;

	while (size) {
		ssize_t written = write(fd, at, size);

		if (written == -1 && errno == EINTR)
			continue;
		if (written <= 0)
			_exit(1);
		at += written;
		size -= (size_t)written;
	}
}

static void
send_results(const struct errand *errand)
{
	char mark = CHILD_RESULTS;

	if (errand->name)
		mailbox_unlock(errand->directory, errand->name, getpid());
	write_all(errand->result_fd, &mark, 1);
	write_all(errand->result_fd, errand->results,
		errand->batch->count * sizeof(*errand->results));
}

static noreturn void
end(void)
{
	logger_flush();
	_exit(0);
}

static void answer(struct ph_user_result *result, int outcome, const char *status,
	const char *format, va_list arguments) PH_PRINTF(4, 0);

static void
answer(struct ph_user_result *result, int outcome, const char *status, const char *format,
	va_list arguments)
{
	*result = (struct ph_user_result){.size = sizeof(*result), .outcome = outcome};
	snprintf(result->status, sizeof(result->status), "%s", status);
	vsnprintf(result->text, sizeof(result->text), format, arguments);
}

/* The same for all, and the end. Files that were to be read wait for better times. */
static noreturn void PH_PRINTF(4, 5)
all_the_same(const struct errand *errand, int outcome, const char *status, const char *format, ...)
{
	static const uint32_t empty[PH_SPAWN_MAX];
	bool reads = errand->batch->kind == PH_USER_READ;
	va_list arguments;

	for (size_t i = 0; i < errand->batch->count; i++) {
		va_start(arguments, format);
		answer(&errand->results[i], reads ? PH_READ_LATER : outcome, status, format,
			arguments);
		va_end(arguments);
	}
	send_results(errand);
	if (reads)
		write_all(errand->result_fd, empty, errand->batch->count * sizeof(empty[0]));
	end();
}

/* ---- The user -------------------------------------------------------------------------------- */

static void
find_rights(struct errand *errand)
{
	const struct batch *batch = errand->batch;
	const char *fixed = rights_of_instance(batch->transport), *user = batch->requests[0].user;
	bool named = !fixed && *user;
	ph_error error = {""};

	if (!fixed)
		fixed = *user ? user : config_settings(errand->setup->config)->default_privs;
	switch (rights_find(fixed, &errand->rights, &error)) {
	case RIGHTS_FOUND:
		return;
	case RIGHTS_UNKNOWN:
		if (named)
			all_the_same(errand, 2, "5.1.1", "%s", error.text);
		all_the_same(errand, 1, "4.3.5", "%s", error.text);
	case RIGHTS_ROOT:
		/* Deferred and not refused: it is the administrator's mail, and an alias lets it go
		 * on. */
		if (named)
			all_the_same(errand, 1, "4.2.1",
				"mail for %s needs an alias: nothing is delivered with "
				"root's rights", user);
		all_the_same(errand, 1, "4.3.5", "%s", error.text);
	case RIGHTS_FAILED:
		all_the_same(errand, 1, "4.3.0", "%s", error.text);
	}
}

static void
limit(int resource, rlim_t value)
{
	struct rlimit limits;

	if (getrlimit(resource, &limits) == -1)
		return;
	if (limits.rlim_max == RLIM_INFINITY || limits.rlim_max > value)
		limits.rlim_max = value;
	limits.rlim_cur = limits.rlim_max;
	setrlimit(resource, &limits);
}

/* A copy of what export_environment lets through: "NAME" with its value here, or "NAME=value". */
static char *
exported(const char *item)
{
	const char *value = strchr(item, '=') ? NULL : getenv(item);
	char *copy = NULL;

	if (strchr(item, '='))
		copy = strdup(item);
	else if (value && asprintf(&copy, "%s=%s", item, value) == -1)
		_exit(1);
	return copy;
}

/* Nothing of the daemon's surroundings reaches what runs for a user. */
static void
scrub(const struct rights *rights, const ph_strings *export, int64_t timeout)
{
	char **kept = calloc(export->count + 1, sizeof(*kept));

	if (!kept)
		_exit(1);
	for (size_t i = 0; i < export->count; i++)
		kept[i] = exported(export->items[i]);
	clearenv();
	for (size_t i = 0; i < export->count; i++)
		if (kept[i])
			putenv(kept[i]);
	setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1);
	setenv("HOME", rights->home, 1);
	setenv("LOGNAME", rights->name, 1);
	setenv("USER", rights->name, 1);
	setenv("SHELL", rights->shell, 1);
	free(kept);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_NOFILE, 256);
	limit(RLIMIT_CPU, (rlim_t)(timeout / 1000 + 60));
	signal(SIGXFSZ, SIG_IGN); /* a limit on files is an error of write() */
	umask(077);
	if ((rights->confined || chdir(rights->home) == -1) && chdir("/") == -1)
		_exit(1);
}

void
batch_become(const struct process_setup *setup, const struct rights *rights, bool commands,
	int64_t timeout)
{
	if (rights_take(rights, setup->owner, commands) == -1)
		_exit(1);
	process_follow(setup->parent); /* again: the change of rights cancelled it */
	scrub(rights, &config_settings(setup->config)->export_environment, timeout);
}

/* To the transport's own root directory, if it has one, when the user is become. 0, or -1 with
 * errno. */
static int
confine(struct errand *errand)
{
	const char *root = rights_root(errand->batch->transport);

	return root ? rights_confine(&errand->rights, root) : 0;
}

static void
become_user(struct errand *errand)
{
	enum ph_user_kind kind = errand->batch->kind;
	batch_become(errand->setup, &errand->rights,
		kind == PH_USER_COMMAND || kind == PH_USER_INSTANCE, errand->batch->timeout);
}

/* ---- Mailboxes ------------------------------------------------------------------------------- */

/* The group that mailboxes have. */
static gid_t
mailbox_group(gid_t otherwise)
{
	struct group entry, *found = NULL;
	char *room = malloc(GROUP_ROOM);
	gid_t gid = otherwise;

	if (room && getgrnam_r("mail", &entry, room, GROUP_ROOM, &found) == 0 && found)
		gid = entry.gr_gid;
	free(room);
	return gid;
}

static struct mailbox_place
place_of(const struct errand *errand)
{
	const struct owner *owner = errand->setup->owner;
	int64_t half = errand->batch->timeout / 2;

	return (struct mailbox_place){.uid = owner->rootless ? owner->uid : errand->rights.uid,
		.gid = errand->rights.gid, .timeout = half < LOCK_TIME ? half : LOCK_TIME};
}

static void
take_mailbox(struct errand *errand, const struct mailbox_place *place, bool *made)
{
	ph_error error = {""};
	enum mailbox_result result = mailbox_open(place, &errand->context.mailbox_fd, made, &error);
	int failed = errno;

	if (result == MAILBOX_UNSAFE)
		all_the_same(errand, 1, "4.2.0", "%s %s %s", place->any_file ? "file" : "mailbox",
			errand->path, error.text);
	if (result == MAILBOX_FAILED)
		errand->context.mailbox_errno = failed;
}

/* In mail_spool_directory, with the rights that we still have. */
static void
open_spool_mailbox(struct errand *errand)
{
	const char *directory = config_settings(errand->setup->config)->mail_spool_directory;
	size_t size = strlen(directory);
	bool folder = size > 1 && directory[size - 1] == '/', made = false;
	struct mailbox_place place = place_of(errand);
	char mark = CHILD_DOTLOCK;

	snprintf(errand->path, PATH_ROOM, "%s%s%s", directory, folder ? "" : "/",
		errand->rights.name);
	place.directory = directory;
	place.name = errand->rights.name;
	place.change_owner = !errand->setup->owner->rootless;
	if (folder) {
		strcat(errand->path, "/");
		if (mailbox_folder(&place) == -1)
			errand->context.mailbox_errno = errno;
		return;
	}
	place.gid = mailbox_group(place.gid);
	take_mailbox(errand, &place, &made);
	if (made)
		write_all(errand->result_fd, &mark, 1);
}

/* A file that the request names, as the user. All requests of the batch are for the same. */
static void
open_target(struct errand *errand)
{
	const struct ph_user_delivery *request = &errand->batch->requests[0];
	struct mailbox_place place = place_of(errand);
	ph_error error = {""};
	bool made = false;
	char *slash;

	if (userfile_path(request->target, errand->rights.home, errand->path, PATH_ROOM - 1, &error) == -1)
		all_the_same(errand, 2, "5.2.0", "%s", error.text);
	slash = strrchr(errand->path, '/');
	if (slash[1] == '\0')
		return;
	errand->directory = strndup(errand->path,
		slash == errand->path ? 1 : (size_t)(slash - errand->path));
	if (!errand->directory)
		_exit(1);
	place.directory = errand->directory;
	place.name = slash + 1;
	place.any_file = !(request->flags & PH_USER_HOME_MAILBOX);
	take_mailbox(errand, &place, &made);
	if (made)
		errand->name = place.name;
}

/* What somebody's request wants with this user's rights the user must want, too. */
static void
confirm(const struct errand *errand)
{
	const struct batch *batch = errand->batch;
	const struct ph_transport_ops *ops = batch->transport->ops;
	const struct ph_user_delivery *request = batch_requests(batch);
	struct ph_user_result result = {.size = sizeof(result)};

	if (!ops->confirm || !*request->user ||
		(batch->kind != PH_USER_COMMAND && batch->kind != PH_USER_FILE) ||
		ops->confirm(batch->transport->self, &errand->context, request, &result) == 0)
		return;
	all_the_same(errand, result.outcome == PH_USER_BOUNCED ? PH_USER_BOUNCED : PH_USER_DEFERRED,
		result.status, "%s", result.text);
}

/* ---- Reading --------------------------------------------------------------------------------- */

struct text {
	char *data;
	size_t size;
};

static void
read_one(const struct errand *errand, const struct ph_user_delivery *request, size_t room,
	struct ph_user_result *result, struct text *text)
{
	const struct ph_transport_ops *ops = errand->batch->transport->ops;
	ph_error error = {""};

	result->outcome = PH_READ_REFUSED;
	if (ops->confirm && *request->user &&
		ops->confirm(errand->batch->transport->self, &errand->context, request, result) == -1) {
		result->outcome = PH_READ_LATER;
		return;
	}
	if (userfile_path(request->target, errand->rights.home, errand->path, PATH_ROOM, &error) == 0)
		result->outcome = (int)userfile_read(errand->path, request->flags, geteuid(), room,
			&text->data, &text->size, &error);
	result->status[0] = '\0';
	snprintf(result->text, sizeof(result->text), "%.243s", error.text);
}

static noreturn void
read_files(struct errand *errand)
{
	struct text *texts = calloc(errand->batch->count, sizeof(*texts));
	size_t room = PH_SPAWN_TEXT_MAX;

	if (!texts)
		_exit(1);
	for (size_t i = 0; i < errand->batch->count; i++) {
		read_one(errand, &errand->batch->requests[i], room, &errand->results[i], &texts[i]);
		room -= texts[i].size;
	}
	send_results(errand);
	for (size_t i = 0; i < errand->batch->count; i++) {
		size_t size = texts[i].size;
		char head[4];

		number_put(head, size, sizeof(head));
		write_all(errand->result_fd, head, sizeof(head));
		write_all(errand->result_fd, texts[i].data, texts[i].size);
	}
	end();
}

/* ---- Tables ---------------------------------------------------------------------------------- */

/* Those that the instance's part for users asks. They may be readable for root alone, as they are
 * where the roles open them. */
static void
open_tables(const struct errand *errand)
{
	const struct instance *transport = errand->batch->transport;
	const struct ph_module *module = transport->module;
	ph_error error = {""};

	for (size_t i = 0; i < module->param_count; i++) {
		const struct ph_param *param = &module->params[i];
		const ph_map *map;

		if (param->type != PH_MAP_REF || !(param->flags & PH_FOR_USER))
			continue;
		map = *(const ph_map *const *)((const char *)transport->self + param->offset);
		if (map_open_tables(map, &error) == -1)
			all_the_same(errand, 1, "4.3.0", "%s: %s", param->name, error.text);
	}
}

/* ---- The module's part ----------------------------------------------------------------------- */

size_t
result_stride(size_t request_size)
{
	return request_size < sizeof(struct ph_user_delivery) ? PH_USER_RESULT_1_0
		: sizeof(struct ph_user_result);
}

/* The module may know shorter structs than we do. */
const void *
batch_requests(const struct batch *batch)
{
	char *requests = calloc(batch->count, batch->stride);

	if (!requests)
		_exit(1);
	for (size_t i = 0; i < batch->count; i++)
		memcpy(requests + i * batch->stride, &batch->requests[i], batch->stride);
	return requests;
}

static void
deliver(struct errand *errand)
{
	const struct batch *batch = errand->batch;
	const struct ph_transport_ops *ops = batch->transport->ops;
	size_t result_size = result_stride(batch->stride);
	char *results = calloc(batch->count, result_size);

	if (!results)
		_exit(1);
	for (size_t i = 0; i < batch->count; i++)
		memcpy(results + i * result_size, &errand->results[i], result_size);
	ops->deliver_as_user(batch->transport->self, &errand->context, batch_requests(batch),
		batch->fds, batch->count, (void *)results);
	for (size_t i = 0; i < batch->count; i++) {
		memcpy(&errand->results[i], results + i * result_size, result_size);
		errand->results[i].size = sizeof(errand->results[i]);
	}
}

static void
begin_results(struct errand *errand)
{
	for (size_t i = 0; i < errand->batch->count; i++) {
		struct ph_user_result *result = &errand->results[i];

		*result = (struct ph_user_result){.size = sizeof(*result), .outcome = 1, .status = "4.3.0"};
		snprintf(result->text, sizeof(result->text), "nothing is known of this delivery");
	}
}

static void
begin_context(struct errand *errand)
{
	errand->context.uid = errand->rights.uid;
	errand->context.gid = errand->rights.gid;
	errand->context.home = errand->rights.home;
	errand->context.name = errand->rights.name;
	errand->context.shell = errand->rights.shell;
	errand->context.mailbox = errand->path;
}

void
batch_deliver_as(const struct batch *batch, const struct process_setup *setup,
	const struct rights *rights, struct ph_user_result *results)
{
	struct errand errand = {.batch = batch, .setup = setup, .results = results,
		.rights = *rights,
		.context = {.size = sizeof(errand.context), .mailbox_fd = -1}, .path = ""};

	begin_context(&errand);
	if (confine(&errand) == -1)
		_exit(1);
	become_user(&errand);
	begin_results(&errand);
	deliver(&errand);
}

/* Everything that a batch's rights are found for in another way than by a name. */
static noreturn void
share_out(struct errand *errand)
{
	begin_results(errand);
	open_tables(errand);
	shares_run(errand->batch, errand->setup, errand->result_fd, errand->results);
	send_results(errand);
	end();
}

void
batch_run(const struct batch *batch, const struct process_setup *setup, int result_fd)
{
	struct errand errand = {.batch = batch, .setup = setup, .result_fd = result_fd,
		.context = {.size = sizeof(errand.context), .mailbox_fd = -1},
		.results = calloc(batch->count, sizeof(*errand.results)),
		.path = calloc(1, PATH_ROOM)};

	setpgid(0, 0);
	process_title("deliver");
	process_follow(setup->parent);
	if (!errand.results || !errand.path)
		_exit(1);
	if (((const struct ph_transport_ops *)batch->transport->ops)->find_rights)
		share_out(&errand);
	find_rights(&errand);
	begin_context(&errand);
	if (batch->kind == PH_USER_MAILBOX)
		open_spool_mailbox(&errand);
	if (batch->kind == PH_USER_INSTANCE)
		open_tables(&errand);
	if (confine(&errand) == -1)
		all_the_same(&errand, 1, "4.3.5", "cannot change the root directory to %s: %s",
			rights_root(batch->transport), strerror(errno));
	become_user(&errand);
	begin_results(&errand);
	confirm(&errand);
	if (batch->kind == PH_USER_READ)
		read_files(&errand);
	if (batch->kind == PH_USER_FILE)
		open_target(&errand);
	deliver(&errand);
	send_results(&errand);
	end();
}
