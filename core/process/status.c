#include "process/status.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_LINES = 5000 };

static int
status_path(const char *directory, const char *name, char path[PATH_MAX], ph_error *error)
{
	if ((size_t)snprintf(path, PATH_MAX, "%s/%s", directory, name) >= PATH_MAX)
		return ph_error_set(error, "%s: the path is too long", directory);
	return 0;
}

int
status_replace(const char *directory, void (*write)(FILE *out, void *context), void *context,
	ph_error *error)
{
	char path[PATH_MAX], temporary[PATH_MAX];

	if (status_path(directory, "status", path, error) == -1 ||
		status_path(directory, ".status.new", temporary, error) == -1)
		return -1;
	/* Others may write in this directory: a file or link that they left there is not
	 * followed. */
	unlink(temporary);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd == -1)
		return ph_error_set(error, "%s: %s", temporary, strerror(errno));
	FILE *out = fchmod(fd, 0644) == 0 ? fdopen(fd, "w") : NULL;
	if (!out) {
		close(fd);
		return ph_error_set(error, "%s: %s", temporary, strerror(errno));
	}
	write(out, context);
	if (ferror(out) | fclose(out) || rename(temporary, path) == -1) {
		unlink(temporary);
		return ph_error_set(error, "%s: %s", path, strerror(errno));
	}
	return 0;
}

void
status_remove(const char *directory)
{
	char path[PATH_MAX];

	if (status_path(directory, "status", path, NULL) == 0)
		unlink(path);
}

/* Takes the next word of the line. */
static const char *
next_word(char **line)
{
	char *word = *line + strspn(*line, " ");
	size_t length = strcspn(word, " ");

	*line = word + length;
	if (**line)
		*(*line)++ = '\0';
	return word;
}

static int64_t
next_number(char **line)
{
	int64_t value = 0;

	ph_parse_int(ph_span_of(next_word(line)), 0, INT64_MAX, &value);
	return value;
}

static void
next_text(char **line, char *text, size_t size)
{
	snprintf(text, size, "%s", next_word(line));
}

static void
read_generation(struct status *status, char *line)
{
	struct status_generation *generation = &status->generations[status->generation_count++];

	generation->number = (unsigned)next_number(&line);
	generation->pid = (long)next_number(&line);
	next_text(&line, generation->state, sizeof(generation->state));
}

static void
read_role(struct status *status, char *line)
{
	struct status_role *role = &status->roles[status->role_count++];

	role->generation = (unsigned)next_number(&line);
	next_text(&line, role->name, sizeof(role->name));
	role->number = (unsigned)next_number(&line);
	role->pid = (long)next_number(&line);
	next_text(&line, role->state, sizeof(role->state));
}

static void
read_line(struct status *status, ph_pool *pool, char *line)
{
	const char *word = next_word(&line);

	if (strcmp(word, "supervisor") == 0) {
		status->supervisor = (long)next_number(&line);
	} else if (strcmp(word, "version") == 0) {
		next_text(&line, status->version, sizeof(status->version));
	} else if (strcmp(word, "state") == 0) {
		next_text(&line, status->state, sizeof(status->state));
	} else if (strcmp(word, "started") == 0) {
		status->started = next_number(&line);
	} else if (strcmp(word, "reload") == 0) {
		status->reloads = (unsigned)next_number(&line);
		status->reload_time = next_number(&line);
		next_text(&line, status->reload_result, sizeof(status->reload_result));
	} else if (strcmp(word, "problem") == 0) {
		const char *text = ph_pool_strdup(pool, line);

		if (text)
			status->problems[status->problem_count++] = text;
	} else if (strcmp(word, "generation") == 0) {
		read_generation(status, line);
	} else if (strcmp(word, "role") == 0) {
		read_role(status, line);
	}
}

int
status_read(const char *directory, ph_pool *pool, struct status *status, ph_error *error)
{
	char path[PATH_MAX], *line = NULL;
	size_t room = 0;
	ssize_t length;

	*status = (struct status){0};
	status->problems = ph_pool_array(pool, MAX_LINES, sizeof(*status->problems));
	status->generations = ph_pool_array(pool, MAX_LINES, sizeof(*status->generations));
	status->roles = ph_pool_array(pool, MAX_LINES, sizeof(*status->roles));
	if (!status->problems || !status->generations || !status->roles)
		return ph_error_set(error, "out of memory");
	if (status_path(directory, "status", path, error) == -1)
		return -1;
	FILE *in = fopen(path, "re");
	if (!in)
		return ph_error_set(error, "%s: %s", path, strerror(errno));
	for (int lines = 0; lines < MAX_LINES && (length = getline(&line, &room, in)) > 0;
		lines++) {
		if (line[length - 1] == '\n')
			line[length - 1] = '\0';
		read_line(status, pool, line);
	}
	free(line);
	fclose(in);
	return 0;
}
