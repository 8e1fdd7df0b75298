/*
 * What every queue storage has to do, as tests: a third party runs the same on its module.
 */
#ifndef TESTS_UNIT_QUEUE_CONFORMANCE_H
#define TESTS_UNIT_QUEUE_CONFORMANCE_H

#include <posthouse/module.h>
#include <posthouse/queue.h>

struct queue_subject {
	const struct ph_module *module;
	/* Fills the parameters of an instance whose files are in folder, which is there and empty
	 * at first. The same folder is given to several instances at once. */
	void (*prepare)(void *self, const char *folder);
};

/* A folder of its own for a test, and the end of it. */
char *queue_folder_make(void);
void queue_folder_remove(char *folder);

/* An instance that is open and started; in a task. Failures end the program. */
void *queue_open(const struct queue_subject *subject, const char *folder);
void queue_close(const struct queue_subject *subject, void *self);
const struct ph_queue_ops *queue_ops(const struct queue_subject *subject);

/* Commits a message; 0 or -1. Its content is head and body. */
int queue_put(const struct queue_subject *subject, void *self, const char *id, const char *envelope,
	ph_span head, ph_span body, uint32_t flags, uint64_t *handle, ph_error *error);
/* Is the content of the message head and body? */
bool queue_has(const struct queue_subject *subject, void *self, uint64_t handle, ph_span head,
	ph_span body);
/* Hands what writer says to owner. */
void queue_pass_hint(const struct queue_subject *subject, void *writer, void *owner);
/* Claims until there is nothing, for messages that may need tending to be found; the number. */
int queue_claim_all(const struct queue_subject *subject, void *self, struct ph_queue_item *items,
	int max);

/* Runs all. The number of failures. */
int queue_conformance(const struct queue_subject *subject);

#endif
