/*
 * The names of the files in a storage's folder. A segment's number is never used again.
 *
 *   0000002a.seg    a segment                       0000002a.new    one that is being made
 *   0000002a.dead   one that is done with           spare-0000002a  one to be used again
 *   0000002a.copy   a compaction's, not complete
 *   0000002a-IDENTITY-00000200.big   the content of the message at that offset / 8 of a segment
 *   RANDOM.part     such a content while it arrives
 */
#ifndef QUEUE_LOG_NAME_H
#define QUEUE_LOG_NAME_H

#include <stdint.h>

#include "file.h"

enum name_kind {
	NAME_OTHER,
	NAME_SEGMENT,
	NAME_NEW,
	NAME_DEAD,
	NAME_SPARE,
	NAME_COPY,
	NAME_BIG,
	NAME_PART
};

struct name {
	enum name_kind kind;
	uint32_t number;
	uint64_t identity; /* of a part: its random number */
	uint64_t offset;
};

struct name name_parse(const char *text);
/* The path of a name in a folder. Returns path. */
const char *name_path(const char *folder, const struct name *name, char path[FILE_PATH_ROOM]);
/* The same for a name that has nothing but a number. */
const char *name_path_of(const char *folder, enum name_kind kind, uint32_t number,
	char path[FILE_PATH_ROOM]);

#endif
