/*
 * Files of tables: in memory, read again when they have changed.
 *
 * Never mapped: whoever can truncate the file could kill the role with SIGBUS. A change is all or
 * nothing: the new content is made beside the old one, in a pool of its own.
 */
#include <posthouse/table.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <posthouse/log.h>
#include <posthouse/module.h>
#include <posthouse/task.h>

enum {
	LOOK_INTERVAL = 1000,   /* milliseconds between two looks at a file */
	BLIND_INTERVAL = 10000, /* the same when only the parent may look: it opens it for us */
	SETTLE_TIME = 1         /* seconds for which a file in place must be left alone */
};

/* What tells one state of a file from another. */
struct signature {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified, changed;
};

struct ph_table {
	void *self;
	const char *parameter;
	const char *suffix;
	size_t max;
	struct ph_table_ops ops; /* of an older module: what it lacks is NULL */
	char *path;              /* with the suffix; ours */
	ph_pool *pool;           /* of the content in force; NULL: there is none */
	void *content;
	int64_t modified;
	struct signature seen;   /* of the last file that was read, good or broken */
	bool read_once;
	bool gone;               /* the file cannot be had now; why says more */
	bool busy;               /* a task reads it */
	int64_t next_look;
	ph_error why;
};

static struct signature
signature_of(const struct stat *st)
{
	return (struct signature){st->st_dev, st->st_ino, st->st_size, st->st_mtim, st->st_ctim};
}

static bool
same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool
same_file(const struct signature *a, const struct signature *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
		same_time(a->modified, b->modified) && same_time(a->changed, b->changed);
}

/* Somebody may be in the middle of writing it: half a table must not be taken for the whole. */
static bool
is_unsettled(const ph_table *table, const struct stat *st)
{
	int64_t age = ph_wall_clock() / 1000000 - (int64_t)st->st_mtim.tv_sec;

	return table->content != NULL && table->seen.inode == st->st_ino && age >= 0 &&
		age <= SETTLE_TIME;
}

/* The bytes of an open file. */
static int
read_all(int fd, const char *path, const struct stat *st, size_t max, ph_pool *pool, ph_span *text,
	ph_error *error)
{
	size_t room, size = 0;
	char *data;

	if (!S_ISREG(st->st_mode))
		return ph_error_set(error, "%s: not a regular file", path);
	if (st->st_size < 0 || (uintmax_t)st->st_size > max)
		return ph_error_set(error,
			"%s: larger than %zu bytes, the most for a table of its type", path, max);
	room = (size_t)st->st_size;
	data = ph_pool_alloc(pool, room + 1);
	if (data == NULL)
		return ph_error_set(error, "%s: no memory for %zu bytes", path, room);
	while (size < room) {
		ssize_t n = pread(fd, data + size, room - size, (off_t)size);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return ph_error_set(error, "%s: %s", path, strerror(errno));
		if (n == 0)
			break;
		size += (size_t)n;
	}
	*text = (ph_span){data, size};
	return 0;
}

/* Opens, reads and loads the file into a pool of its own; on success that is in force. */
static int
load_from(ph_table *table, int fd, const struct stat *st, ph_error *error)
{
	ph_pool *pool = ph_pool_new(0);
	void *content = NULL;
	ph_span text;

	if (pool == NULL)
		return ph_error_set(error, "%s: no memory", table->path);
	if (read_all(fd, table->path, st, table->max, pool, &text, error) == -1 ||
		table->ops.load(table->self, pool, table->path, text, &content, error) == -1) {
		ph_pool_free(pool);
		return -1;
	}
	if (table->content != NULL && table->ops.unload != NULL)
		table->ops.unload(table->self, table->content);
	ph_pool_free(table->pool);
	table->pool = pool;
	table->content = content;
	table->modified = st->st_mtim.tv_sec;
	return 0;
}

/* The file is not there, or may not be opened: until it is, lookups fail. */
static void
set_gone(ph_table *table, const ph_error *error)
{
	if (!table->gone && table->read_once)
		ph_log(PH_LOG_WARNING, "%s; lookups fail until it can be read", error->text);
	table->gone = true;
	table->why = *error;
}

static void
read_again(ph_table *table, bool blind)
{
	ph_error error = {""};
	struct stat st;
	struct signature now;
	int fd = ph_file_open(table->self, table->parameter, table->suffix, &error);

	if (fd == -1) {
		set_gone(table, &error);
		return;
	}
	if (fstat(fd, &st) == -1) {
		ph_error_set(&error, "%s: %s", table->path, strerror(errno));
		set_gone(table, &error);
		close(fd);
		return;
	}
	now = signature_of(&st);
	table->gone = false;
	if (!table->read_once || !same_file(&now, &table->seen)) {
		if (!blind || !is_unsettled(table, &st)) {
			table->seen = now;
			if (load_from(table, fd, &st, &error) == -1) {
				table->why = error;
				if (table->read_once)
					ph_log(PH_LOG_ERROR, "%s%s", error.text,
						table->content != NULL ? "; the old table stays in force" : "");
			}
			table->read_once = true;
		}
	}
	close(fd);
}

/* Has the file changed, as far as we can see? Sets gone. */
static void
look(ph_table *table)
{
	struct signature now;
	struct stat st;
	bool blind = false;

	table->next_look = ph_now() + LOOK_INTERVAL;
	if (stat(table->path, &st) == -1) {
		ph_error error = {""};

		if (errno != EACCES && table->read_once) {
			ph_error_set(&error, "%s: %s", table->path, strerror(errno));
			set_gone(table, &error);
			return;
		}
		blind = true;
	} else if (table->read_once) {
		now = signature_of(&st);
		if (same_file(&now, &table->seen)) {
			table->gone = false;
			return;
		}
		if (is_unsettled(table, &st))
			return;
	}
	if (blind && table->read_once)
		table->next_look = ph_now() + BLIND_INTERVAL;
	read_again(table, blind);
}

ph_table *
ph_table_new(void *self, const char *parameter, const char *path, const char *suffix, size_t max,
	const struct ph_table_ops *ops)
{
	ph_table *table = calloc(1, sizeof(*table));

	if (table == NULL)
		return NULL;
	*table = (ph_table){.self = self, .parameter = parameter, .suffix = suffix, .max = max};
	memcpy(&table->ops, ops, ops->size < sizeof(table->ops) ? ops->size : sizeof(table->ops));
	if (asprintf(&table->path, "%s%s", path, suffix != NULL ? suffix : "") == -1) {
		free(table);
		return NULL;
	}
	return table;
}

void *
ph_table_content(ph_table *table, ph_error *error)
{
	/* While one task waits for the parent the others go on with what there is. */
	if (!table->busy && ph_now() >= table->next_look) {
		table->busy = true;
		look(table);
		table->busy = false;
	}
	if (table->content != NULL && !table->gone)
		return table->content;
	if (table->why.text[0] == '\0')
		ph_error_set(error, "%s: is being read", table->path);
	else
		ph_error_set(error, "%s", table->why.text);
	return NULL;
}

int64_t
ph_table_modified(const ph_table *table)
{
	return table->modified;
}

void
ph_table_free(ph_table *table)
{
	if (table == NULL)
		return;
	if (table->content != NULL && table->ops.unload != NULL)
		table->ops.unload(table->self, table->content);
	ph_pool_free(table->pool);
	free(table->path);
	free(table);
}

int
ph_table_read(void *self, const char *parameter, const char *path, size_t max, ph_pool *pool,
	ph_span *text, unsigned *mode, ph_error *error)
{
	struct stat st;
	int result = -1, fd = ph_file_open(self, parameter, NULL, error);

	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == -1)
		ph_error_set(error, "%s: %s", path, strerror(errno));
	else
		result = read_all(fd, path, &st, max, pool, text, error);
	if (result == 0 && mode != NULL)
		*mode = (unsigned)st.st_mode & 07777;
	close(fd);
	return result;
}
