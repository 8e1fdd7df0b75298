/* The spawner with a transport of the test's own, in rootless mode (and as root where we are it). */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/files.h"
#include "ground/loop.h"
#include "process/channel.h"
#include "process/protocol.h"
#include "process/spawn.h"

static const char user_name[] = "nobody"; /* every system has it */
static char folder[64], mailbox[128], dotlock[128];

/* ---- A configuration with one transport -------------------------------------------------------- */

static void
deliver_as_user(void *self, const struct ph_user_context *user, const struct ph_user_delivery *requests,
	const int *fds, size_t count, struct ph_user_result *results)
{
	for (size_t i = 0; i < count; i++) {
		char content[64] = "";
		ssize_t got = pread(fds[i], content, sizeof(content) - 1, requests[i].offset);

		if (strcmp(requests[i].queue_id, "CRASH") == 0)
			abort();
		while (strcmp(requests[i].queue_id, "SLOW") == 0)
			pause();
		results[i].outcome = strcmp(requests[i].queue_id, "GARBAGE") == 0 ? 77 : 0;
		snprintf(results[i].status, sizeof(results[i].status), "2.0.0");
		snprintf(results[i].text, sizeof(results[i].text), "uid %ld errno %d", (long)geteuid(), user->mailbox_errno);
		if (user->mailbox_fd != -1 && got > 0)
			(void)!write(user->mailbox_fd, content, (size_t)got);
	}
}

static int
confirm(void *self, const struct ph_user_context *user, const struct ph_user_delivery *delivery,
	struct ph_user_result *result)
{
	if (strcmp(delivery->queue_id, "LIE") != 0)
		return 0;
	*result = (struct ph_user_result){.size = sizeof(*result), .outcome = 1, .status = "4.3.5"};
	snprintf(result->text, sizeof(result->text), "%s did not ask for it", user->name);
	return -1;
}

/* The numbers stand in the request: whatever a module finds has to be held against the limits. The
 * process that asks it has nobody's rights. */
static void
find_rights(void *self, const struct ph_user_delivery *requests, size_t count, struct ph_user_rights *rights)
{
	for (size_t i = 0; i < count; i++) {
		unsigned long uid, gid;

		if (strcmp(requests[i].queue_id, "DIE") == 0)
			abort();
		if (strcmp(requests[i].queue_id, "SILENT") == 0)
			continue;
		if (sscanf(requests[i].nexthop, "%lu:%lu", &uid, &gid) != 2) {
			rights[i].outcome = PH_USER_BOUNCED;
			snprintf(rights[i].status, sizeof(rights[i].status), "5.1.1");
			snprintf(rights[i].text, sizeof(rights[i].text), "asked as %ld", (long)geteuid());
			continue;
		}
		rights[i].outcome = strcmp(requests[i].queue_id, "WRONG") == 0 ? 77 : PH_USER_SENT;
		rights[i].uid = (uint32_t)uid;
		rights[i].gid = (uint32_t)gid;
	}
}

static const struct ph_module transport_module = {.size = sizeof(transport_module)};
static const struct ph_transport_ops transport_ops = {
	.size = sizeof(transport_ops), .deliver_as_user = deliver_as_user, .confirm = confirm};
static const struct ph_transport_ops network_ops = {.size = sizeof(network_ops)};
static const struct ph_transport_ops virtual_ops = {.size = sizeof(virtual_ops),
	.deliver_as_user = deliver_as_user, .find_rights = find_rights, .minimum_offset = sizeof(int64_t)};
static int64_t virtual_self[] = {0, 1000}; /* the second is the smallest number of a user */
static struct instance transports[] = {
	{.name = "local", .ops = &transport_ops, .module = &transport_module, .number = 0},
	{.name = "smtp", .ops = &network_ops, .number = 1},
	{.name = "virtual", .ops = &virtual_ops, .module = &transport_module, .self = virtual_self, .number = 2},
};
static struct settings settings = {.mail_spool_directory = folder, .default_privs = "nobody"};

struct instance *
config_instance(const struct config *config, enum ph_class class_number, size_t i)
{
	return class_number == PH_CLASS_TRANSPORT && i < 3 ? &transports[i] : NULL;
}

const struct settings *
config_settings(const struct config *config)
{
	return &settings;
}

void
files_set_reopen(files_reopen_fn *fn)
{
}

int
map_open_tables(const ph_map *map, ph_error *error)
{
	return 0;
}

struct instance *
instance_of(const void *self)
{
	return self == &transports[0] ? &transports[0] : NULL;
}

/* ---- A spawner to talk to ---------------------------------------------------------------------- */

struct fixture {
	pid_t pid;
	int control, client;
	struct owner owner;
	ph_pool *pool;
};

static int
exit_code(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

static int
connect_client(struct fixture *fixture)
{
	ph_error error;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(channel_send_blocking(fixture->control, PARENT_SPAWNER, (ph_span){0}, &pair[0], 1, &error), 0);
	close(pair[0]);
	return pair[1];
}

static void
begin(struct fixture *fixture, bool rootless)
{
	int pair[2];
	pid_t parent = getpid();

	snprintf(folder, sizeof(folder), "/tmp/test_spawner.XXXXXX");
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chmod(folder, 0755), 0);
	snprintf(mailbox, sizeof(mailbox), "%s/%s", folder, user_name);
	snprintf(dotlock, sizeof(dotlock), "%s/%s.lock", folder, user_name);
	fixture->owner = (struct owner){.rootless = rootless, .uid = geteuid(), .gid = getegid()};
	fixture->pool = ph_pool_new(0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	fixture->pid = fork();
	if (fixture->pid == 0) {
		struct process_setup setup = {.count = 1, .owner = &fixture->owner, .control_fd = pair[1],
			.spawner_fd = -1, .parent = parent};

		close(pair[0]);
		spawner_run(&setup);
	}
	close(pair[1]);
	fixture->control = pair[0];
	fixture->client = connect_client(fixture);
}

static void
end(struct fixture *fixture)
{
	ph_error error;

	assert_int_equal(channel_send_blocking(fixture->control, PARENT_STOP, (ph_span){0}, NULL, 0, &error), 0);
	assert_int_equal(exit_code(fixture->pid), 0);
	close(fixture->control);
	close(fixture->client);
	ph_pool_free(fixture->pool);
	assert_int_equal(access(dotlock, F_OK), -1); /* whatever happened, none is left */
	unlink(mailbox);
	assert_int_equal(rmdir(folder), 0);
}

static struct ph_user_delivery
request(const char *user, const char *queue_id)
{
	struct ph_user_delivery delivery = {.size = sizeof(delivery), .length = 8};

	snprintf(delivery.user, sizeof(delivery.user), "%s", user);
	snprintf(delivery.queue_id, sizeof(delivery.queue_id), "%s", queue_id);
	return delivery;
}

static int
message(const char *text)
{
	char path[] = "/tmp/test_spawner_message.XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd != -1);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	unlink(path);
	return fd;
}

static void
send_request(struct fixture *fixture, uint32_t number, uint32_t transport, uint64_t timeout,
	const struct ph_user_delivery *requests, size_t count, unsigned index)
{
	struct wire_writer writer;
	ph_error error;

	wire_begin(&writer, fixture->pool);
	wire_put_u32(&writer, number);
	wire_put_u32(&writer, transport);
	wire_put_u64(&writer, timeout);
	wire_put_u32(&writer, sizeof(*requests));
	wire_put_u32(&writer, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		wire_put_bytes(&writer, (ph_span){(const char *)&requests[i], sizeof(requests[i])});
		wire_put_u8(&writer, index);
	}
	assert_int_equal(channel_send_blocking(fixture->client, SPAWN_REQUEST, wire_span(&writer), NULL, 0, &error), 0);
}

static void
send_message(struct fixture *fixture, const char *text)
{
	int fd = message(text);
	ph_error error;

	assert_int_equal(channel_send_blocking(fixture->client, SPAWN_DESCRIPTORS, (ph_span){0}, &fd, 1, &error), 0);
	close(fd);
}

static char read_text[200]; /* of a file, with the last answer */

/* Receives an answer: the error of all, or the one result. */
static const char *
answer(struct fixture *fixture, uint32_t *number, struct ph_user_result *result)
{
	struct wire_reader reader;
	ph_error error = {""};
	ph_span payload;
	unsigned type;

	if (channel_receive_blocking(fixture->client, fixture->pool, &type, &payload, NULL, NULL, 20000, &error) != 1)
		fail_msg("%s", error.text);
	assert_int_equal(type, SPAWN_RESULT);
	reader = wire_reader_of(payload);
	*number = wire_get_u32(&reader);
	const char *text = wire_get_string(&reader, fixture->pool);
	if (wire_get_u32(&reader)) {
		ph_span bytes = wire_get_bytes(&reader);

		assert_int_equal(bytes.size, sizeof(*result));
		memcpy(result, bytes.data, sizeof(*result));
		snprintf(read_text, sizeof(read_text), "%s", wire_get_string(&reader, fixture->pool));
	}
	assert_false(reader.failed);
	return text;
}

/* One delivery of one message. */
static struct ph_user_result
deliver(struct fixture *fixture, const char *user, const char *queue_id, uint64_t timeout)
{
	struct ph_user_delivery one = request(user, queue_id);
	struct ph_user_result result = {0};
	uint32_t number;

	send_message(fixture, "message\n");
	send_request(fixture, 5, 0, timeout, &one, 1, 0);
	assert_string_equal(answer(fixture, &number, &result), "");
	assert_int_equal(number, 5);
	return result;
}

static void
assert_mailbox(const char *expected)
{
	char content[200] = "";
	int fd = open(mailbox, O_RDONLY | O_NOFOLLOW);

	assert_true(fd != -1);
	assert_true(read(fd, content, sizeof(content) - 1) >= 0);
	assert_string_equal(content, expected);
	close(fd);
}

/* ---- Tests ------------------------------------------------------------------------------------- */

static void
test_delivery(void **state)
{
	struct fixture fixture;
	struct stat status;

	begin(&fixture, true);
	for (int i = 0; i < 2; i++) {
		struct ph_user_result result = deliver(&fixture, user_name, "A1", 30000);

		assert_int_equal(result.outcome, 0);
		assert_string_equal(result.status, "2.0.0");
	}
	assert_mailbox("message\nmessage\n");
	assert_int_equal(stat(mailbox, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	end(&fixture);
}

static void
test_as_root(void **state)
{
	const struct passwd *entry = getpwnam(user_name);
	struct fixture fixture;
	struct stat status;
	char expected[40];

	if (geteuid() != 0 || !entry)
		skip();
	begin(&fixture, false);
	struct ph_user_result result = deliver(&fixture, user_name, "A1", 30000);
	assert_int_equal(result.outcome, 0);
	snprintf(expected, sizeof(expected), "uid %ld errno 0", (long)entry->pw_uid);
	assert_string_equal(result.text, expected);
	assert_int_equal(stat(mailbox, &status), 0);
	assert_int_equal(status.st_uid, entry->pw_uid);
	assert_mailbox("message\n");
	/* One that was made and not yet given away when its maker died: it is, now. */
	assert_int_equal(truncate(mailbox, 0), 0);
	assert_int_equal(chown(mailbox, 0, 0), 0);
	result = deliver(&fixture, user_name, "A3", 30000);
	assert_int_equal(result.outcome, 0);
	assert_int_equal(stat(mailbox, &status), 0);
	assert_int_equal(status.st_uid, entry->pw_uid);
	assert_mailbox("message\n");
	/* A mailbox that belongs to somebody else is not touched. */
	assert_int_equal(chown(mailbox, 0, 0), 0);
	result = deliver(&fixture, user_name, "A2", 30000);
	assert_int_equal(result.outcome, 1);
	assert_non_null(strstr(result.text, "belongs to user 0"));
	end(&fixture);
}

static void
assert_refused(const struct ph_user_result *result, const char *text)
{
	assert_int_equal(result->outcome, 1);
	assert_string_equal(result->status, "4.2.0");
	if (!strstr(result->text, text))
		fail_msg("\"%s\" is not in \"%s\"", text, result->text);
}

static void
test_unsafe_mailboxes(void **state)
{
	struct fixture fixture;
	struct ph_user_result result;
	char other[160];

	begin(&fixture, true);
	snprintf(other, sizeof(other), "%s/other", folder);
	close(open(other, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(symlink(other, mailbox), 0);
	result = deliver(&fixture, user_name, "A1", 30000);
	assert_refused(&result, "is a symbolic link");
	unlink(mailbox);
	assert_int_equal(symlink("/nowhere/at/all", mailbox), 0);
	result = deliver(&fixture, user_name, "A1", 30000);
	assert_refused(&result, "is a symbolic link");
	unlink(mailbox);
	assert_int_equal(link(other, mailbox), 0);
	result = deliver(&fixture, user_name, "A1", 30000);
	assert_refused(&result, "more than one hard link");
	unlink(mailbox);
	assert_int_equal(mkfifo(mailbox, 0600), 0);
	result = deliver(&fixture, user_name, "A1", 30000);
	assert_refused(&result, "is not a regular file");
	unlink(mailbox);
	assert_int_equal(mkdir(mailbox, 0700), 0);
	result = deliver(&fixture, user_name, "A1", 30000);
	assert_refused(&result, "is a directory");
	rmdir(mailbox);
	unlink(other);
	end(&fixture);
}

static void
test_locks(void **state)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct fixture fixture;
	struct ph_user_result result;
	char text[32];

	begin(&fixture, true);
	int fd = open(mailbox, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_int_equal(fcntl(fd, F_SETLK, &lock), 0);
	result = deliver(&fixture, user_name, "A1", 1000);
	assert_refused(&result, "is locked by another program");
	close(fd);
	/* A .lock of a living process counts, that of a dead one does not. */
	fd = open(dotlock, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	assert_int_equal(write(fd, text, (size_t)length), length);
	result = deliver(&fixture, user_name, "A1", 1000);
	assert_refused(&result, "is locked by another program");
	pid_t dead = fork();
	if (dead == 0)
		_exit(0);
	exit_code(dead);
	length = snprintf(text, sizeof(text), "%ld\n", (long)dead);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, text, (size_t)length, 0), length);
	close(fd);
	result = deliver(&fixture, user_name, "A1", 30000);
	assert_int_equal(result.outcome, 0);
	end(&fixture);
}

static void
test_bad_children(void **state)
{
	struct fixture fixture;
	struct ph_user_result result;

	begin(&fixture, true);
	result = deliver(&fixture, user_name, "CRASH", 30000);
	assert_int_equal(result.outcome, 1);
	assert_string_equal(result.status, "4.3.0");
	assert_non_null(strstr(result.text, "killed by signal 6"));
	assert_int_equal(access(dotlock, F_OK), -1);
	result = deliver(&fixture, user_name, "SLOW", 1000);
	assert_int_equal(result.outcome, 1);
	assert_non_null(strstr(result.text, "too long"));
	result = deliver(&fixture, user_name, "GARBAGE", 30000);
	assert_int_equal(result.outcome, 1);
	assert_non_null(strstr(result.text, "unreadable"));
	result = deliver(&fixture, user_name, "GOOD", 30000);
	assert_int_equal(result.outcome, 0);
	end(&fixture);
}

static void
test_users(void **state)
{
	struct fixture fixture;
	struct ph_user_result result;

	begin(&fixture, true);
	result = deliver(&fixture, "no-such-user-here", "A1", 30000);
	assert_int_equal(result.outcome, 2);
	assert_string_equal(result.status, "5.1.1");
	result = deliver(&fixture, "root", "A1", 30000);
	assert_int_equal(result.outcome, 1);
	assert_string_equal(result.status, "4.2.1");
	assert_non_null(strstr(result.text, "needs an alias"));
	end(&fixture);
}

/* What the local role could send if it were not itself any more. */
static void
test_hostile_requests(void **state)
{
	struct fixture fixture;
	struct ph_user_delivery batch[2];
	struct ph_user_result result;
	uint32_t number;

	begin(&fixture, true);
	for (int i = 0; i < 16; i++) {
		uint32_t transport = 0;
		unsigned index = 0;

		batch[0] = request(user_name, "A1");
		batch[1] = request(user_name, "A1");
		switch (i) {
		case 0:
			memset(batch[1].user, 'x', sizeof(batch[1].user));
			break;
		case 1:
			snprintf(batch[0].user, sizeof(batch[0].user), "../etc");
			break;
		case 2:
			snprintf(batch[1].user, sizeof(batch[1].user), "daemon");
			break;
		case 3:
			batch[0].size = 7;
			break;
		case 4:
			index = 1; /* no such descriptor */
			break;
		case 5:
			transport = 1; /* delivers nothing as a user */
			break;
		case 6:
			transport = 99;
			break;
		case 7:
			batch[1].offset = -1;
			break;
		case 8: /* two kinds */
			batch[1].kind = PH_USER_COMMAND;
			snprintf(batch[1].target, sizeof(batch[1].target), "x");
			break;
		case 9:
			batch[0].kind = batch[1].kind = 77;
			break;
		case 10: /* nobody's mailbox */
			batch[0].user[0] = batch[1].user[0] = '\0';
			break;
		case 11: /* a file without a name */
			batch[0].kind = batch[1].kind = PH_USER_FILE;
			break;
		case 12:
			snprintf(batch[0].target, sizeof(batch[0].target), "/a mailbox has none");
			break;
		case 13:
			batch[0].kind = batch[1].kind = PH_USER_COMMAND;
			memset(batch[0].target, 'x', sizeof(batch[0].target));
			snprintf(batch[1].target, sizeof(batch[1].target), "x");
			break;
		case 14: /* two files */
			batch[0].kind = batch[1].kind = PH_USER_FILE;
			snprintf(batch[0].target, sizeof(batch[0].target), "/a");
			snprintf(batch[1].target, sizeof(batch[1].target), "/b");
			break;
		case 15: /* somebody with a group of their own choice */
			for (int k = 0; k < 2; k++)
				snprintf(batch[k].user, sizeof(batch[k].user), "nobody:disk");
			break;
		}
		send_message(&fixture, "message\n");
		send_request(&fixture, 7, transport, 30000, batch, 2, index);
		assert_string_not_equal(answer(&fixture, &number, &result), "");
		assert_int_equal(number, 7);
	}
	/* Nonsense ends that connection, and no other. */
	assert_int_equal(write(fixture.client, "\xff\xff\xff\xff\xff\xff\xff\xff", 8), 8);
	close(fixture.client);
	fixture.client = connect_client(&fixture);
	assert_int_equal(deliver(&fixture, user_name, "A1", 30000).outcome, 0);
	end(&fixture);
}

/* ---- Files ---------------------------------------------------------------------------------------- */

static struct ph_user_result
read_file(struct fixture *fixture, const char *user, const char *path, uint32_t flags)
{
	struct ph_user_delivery one = request(user, "");
	struct ph_user_result result = {0};
	uint32_t number;

	one.kind = PH_USER_READ;
	one.flags = flags;
	snprintf(one.target, sizeof(one.target), "%s", path);
	send_request(fixture, 9, 0, 30000, &one, 1, 0);
	assert_string_equal(answer(fixture, &number, &result), "");
	return result;
}

static void
write_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd != -1);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void
expect_read(struct fixture *fixture, const char *path, uint32_t flags, int outcome, const char *text)
{
	struct ph_user_result result = read_file(fixture, user_name, path, flags);

	assert_int_equal(result.outcome, outcome);
	if (outcome == PH_READ_TEXT)
		assert_string_equal(read_text, text);
	else if (!strstr(result.text, text))
		fail_msg("\"%s\" is not in \"%s\"", text, result.text);
}

static void
test_reading(void **state)
{
	struct fixture fixture;
	char path[160], link[160];

	begin(&fixture, true);
	snprintf(path, sizeof(path), "%s/list", folder);
	snprintf(link, sizeof(link), "%s/link", folder);
	write_file(path, "joe, |cat\n", 0644);
	expect_read(&fixture, path, 0, PH_READ_TEXT, "joe, |cat\n");
	expect_read(&fixture, path, PH_USER_OWN_FILE, PH_READ_TEXT, "joe, |cat\n");
	assert_int_equal(symlink(path, link), 0);
	expect_read(&fixture, link, 0, PH_READ_TEXT, "joe, |cat\n");
	expect_read(&fixture, link, PH_USER_OWN_FILE, PH_READ_REFUSED, "is a symbolic link");
	write_file(path, "", 0600);
	expect_read(&fixture, path, 0, PH_READ_TEXT, "");
	write_file(path, "x", 0602);
	expect_read(&fixture, path, 0, PH_READ_REFUSED, "is world writable");
	assert_int_equal(truncate(path, PH_SPAWN_TEXT_MAX + 1), 0);
	assert_int_equal(chmod(path, 0600), 0);
	expect_read(&fixture, path, 0, PH_READ_REFUSED, "is too large");
	unlink(path);
	expect_read(&fixture, path, 0, PH_READ_ABSENT, "No such file");
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_read(&fixture, path, 0, PH_READ_REFUSED, "is not a regular file");
	unlink(path);
	unlink(link);
	expect_read(&fixture, folder, 0, PH_READ_REFUSED, "is not a regular file");
	expect_read(&fixture, "list", 0, PH_READ_REFUSED, "expected an absolute path");
	expect_read(&fixture, "~/no-such-file-there", 0, PH_READ_ABSENT, "No such file");
	end(&fixture);
}

/* Root's eyes are not lent to users. */
static void
test_reading_as_root(void **state)
{
	struct fixture fixture;
	char path[160];

	if (geteuid() != 0)
		skip();
	begin(&fixture, false);
	snprintf(path, sizeof(path), "%s/list", folder);
	write_file(path, "secret\n", 0600);
	expect_read(&fixture, path, 0, PH_READ_REFUSED, "Permission denied");
	assert_int_equal(read_file(&fixture, "", path, 0).outcome, PH_READ_REFUSED);
	assert_int_equal(chmod(path, 0644), 0);
	expect_read(&fixture, path, PH_USER_OWN_FILE, PH_READ_TEXT, "secret\n"); /* root's is fine */
	assert_int_equal(chown(path, 12345, 0), 0);
	expect_read(&fixture, path, PH_USER_OWN_FILE, PH_READ_REFUSED, "has bad owner uid 12345");
	expect_read(&fixture, path, 0, PH_READ_TEXT, "secret\n");
	assert_int_equal(read_file(&fixture, "root", path, 0).outcome, PH_READ_LATER);
	unlink(path);
	end(&fixture);
}

/* One letter into a file that a request names. */
static struct ph_user_result
deliver_file(struct fixture *fixture, const char *user, const char *path)
{
	struct ph_user_delivery one = request(user, "A1");
	struct ph_user_result result = {0};
	uint32_t number;

	one.kind = PH_USER_FILE;
	snprintf(one.target, sizeof(one.target), "%s", path);
	send_message(fixture, "message\n");
	send_request(fixture, 6, 0, 2000, &one, 1, 0);
	assert_string_equal(answer(fixture, &number, &result), "");
	return result;
}

static void
test_named_files(void **state)
{
	struct fixture fixture;
	char path[160], lock[160];

	begin(&fixture, true);
	snprintf(path, sizeof(path), "%s/.archive", folder);
	snprintf(lock, sizeof(lock), "%s/.archive.lock", folder);
	assert_int_equal(deliver_file(&fixture, "", path).outcome, 0);
	assert_int_equal(rename(path, mailbox), 0);
	assert_mailbox("message\n");
	assert_int_equal(access(lock, F_OK), -1);
	assert_int_equal(symlink(mailbox, path), 0);
	assert_non_null(strstr(deliver_file(&fixture, "", path).text, "is a symbolic link"));
	unlink(path);
	snprintf(path, sizeof(path), "%s/none/archive", folder);
	assert_non_null(strstr(deliver_file(&fixture, user_name, path).text, "errno 2"));
	assert_int_equal(deliver_file(&fixture, user_name, "relative").outcome, 2);
	end(&fixture);
}

/* What is asked for in the name of a user the module holds against what the user wants, before anything
 * is opened or run. */
static void
test_confirmed_targets(void **state)
{
	struct ph_user_delivery two[2] = {request(user_name, "LIE"), request(user_name, "A1")};
	struct ph_user_result result = {0};
	struct fixture fixture;
	uint32_t number;

	begin(&fixture, true);
	for (unsigned kind = PH_USER_FILE; kind <= PH_USER_COMMAND; kind++) {
		two[0].kind = kind;
		snprintf(two[0].user, sizeof(two[0].user), "%s", user_name);
		snprintf(two[0].target, sizeof(two[0].target), "%s/file", folder);
		send_message(&fixture, "message\n");
		send_request(&fixture, 7, 0, 2000, two, 1, 0);
		assert_string_equal(answer(&fixture, &number, &result), "");
		assert_int_equal(result.outcome, 1);
		assert_string_equal(result.status, "4.3.5");
		assert_string_equal(result.text, "nobody did not ask for it");
		assert_int_equal(access(two[0].target, F_OK), -1);
		/* nobody in particular has nothing to ask for */
		two[0].user[0] = '\0';
		send_message(&fixture, "message\n");
		send_request(&fixture, 8, 0, 2000, two, 1, 0);
		assert_string_equal(answer(&fixture, &number, &result), "");
		assert_int_equal(result.outcome, 0);
		unlink(two[0].target);
	}
	/* a batch has one target, so that one answer is enough */
	two[0] = request(user_name, "A1");
	two[0].kind = two[1].kind = PH_USER_COMMAND;
	snprintf(two[0].target, sizeof(two[0].target), "true");
	snprintf(two[1].target, sizeof(two[1].target), "false");
	send_message(&fixture, "message\n");
	send_request(&fixture, 9, 0, 2000, two, 2, 0);
	assert_non_null(strstr(answer(&fixture, &number, &result), "request 1 is not acceptable"));
	end(&fixture);
}

/* ---- Rights that the transport finds ----------------------------------------------------------- */

static const struct {
	const char *id, *rights;
	int outcome;
	const char *status, *text; /* text NULL: the number of the user */
} shares[] = {
	{"A1", "54321:54322", 0, "2.0.0", NULL},
	{"A2", "54323:54322", 0, "2.0.0", NULL},
	{"A3", "54321:54322", 0, "2.0.0", NULL},
	{"A4", "0:54322", 1, "4.3.5", "root's rights"},
	{"A5", "54321:0", 1, "4.3.5", "root's rights"},
	{"A6", "4294967295:54322", 1, "4.3.5", "root's rights"},
	{"A7", "999:54322", 1, "4.3.5", "below the smallest"},
	{"A8", "nobody", 2, "5.1.1", "asked as"},
	{"SILENT", "", 1, "4.3.0", "is not known"},
	{"WRONG", "54321:54322", 1, "4.3.5", "is not known"},
	{"GARBAGE", "54321:54322", 1, "4.3.0", "unreadable"},
	{"CRASH", "54400:54322", 1, "4.3.0", "the delivery process has failed"},
	{"A9", "54321:54322", 0, "2.0.0", NULL},
};
enum { SHARES = sizeof(shares) / sizeof(shares[0]) };

/* The answer to a batch of so many. */
static void
take_results(struct fixture *fixture, struct ph_user_result *results, size_t count)
{
	struct wire_reader reader;
	ph_error error = {""};
	ph_span payload;
	unsigned type;

	if (channel_receive_blocking(fixture->client, fixture->pool, &type, &payload, NULL, NULL, 20000, &error) != 1)
		fail_msg("%s", error.text);
	reader = wire_reader_of(payload);
	wire_get_u32(&reader);
	assert_string_equal(wire_get_string(&reader, fixture->pool), "");
	assert_int_equal(wire_get_u32(&reader), count);
	for (size_t i = 0; i < count; i++) {
		memcpy(&results[i], wire_get_bytes(&reader).data, sizeof(results[i]));
		wire_get_bytes(&reader);
	}
	assert_false(reader.failed);
}

static struct ph_user_delivery
share(const char *id, const char *rights)
{
	struct ph_user_delivery one = request("", id);

	one.kind = PH_USER_INSTANCE;
	snprintf(one.nexthop, sizeof(one.nexthop), "%s", rights);
	return one;
}

static void
deliver_shares(bool rootless)
{
	struct ph_user_delivery requests[SHARES], one = share("DIE", "54321:54322");
	struct ph_user_result results[SHARES];
	struct fixture fixture;

	begin(&fixture, rootless);
	for (size_t i = 0; i < SHARES; i++)
		requests[i] = share(shares[i].id, shares[i].rights);
	send_message(&fixture, "message\n");
	send_request(&fixture, 5, 2, 30000, requests, SHARES, 0);
	take_results(&fixture, results, SHARES);
	for (size_t i = 0; i < SHARES; i++) {
		char text[40];

		snprintf(text, sizeof(text), "uid %ld errno 0",
			rootless ? (long)geteuid() : atol(shares[i].rights));
		if (results[i].outcome != shares[i].outcome || strcmp(results[i].status, shares[i].status) != 0 ||
			!strstr(results[i].text, shares[i].text ? shares[i].text : text))
			fail_msg("%s: %d %s %s", shares[i].id, results[i].outcome, results[i].status, results[i].text);
		if (!rootless)
			assert_null(strstr(results[i].text, "asked as 0"));
	}
	send_message(&fixture, "message\n");
	send_request(&fixture, 6, 2, 30000, &one, 1, 0);
	take_results(&fixture, results, 1);
	assert_int_equal(results[0].outcome, 1);
	assert_non_null(strstr(results[0].text, "the process that looks users up has failed"));
	end(&fixture);
}

static void
test_shares(void **state)
{
	deliver_shares(true);
	if (geteuid() == 0)
		deliver_shares(false);
}

/* A request that names a user, or a mailbox, does not say whose rights these are. */
static void
test_shares_name_nobody(void **state)
{
	struct ph_user_delivery one = share("A1", "54321:54322");
	struct ph_user_result result;
	struct fixture fixture;
	uint32_t number;

	begin(&fixture, true);
	snprintf(one.user, sizeof(one.user), "%s", user_name);
	send_message(&fixture, "message\n");
	send_request(&fixture, 5, 2, 30000, &one, 1, 0);
	assert_non_null(strstr(answer(&fixture, &number, &result), "is not acceptable"));
	one = request("", "A1");
	one.kind = PH_USER_FILE;
	snprintf(one.target, sizeof(one.target), "/tmp/x");
	send_message(&fixture, "message\n");
	send_request(&fixture, 6, 2, 30000, &one, 1, 0);
	assert_non_null(strstr(answer(&fixture, &number, &result), "is not acceptable"));
	end(&fixture);
}

/* ---- The local role's side, on the loop --------------------------------------------------------- */

enum { TASKS = 5, FILES = 20 };

static unsigned delivered, refused;

static void
deliver_task(void *argument)
{
	static const char *const ids[TASKS] = {"A1", "A2", "CRASH", "A4", "A5"};
	size_t which = (size_t)(uintptr_t)argument, count = which == 1 ? FILES : 1;
	struct ph_user_delivery *requests = calloc(FILES, sizeof(*requests));
	struct ph_user_result *results = calloc(FILES, sizeof(*results));
	int fds[FILES];
	ph_error error = {""};

	for (size_t i = 0; i < FILES; i++) {
		requests[i] = request(which == 4 ? "no-such-user-here" : user_name, ids[which]);
		fds[i] = message("message\n");
	}
	assert_int_equal(ph_spawn_delivery(&transports[0], requests, fds, count, results, ph_in(30000), &error), 0);
	for (size_t i = 0; i < count; i++) {
		delivered += results[i].outcome == 0;
		refused += results[i].outcome != 0;
	}
	for (size_t i = 0; i < FILES; i++)
		close(fds[i]);
	free(requests);
	free(results);
	if (delivered + refused == FILES + TASKS - 1)
		loop_stop();
}

static void
test_client(void **state)
{
	struct fixture fixture;
	struct ph_user_delivery one = request(user_name, "A1");
	struct ph_user_result result;
	ph_error error;
	int fd = 0;

	begin(&fixture, true);
	assert_int_equal(ph_spawn_delivery(&transports[0], &one, &fd, 1, &result, 0, &error), -1);
	assert_int_equal(ph_spawn_delivery(&transports[1], &one, &fd, 1, &result, 0, &error), -1);
	assert_int_equal(loop_open(&error), 0);
	spawn_client_connect(dup(fixture.client));
	for (size_t i = 0; i < TASKS; i++)
		assert_true(ph_task_alive(ph_task_spawn("deliver", deliver_task, (void *)(uintptr_t)i)));
	assert_int_equal(loop_run(), 0);
	assert_int_equal(delivered, FILES + 2);
	assert_int_equal(refused, 2);
	loop_close();
	end(&fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delivery),
		cmocka_unit_test(test_as_root),
		cmocka_unit_test(test_unsafe_mailboxes),
		cmocka_unit_test(test_locks),
		cmocka_unit_test(test_bad_children),
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_hostile_requests),
		cmocka_unit_test(test_reading),
		cmocka_unit_test(test_reading_as_root),
		cmocka_unit_test(test_named_files),
		cmocka_unit_test(test_confirmed_targets),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_shares_name_nobody),
		cmocka_unit_test(test_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
