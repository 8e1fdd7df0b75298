#include "config/sources.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/grow.h"

#define FILE_MAX (16 << 20)
#define MAGIC "posthouse configuration 1\n"

void
sources_add(struct sources *sources, const char *path, ph_span text)
{
	sources->items = grow(sources->pool, sources->items, sources->count, &sources->room,
		sizeof(*sources->items));
	sources->items[sources->count++] =
		(struct source){memory_or_die(ph_pool_strdup(sources->pool, path)), text};
}

/* All bytes of a descriptor. A file that grows meanwhile is read as far as it was. */
static int
read_all(ph_pool *pool, int fd, ph_span *text, ph_error *error)
{
	struct stat status;
	size_t size = 0;
	char *data;

	if (fstat(fd, &status) == -1)
		return ph_error_set(error, "%s", strerror(errno));
	if (!S_ISREG(status.st_mode))
		return ph_error_set(error, "is not a regular file");
	if (status.st_size > FILE_MAX)
		return ph_error_set(error, "is larger than %d bytes", FILE_MAX);
	data = memory_or_die(ph_pool_alloc(pool, (size_t)status.st_size + 1));
	while (size < (size_t)status.st_size) {
		ssize_t got = pread(fd, data + size, (size_t)status.st_size - size, (off_t)size);

		if (got == -1 && errno == EINTR)
			continue;
		if (got == -1)
			return ph_error_set(error, "%s", strerror(errno));
		if (got == 0)
			break;
		size += (size_t)got;
	}
	*text = (ph_span){data, size};
	return 0;
}

/* One "SIZE PATH\nTEXT\n" of a snapshot. */
static int
take_source(struct sources *sources, ph_span *rest)
{
	const char *end = memchr(rest->data, '\n', rest->size);
	const char *space = end ? memchr(rest->data, ' ', (size_t)(end - rest->data)) : NULL;
	size_t head;
	uint64_t size;
	char *path;

	if (!space || ph_parse_uint((ph_span){rest->data, (size_t)(space - rest->data)}, FILE_MAX,
		&size) != 0)
		return -1;
	head = (size_t)(end - rest->data) + 1;
	if (size + 1 > rest->size - head)
		return -1;
	path = memory_or_die(ph_pool_copy(sources->pool,
		(ph_span){space + 1, (size_t)(end - space) - 1}));
	sources_add(sources, path, (ph_span){rest->data + head, size});
	rest->data += head + size + 1;
	rest->size -= head + size + 1;
	return 0;
}

int
sources_open_snapshot(struct sources *sources, int fd, ph_error *error)
{
	ph_span text;
	ph_error why;

	if (read_all(sources->pool, fd, &text, &why) != 0)
		return ph_error_set(error, "the snapshot of the configuration: %s", why.text);
	if (text.size < strlen(MAGIC) || memcmp(text.data, MAGIC, strlen(MAGIC)) != 0)
		return ph_error_set(error, "the snapshot of the configuration is none");
	text.data += strlen(MAGIC);
	text.size -= strlen(MAGIC);
	while (text.size)
		if (take_source(sources, &text) != 0)
			return ph_error_set(error, "the snapshot of the configuration is damaged");
	sources->snapshot = true;
	return 0;
}

int
sources_read(struct sources *sources, const char *path, ph_span *text, ph_error *error)
{
	ph_error why;
	int fd, result;

	for (size_t i = 0; i < sources->count; i++) {
		if (strcmp(sources->items[i].path, path) == 0) {
			*text = sources->items[i].text;
			return 0;
		}
	}
	if (sources->snapshot)
		return ph_error_set(error, "%s: %s", path, strerror(ENOENT));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd == -1)
		return ph_error_set(error, "%s: %s", path, strerror(errno));
	result = read_all(sources->pool, fd, text, &why);
	close(fd);
	if (result != 0)
		return ph_error_set(error, "%s: %s", path, why.text);
	sources_add(sources, path, *text);
	return 0;
}

/* "NAME.conf", not hidden. */
static bool
is_configuration(const char *name)
{
	size_t size = strlen(name);

	return name[0] != '.' && size > 5 && strcmp(name + size - 5, ".conf") == 0 &&
		!strchr(name, '\n');
}

static int
compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names in a snapshot that lie in the directory itself. */
static void
list_snapshot(struct sources *sources, const char *directory, const char ***paths, size_t *count)
{
	size_t size = strlen(directory), room = 0;

	for (size_t i = 0; i < sources->count; i++) {
		const char *path = sources->items[i].path;

		if (strncmp(path, directory, size) != 0 || path[size] != '/' ||
			strchr(path + size + 1, '/') || !is_configuration(path + size + 1))
			continue;
		*paths = grow(sources->pool, *paths, *count, &room, sizeof(**paths));
		(*paths)[(*count)++] = path;
	}
}

static int
list_disk(struct sources *sources, const char *directory, const char ***paths, size_t *count,
	ph_error *error)
{
	DIR *stream = opendir(directory);
	struct dirent *entry;
	size_t room = 0;

	if (!stream)
		return ph_error_set(error, "%s: %s", directory, strerror(errno));
	while ((entry = readdir(stream))) {
		if (!is_configuration(entry->d_name))
			continue;
		*paths = grow(sources->pool, *paths, *count, &room, sizeof(**paths));
		(*paths)[(*count)++] = memory_or_die(
			ph_pool_printf(sources->pool, "%s/%s", directory, entry->d_name));
	}
	closedir(stream);
	return 0;
}

int
sources_list(struct sources *sources, const char *directory, ph_strings *paths, ph_error *error)
{
	const char **items = NULL;
	size_t count = 0;

	if (sources->snapshot)
		list_snapshot(sources, directory, &items, &count);
	else if (list_disk(sources, directory, &items, &count, error) != 0)
		return -1;
	if (count)
		qsort(items, count, sizeof(*items), compare);
	*paths = (ph_strings){count, items};
	return 0;
}

static int
write_all(int fd, const char *data, size_t size, ph_error *error)
{
	while (size) {
		ssize_t put = write(fd, data, size);

		if (put == -1 && errno == EINTR)
			continue;
		if (put == -1)
			return ph_error_set(error, "the snapshot of the configuration: %s",
				strerror(errno));
		data += put;
		size -= (size_t)put;
	}
	return 0;
}

int
sources_write_snapshot(const struct sources *sources, int fd, ph_error *error)
{
	char head[4200];

	if (write_all(fd, MAGIC, strlen(MAGIC), error) != 0)
		return -1;
	for (size_t i = 0; i < sources->count; i++) {
		const struct source *source = &sources->items[i];
		int size = snprintf(head, sizeof(head), "%zu %s\n", source->text.size,
			source->path);

		if (size < 0 || (size_t)size >= sizeof(head))
			return ph_error_set(error, "%.100s…: the path is too long", source->path);
		if (write_all(fd, head, (size_t)size, error) != 0 ||
			write_all(fd, source->text.data, source->text.size, error) != 0 ||
			write_all(fd, "\n", 1, error) != 0)
			return -1;
	}
	return 0;
}
