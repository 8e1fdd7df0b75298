/*
 * posthouse/table.h: files of entries, as tables of maps are made from. For map modules.
 *
 * Text that is cut into entries (pure), and a file that is held in memory and read again when it
 * has changed.
 */
#ifndef POSTHOUSE_TABLE_H
#define POSTHOUSE_TABLE_H

#include <posthouse/base.h>

PH_BEGIN_DECLS

/* ---- Text ------------------------------------------------------------------------------------ */

/*
 * Entries begin in the first column; a line that begins with white space continues the entry
 * before it. Empty lines and lines whose first character other than white space is "#" are left
 * out, also between the lines of one entry. NUL is an error.
 */
enum ph_table_style {
	PH_TABLE_PAIRS = 1, /* "key value": the key ends at white space, or stands in double quotes */
	PH_TABLE_ALIASES,   /* "name: value", aliases(5): the name ends at the colon, or stands in
	                     * double quotes before it */
	PH_TABLE_LINES      /* the whole entry is the key; the value is empty */
};

/* An entry, with the line where it begins. The spans hold until it returns. A result other than 0
 * ends the parse. */
typedef int ph_table_entry_fn(void *context, int line, ph_span key, ph_span value,
	ph_error *error);

/*
 * Calls entry for each entry of the text. White space around keys and values is not part of them.
 * name stands in the texts of errors: "/etc/aliases:12: expected …". 0, -1 with the error, or what
 * entry returned.
 */
PH_API int ph_table_parse(const char *name, ph_span text, enum ph_table_style style,
	ph_table_entry_fn *entry, void *context, ph_error *error);

/* Does a table look like aliases(5)? Its file's name has "alias" in it, or the first word of its
 * first entry ends with a colon. */
PH_API bool ph_table_is_aliases(const char *path, ph_span text);

/* ---- Files ----------------------------------------------------------------------------------- */

/* A file in memory. */
typedef struct ph_table ph_table;

/* How a module makes its own content of the bytes of a file; both get the instance. */
struct ph_table_ops {
	uint32_t size;
	uint32_t reserved;
	/* The text lives in the pool, and so does what load makes of it. name is the file's, for
	 * errors. 0, or -1 with an error that names file and line. May not wait. */
	int (*load)(void *self, ph_pool *pool, const char *name, ph_span text, void **content,
		ph_error *error);
	/* Frees what does not lie in the pool. NULL: nothing does. */
	void (*unload)(void *self, void *content);
};

/*
 * The file that a parameter of the instance names, with suffix (NULL: none) appended; path is the
 * parameter's value. Nothing is read yet. max: the largest file that is taken, bytes. The strings
 * are kept by reference. NULL: no memory.
 */
PH_API ph_table *ph_table_new(void *self, const char *parameter, const char *path,
	const char *suffix, size_t max, const struct ph_table_ops *ops);

/*
 * The content in force, until the next wait of this task. Looks at most once a second whether the
 * file has changed, and then reads it again; may wait. A file that was changed in place is taken
 * when it has been left alone for a second. When the new file is broken the old content stays in
 * force and the log says so. NULL: the file was never good, or is gone; error says why, the caller
 * answers PH_FAILED.
 */
PH_API void *ph_table_content(ph_table *table, ph_error *error);
/* When the file in force was last modified, seconds since 1970; 0: none is. */
PH_API int64_t ph_table_modified(const ph_table *table);
/* NULL: nothing. */
PH_API void ph_table_free(ph_table *table);

/* Reads a file that a parameter names, once, into the pool; mode (may be NULL) gets its
 * permissions. For build(). 0 or -1. */
PH_API int ph_table_read(void *self, const char *parameter, const char *path, size_t max,
	ph_pool *pool, ph_span *text, unsigned *mode, ph_error *error);

PH_END_DECLS

#endif
