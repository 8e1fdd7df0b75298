/*
 * The bytes of a submission (<posthouse/submit.h>), taken apart as they come. Pure.
 */
#ifndef LISTENER_LOCAL_FRAMES_H
#define LISTENER_LOCAL_FRAMES_H

#include <posthouse/submit.h>

enum frames_result {
	FRAMES_BAD = -1,  /* not the format; the error tells */
	FRAMES_MORE = 0,
	FRAMES_END = 1    /* "end" was read */
};

struct frames_ops {
	/* A line other than the first, data and end. 0, or -1 when it is wrong. */
	int (*line)(void *context, ph_span keyword, ph_span value, ph_error *error);
	/* A piece of content, cut anywhere. */
	void (*data)(void *context, ph_span bytes);
};

/* All zero at first. */
struct frames {
	uint64_t data_left;
	size_t line_size;
	bool greeted;
	bool ended;
	char line[PH_SUBMIT_LINE_MAX];
};

enum frames_result frames_feed(struct frames *frames, ph_span bytes, const struct frames_ops *ops,
	void *context, ph_error *error);

#endif
