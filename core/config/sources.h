/*
 * The files of a configuration, as they were read: from disk, or from a snapshot that holds all of
 * them. A text given beforehand stands for a file that is not written yet.
 */
#ifndef CONFIG_SOURCES_H
#define CONFIG_SOURCES_H

#include <posthouse/base.h>

struct source {
	const char *path;
	ph_span text;
};

struct sources {
	ph_pool *pool;
	struct source *items;
	size_t count, room;
	bool snapshot; /* what is not there does not exist */
};

/* Reads a snapshot (from its start). 0 or -1. */
int sources_open_snapshot(struct sources *sources, int fd, ph_error *error);
void sources_add(struct sources *sources, const char *path, ph_span text);
/* The text of a file, read once. 0 or -1. */
int sources_read(struct sources *sources, const char *path, ph_span *text, ph_error *error);
/* The paths of the files *.conf in a directory, sorted by name. 0 or -1. */
int sources_list(struct sources *sources, const char *directory, ph_strings *paths,
	ph_error *error);
/* Writes all of them. 0 or -1. */
int sources_write_snapshot(const struct sources *sources, int fd, ph_error *error);

#endif
