#include "queue_conformance.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scene.h"

static const struct queue_subject *subject;
static char *folder;

/* ---- Tools -------------------------------------------------------------------------------------- */

char *
queue_folder_make(void)
{
	const char *base = getenv("TMPDIR");
	char path[256];

	snprintf(path, sizeof path, "%s/posthouse-queue-XXXXXX", base != NULL ? base : "/tmp");
	assert_non_null(mkdtemp(path));
	return strdup(path);
}

static void
remove_tree(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	char name[512];

	while (directory != NULL && (entry = readdir(directory)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
		if (unlink(name) == -1)
			remove_tree(name);
	}
	if (directory != NULL)
		closedir(directory);
	rmdir(path);
}

void
queue_folder_remove(char *path)
{
	remove_tree(path);
	free(path);
}

const struct ph_queue_ops *
queue_ops(const struct queue_subject *of)
{
	return of->module->operations;
}

void *
queue_open(const struct queue_subject *of, const char *path)
{
	const struct ph_life *life = of->module->life;
	void *self = calloc(1, of->module->instance_size);
	ph_error error;

	check(self != NULL);
	of->prepare(self, path);
	check(life->check == NULL || (life->check)(self, &error) == 0);
	check(life->open == NULL || life->open(self, &error) == 0);
	check(life->start == NULL || life->start(self, &error) == 0);
	return self;
}

void
queue_close(const struct queue_subject *of, void *self)
{
	const struct ph_life *life = of->module->life;

	if (life->stop != NULL)
		life->stop(self);
	if (life->close != NULL)
		life->close(self);
	free(self);
}

int
queue_put(const struct queue_subject *of, void *self, const char *id, const char *envelope,
	ph_span head, ph_span body, uint32_t flags, uint64_t *handle, ph_error *error)
{
	const struct ph_queue_ops *ops = queue_ops(of);
	ph_queue_writer *writer;

	if (ops->begin(self, (int64_t)body.size, &writer, error) == -1)
		return -1;
	while (body.size > 0) {
		ph_span some = {body.data, body.size < 10000 ? body.size : 10000};

		if (ops->append(writer, some, error) == -1) {
			ops->abort(writer);
			return -1;
		}
		body.data += some.size;
		body.size -= some.size;
	}
	return ops->commit(writer, id, ph_span_of(envelope), head, flags, handle, error);
}

bool
queue_has(const struct queue_subject *of, void *self, uint64_t handle, ph_span head, ph_span body)
{
	struct ph_queue_content content = {.size = sizeof content};
	ph_pool *pool = ph_pool_new(0);
	char *bytes = malloc(head.size + body.size + 1);
	ph_error error;
	bool same = false;

	if (queue_ops(of)->read(self, handle, pool, &content, &error) == PH_FOUND) {
		same = content.length == (int64_t)(head.size + body.size) &&
			pread(content.fd, bytes, (size_t)content.length, content.offset) ==
				content.length &&
			(head.size == 0 || memcmp(bytes, head.data, head.size) == 0) &&
			(body.size == 0 || memcmp(bytes + head.size, body.data, body.size) == 0);
		close(content.fd);
	}
	free(bytes);
	ph_pool_free(pool);
	return same;
}

void
queue_pass_hint(const struct queue_subject *of, void *writer, void *owner)
{
	char hint[512];
	size_t size = queue_ops(of)->hint(writer, hint, sizeof hint);

	queue_ops(of)->hinted(owner, (ph_span){hint, size});
}

int
queue_claim_all(const struct queue_subject *of, void *self, struct ph_queue_item *items, int max)
{
	int count = queue_ops(of)->claim(self, items, (size_t)max, 60000, NULL);

	if (count == 0) {
		queue_ops(of)->tend(self);
		count = queue_ops(of)->claim(self, items, (size_t)max, 60000, NULL);
	}
	return count;
}

static ph_span
span(const char *text)
{
	return ph_span_of(text);
}

static const struct ph_queue_ops *
ops(void)
{
	return queue_ops(subject);
}

static void
put(void *self, const char *id, const char *body)
{
	uint64_t handle;
	ph_error error;

	check(queue_put(subject, self, id, id, span("Head: x\r\n"), span(body), 0, &handle,
		      &error) == 0);
	check(queue_has(subject, self, handle, span("Head: x\r\n"), span(body)));
}

static bool
span_is(ph_span bytes, const char *text)
{
	return ph_span_equal(bytes, ph_span_of(text));
}

/* ---- Scenes ------------------------------------------------------------------------------------- */

static void
scene_round_trip(void)
{
	void *self = queue_open(subject, folder);
	struct ph_queue_item item[4];
	int64_t before = ph_wall_clock();
	uint64_t handle;
	ph_error error;

	check(queue_put(subject, self, "A1", "envelope", span("Received: by x\r\n"),
		      span("\r\nbody\r\n"), PH_CONTENT_8BIT | PH_CONTENT_HOLD, &handle,
		      &error) == 0);
	check(ops()->own(self, &error) == 0);
	check(ops()->claim(self, item, 4, 60000, &error) == 1);
	check(strcmp(item[0].id, "A1") == 0 && item[0].handle == handle);
	check(span_is(item[0].envelope, "envelope") && item[0].note_count == 0);
	check(item[0].flags == (PH_CONTENT_8BIT | PH_CONTENT_HOLD));
	check(item[0].content_size == 24 && item[0].arrival >= before - 1000000);
	check(queue_has(subject, self, handle, span("Received: by x\r\n"), span("\r\nbody\r\n")));
	check(ops()->note(self, handle, item[0].token, span("first"), &error) == 0);
	check(ops()->note(self, handle, item[0].token, span(""), &error) == 0);
	check(ops()->sync(self, &error) == 0);
	check(ops()->note(self, handle, item[0].token, span("third"), &error) == 0);
	check(ops()->claim(self, item, 4, 60000, &error) == 0);
	check(ops()->disown(self, &error) == 0);
	queue_close(subject, self);

	self = queue_open(subject, folder);
	check(ops()->own(self, &error) == 0);
	check(ops()->claim(self, item, 4, 60000, &error) == 1);
	check(item[0].handle == handle && item[0].note_count == 3);
	check(span_is(item[0].notes[0], "first") && span_is(item[0].notes[1], "") &&
		span_is(item[0].notes[2], "third"));
	check(item[0].flags == (PH_CONTENT_8BIT | PH_CONTENT_HOLD));
	check(ops()->remove(self, handle, item[0].token, &error) == 0);
	check(ops()->sync(self, &error) == 0);
	check(ops()->disown(self, &error) == 0);
	queue_close(subject, self);

	self = queue_open(subject, folder);
	check(ops()->own(self, &error) == 0);
	check(queue_claim_all(subject, self, item, 4) == 0);
	check(ops()->disown(self, &error) == 0);
	queue_close(subject, self);
}

/* After own(): the oldest first, in batches. */
static void
scene_order(void)
{
	void *self = queue_open(subject, folder);
	struct ph_queue_item items[3];
	char id[16];
	int seen = 0, count;
	ph_error error;

	for (int i = 0; i < 10; i++) {
		snprintf(id, sizeof id, "A%d", i);
		put(self, id, "x\r\n");
		ph_sleep(ph_in(1));
	}
	queue_close(subject, self);
	self = queue_open(subject, folder);
	check(ops()->own(self, &error) == 0);
	while ((count = ops()->claim(self, items, 3, 60000, &error)) > 0) {
		check(count <= 3);
		for (int i = 0; i < count; i++, seen++) {
			snprintf(id, sizeof id, "A%d", seen);
			check(strcmp(items[i].id, id) == 0 && span_is(items[i].envelope, id));
		}
	}
	check(seen == 10);
	check(ops()->disown(self, &error) == 0);
	queue_close(subject, self);
}

static void
scene_abort(void)
{
	void *self = queue_open(subject, folder);
	struct ph_queue_item items[4];
	ph_queue_writer *writer;
	char *large = calloc(1, 1 << 20);
	ph_error error;

	check(ops()->own(self, &error) == 0);
	check(ops()->begin(self, 0, &writer, &error) == 0);
	ops()->abort(writer);
	check(ops()->begin(self, 0, &writer, &error) == 0);
	check(ops()->append(writer, span("bytes"), &error) == 0);
	ops()->abort(writer);
	check(ops()->begin(self, 1 << 20, &writer, &error) == 0);
	check(ops()->append(writer, (ph_span){large, 1 << 20}, &error) == 0);
	ops()->abort(writer);
	put(self, "KEEP", "x\r\n");
	check(queue_claim_all(subject, self, items, 4) == 1);
	check(strcmp(items[0].id, "KEEP") == 0);
	check(ops()->disown(self, &error) == 0);
	queue_close(subject, self);
	free(large);
}

/* Another process writes, here another instance: by hint, and without one when it is gone. */
static void
scene_hints(void)
{
	void *owner = queue_open(subject, folder), *writer = queue_open(subject, folder);
	struct ph_queue_item items[8];
	char hint[512];
	ph_error error;

	check(ops()->own(owner, &error) == 0);
	check(ops()->hint(writer, hint, sizeof hint) == 0);
	put(writer, "B1", "x\r\n");
	check(ops()->hint(writer, hint, sizeof hint) > 0);
	queue_pass_hint(subject, writer, owner);
	queue_pass_hint(subject, writer, owner);
	check(ops()->claim(owner, items, 8, 60000, &error) == 1);
	check(strcmp(items[0].id, "B1") == 0);
	queue_pass_hint(subject, writer, owner);
	check(ops()->claim(owner, items, 8, 60000, &error) == 0);
	put(writer, "B2", "x\r\n");
	put(writer, "B3", "x\r\n");
	queue_pass_hint(subject, writer, owner);
	check(ops()->claim(owner, items, 8, 60000, &error) == 2);
	/* Nonsense does no harm. */
	ops()->hinted(owner, span("nonsense, and of no size that any hint has"));
	put(writer, "B4", "x\r\n");
	queue_close(subject, writer);
	check(queue_claim_all(subject, owner, items, 8) == 1);
	check(strcmp(items[0].id, "B4") == 0);
	check(ops()->disown(owner, &error) == 0);
	queue_close(subject, owner);
}

static void
scene_big(void)
{
	void *self = queue_open(subject, folder);
	size_t size = 3 << 20;
	char *body = malloc(size);
	struct ph_queue_item items[2];
	struct ph_queue_content content = {.size = sizeof content};
	ph_pool *pool = ph_pool_new(0);
	uint64_t handle;
	char byte = 0;
	ph_error error;

	for (size_t i = 0; i < size; i++)
		body[i] = (char)(i * 7 + i / 1000);
	check(queue_put(subject, self, "BIG", "e", span("Head: y\r\n"), (ph_span){body, size}, 0,
		      &handle, &error) == 0);
	check(queue_has(subject, self, handle, span("Head: y\r\n"), (ph_span){body, size}));
	queue_close(subject, self);
	self = queue_open(subject, folder);
	check(ops()->own(self, &error) == 0);
	check(ops()->claim(self, items, 2, 60000, &error) == 1);
	check(items[0].content_size == (int64_t)size + 9);
	check(queue_has(subject, self, handle, span("Head: y\r\n"), (ph_span){body, size}));
	/* What is being read stays readable when the message is removed meanwhile. */
	check(ops()->read(self, handle, pool, &content, &error) == PH_FOUND);
	check(strcmp(content.id, "BIG") == 0 && span_is(content.envelope, "e"));
	check(ops()->remove(self, handle, items[0].token, &error) == 0);
	check(ops()->sync(self, &error) == 0);
	ops()->tend(self);
	check(pread(content.fd, &byte, 1, content.offset + content.length - 1) == 1);
	check(byte == body[size - 1]);
	close(content.fd);
	check(ops()->disown(self, &error) == 0);
	queue_close(subject, self);
	ph_pool_free(pool);
	free(body);
}

static void
scene_odd(void)
{
	void *self = queue_open(subject, folder);
	struct ph_queue_item items[4];
	struct ph_queue_content content = {.size = sizeof content};
	ph_pool *pool = ph_pool_new(0);
	uint64_t empty, binary, nothing[] = {0, 1, UINT64_C(0x100000000), UINT64_MAX};
	ph_error error;

	check(ops()->own(self, &error) == 0);
	check(queue_put(subject, self, "EMPTY", "", span(""), span(""), 0, &empty, &error) == 0);
	check(queue_put(subject, self, "BIN", "e\1", (ph_span){"\0\1", 2}, (ph_span){"\377\0", 2}, 0,
		      &binary, &error) == 0);
	check(queue_has(subject, self, empty, span(""), span("")));
	check(queue_has(subject, self, binary, (ph_span){"\0\1", 2}, (ph_span){"\377\0", 2}));
	check(ops()->claim(self, items, 4, 60000, &error) == 2);
	check(items[0].envelope.size == 0 && items[0].content_size == 0);
	for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++)
		if (nothing[i] != empty && nothing[i] != binary)
			check(ops()->read(self, nothing[i], pool, &content, &error) ==
				PH_NOT_FOUND);
	if (ops()->renew != NULL)
		check(ops()->renew(self, binary, &items[1].token, 60000, &error) == 0);
	check(ops()->free_space(self) > 0);
	check(ops()->disown(self, &error) == 0);
	queue_close(subject, self);
	ph_pool_free(pool);
}

struct waiting {
	void *self;
	int result;
	bool done;
};

static void
waiting_owner(void *argument)
{
	struct waiting *waiting = argument;
	ph_error error;

	waiting->result = ops()->own(waiting->self, &error);
	waiting->done = true;
}

static void
scene_one_owner(void)
{
	void *first = queue_open(subject, folder);
	struct waiting waiting = {.self = queue_open(subject, folder)};
	struct ph_queue_item items[2];
	ph_task task;
	ph_error error;

	check(ops()->own(first, &error) == 0);
	put(first, "C1", "x\r\n");
	task = ph_task_spawn("second owner", waiting_owner, &waiting);
	check(ph_task_join(task, ph_in(150)) == PH_WAIT_TIMEOUT && !waiting.done);
	check(ops()->claim(first, items, 2, 60000, &error) == 1);
	check(ops()->note(first, items[0].handle, items[0].token, span("n"), &error) == 0);
	check(ops()->disown(first, &error) == 0);
	check(ph_task_join(task, ph_in(10000)) == PH_WAIT_OK && waiting.result == 0);
	check(queue_claim_all(subject, waiting.self, items, 2) == 1 && items[0].note_count == 1);
	/* An owner that is cancelled while it waits gives up. */
	queue_close(subject, first);
	first = waiting.self;
	waiting = (struct waiting){.self = queue_open(subject, folder)};
	task = ph_task_spawn("third owner", waiting_owner, &waiting);
	check(ph_task_join(task, ph_in(20)) == PH_WAIT_TIMEOUT);
	ph_task_cancel(task);
	check(ph_task_join(task, ph_in(10000)) == PH_WAIT_OK && waiting.result == -1);
	check(ops()->disown(first, &error) == 0);
	queue_close(subject, first);
	queue_close(subject, waiting.self);
}

enum {
	COMMITTERS = 40,
	EACH = 25
};

struct committer {
	void *self;
	int number;
	int done;
};

static void
committer_run(void *argument)
{
	struct committer *committer = argument;
	char id[24], body[200];
	ph_error error;

	for (int i = 0; i < EACH; i++) {
		snprintf(id, sizeof id, "D%03d%03d", committer->number, i);
		snprintf(body, sizeof body, "body of %s\r\n", id);
		check(queue_put(subject, committer->self, id, id, span("H: 1\r\n"), span(body), 0,
			      NULL, &error) == 0);
		committer->done++;
	}
}

/* Everything arrives, once. */
static void
scene_many(void)
{
	void *owner = queue_open(subject, folder);
	void *writers[2] = {queue_open(subject, folder), queue_open(subject, folder)};
	static struct committer committers[COMMITTERS];
	static char seen[COMMITTERS][EACH];
	struct ph_queue_item *items = calloc(64, sizeof *items);
	ph_task tasks[COMMITTERS];
	int total = 0, turns = 0;
	ph_error error;

	memset(seen, 0, sizeof seen);
	check(ops()->own(owner, &error) == 0);
	for (int i = 0; i < COMMITTERS; i++) {
		committers[i] = (struct committer){.self = writers[i % 2], .number = i};
		tasks[i] = ph_task_spawn("committer", committer_run, committers + i);
	}
	while (total < COMMITTERS * EACH && turns++ < 10000) {
		int count;

		queue_pass_hint(subject, writers[0], owner);
		queue_pass_hint(subject, writers[1], owner);
		count = ops()->claim(owner, items, 64, 60000, &error);
		check(count >= 0);
		for (int i = 0; i < count; i++) {
			int number, n;
			char body[200];

			check(sscanf(items[i].id, "D%3d%3d", &number, &n) == 2);
			check(seen[number][n]++ == 0);
			snprintf(body, sizeof body, "body of %s\r\n", items[i].id);
			check(queue_has(subject, owner, items[i].handle, span("H: 1\r\n"),
				span(body)));
			check(ops()->remove(owner, items[i].handle, items[i].token, &error) == 0);
			total++;
		}
		if (count == 0)
			ph_sleep(ph_in(2));
	}
	check(total == COMMITTERS * EACH);
	for (int i = 0; i < COMMITTERS; i++)
		ph_task_join(tasks[i], PH_NEVER);
	check(ops()->sync(owner, &error) == 0);
	check(ops()->claim(owner, items, 64, 60000, &error) == 0);
	check(ops()->disown(owner, &error) == 0);
	queue_close(subject, writers[0]);
	queue_close(subject, writers[1]);
	queue_close(subject, owner);
	free(items);
}

/* A commit cannot be cancelled: it says what became of the message. */
static void
scene_cancel(void)
{
	void *self = queue_open(subject, folder);
	static struct committer committers[8];
	struct ph_queue_item *items = calloc(256, sizeof *items);
	ph_task tasks[8];
	int done = 0, claimed = 0, count;
	ph_error error;

	check(ops()->own(self, &error) == 0);
	for (int i = 0; i < 8; i++) {
		committers[i] = (struct committer){.self = self, .number = i};
		tasks[i] = ph_task_spawn("committer", committer_run, committers + i);
	}
	ph_sleep(ph_in(3));
	for (int i = 0; i < 8; i++)
		ph_task_cancel(tasks[i]);
	for (int i = 0; i < 8; i++) {
		ph_task_join(tasks[i], PH_NEVER);
		done += committers[i].done;
	}
	while ((count = ops()->claim(self, items, 256, 60000, &error)) > 0)
		claimed += count;
	check(done == claimed);
	check(ops()->disown(self, &error) == 0);
	queue_close(subject, self);
	free(items);
}

/* ---- All ---------------------------------------------------------------------------------------- */

static int
setup(void **state)
{
	folder = queue_folder_make();
	return 0;
}

static int
teardown(void **state)
{
	queue_folder_remove(folder);
	return 0;
}

#define SCENE(name) \
	static void test_##name(void **state) \
	{ \
		scene_run(scene_##name); \
	}

SCENE(round_trip)
SCENE(order)
SCENE(abort)
SCENE(hints)
SCENE(big)
SCENE(odd)
SCENE(one_owner)
SCENE(many)
SCENE(cancel)

int
queue_conformance(const struct queue_subject *of)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_abort, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hints, setup, teardown),
		cmocka_unit_test_setup_teardown(test_big, setup, teardown),
		cmocka_unit_test_setup_teardown(test_odd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_owner, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
	};

	subject = of;
	return cmocka_run_group_tests_name(of->module->name, tests, NULL, NULL);
}
