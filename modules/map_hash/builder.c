/*
 * Temporary file beside the old one, entries, checksum, fsync, rename, fsync of the folder.
 */
#include "builder.h"
#include "reader.h"

#include <cdb.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <posthouse/log.h>

struct builder {
	const char *path;
	struct cdb_make make;
	char *key;      /* folded, with room */
	size_t room;
};

static int
fold_key(struct builder *b, ph_span key)
{
	if (key.size > b->room) {
		char *more = realloc(b->key, key.size * 2);

		if (more == NULL)
			return -1;
		b->key = more;
		b->room = key.size * 2;
	}
	for (size_t i = 0; i < key.size; i++) {
		char c = key.data[i];

		b->key[i] = c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
	}
	return 0;
}

static int
add_entry(void *context, int line, ph_span key, ph_span value, ph_error *error)
{
	struct builder *b = context;
	int there;

	if (fold_key(b, key) == -1)
		return ph_error_set(error, "%s:%d: no memory", b->path, line);
	there = cdb_make_put(&b->make, b->key, (unsigned)key.size, value.data, (unsigned)value.size,
		CDB_PUT_INSERT);
	if (there == -1)
		return ph_error_set(error, "%s.cdb: %s", b->path, strerror(errno));
	if (there > 0)
		ph_log(PH_LOG_WARNING, "%s:%d: \"%.*s\" is there already; the first one stays",
			b->path, line, (int)key.size, b->key);
	return 0;
}

/* Appends the checksum of what is in the file. */
static int
append_trailer(int fd)
{
	unsigned char buffer[16384], trailer[TRAILER_SIZE];
	uLong crc = 0;
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, buffer, sizeof(buffer), at)) > 0) {
		crc = crc32_z(crc, buffer, (size_t)n);
		at += n;
	}
	if (n == -1)
		return -1;
	memcpy(trailer, TRAILER_MAGIC, TRAILER_MAGIC_SIZE);
	cdb_pack((unsigned)crc, trailer + TRAILER_MAGIC_SIZE);
	return pwrite(fd, trailer, sizeof(trailer), at) == (ssize_t)sizeof(trailer) ? 0 : -1;
}

static int
fill(struct builder *b, int fd, ph_span text, enum ph_table_style style, unsigned mode,
	ph_error *error)
{
	int result;

	if (cdb_make_start(&b->make, fd) == -1)
		return ph_error_set(error, "%s.cdb: %s", b->path, strerror(errno));
	result = ph_table_parse(b->path, text, style, add_entry, b, error);
	/* Also after an error: it frees what the entries took. */
	if (cdb_make_finish(&b->make) == -1 && result == 0)
		return ph_error_set(error, "%s.cdb: %s", b->path, strerror(errno));
	if (result != 0)
		return -1;
	if (append_trailer(fd) == -1 || fchmod(fd, mode & 0666) == -1 || fsync(fd) == -1)
		return ph_error_set(error, "%s.cdb: %s", b->path, strerror(errno));
	return 0;
}

static int
sync_folder(const char *path)
{
	char folder[PATH_MAX];
	int fd, result;

	snprintf(folder, sizeof(folder), "%s", path);
	fd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return -1;
	result = fsync(fd);
	close(fd);
	return result;
}

int
builder_build(const char *path, ph_span text, enum ph_table_style style, unsigned mode,
	ph_error *error)
{
	struct builder b = {.path = path};
	char temporary[PATH_MAX], final[PATH_MAX];
	int fd, result;

	if (snprintf(temporary, sizeof(temporary), "%s.cdb.XXXXXX", path) >= (int)sizeof(temporary))
		return ph_error_set(error, "%s: the path is too long", path);
	snprintf(final, sizeof(final), "%s.cdb", path);
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd == -1)
		return ph_error_set(error, "%s: cannot make a file beside it: %s", path,
			strerror(errno));
	result = fill(&b, fd, text, style, mode, error);
	if (result == 0 && rename(temporary, final) == -1)
		result = ph_error_set(error, "%s: %s", final, strerror(errno));
	else if (result == 0 && sync_folder(final) == -1)
		result = ph_error_set(error, "%s: its folder cannot be synced: %s", final,
			strerror(errno));
	if (result == -1)
		unlink(temporary);
	close(fd);
	free(b.key);
	return result;
}
