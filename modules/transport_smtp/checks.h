/*
 * smtp_header_checks and the like: headers and lines looked up, and changed, on the way out.
 */
#ifndef SMTP_CHECKS_H
#define SMTP_CHECKS_H

#include <posthouse/transport.h>

#include "settings.h"

struct checks;

bool checks_are_set(const struct smtp_settings *settings);
/* NULL: no memory. */
struct checks *checks_new(const struct smtp_settings *settings, ph_delivery *delivery);
/* NULL: nothing. */
void checks_free(struct checks *checks);

/* The header section, from the start of the content, which is all of it when whole. head: as it is
 * to be sent, in the delivery's pool; used: the bytes of the content for which it stands. 0, or -1
 * when a lookup failed: the error says why. */
int checks_head(struct checks *checks, ph_span start, bool whole, ph_span *head, int64_t *used,
	ph_error *error);
/* Must what is behind the head go through checks_body()? */
bool checks_want_body(const struct checks *checks);

typedef int checks_write_fn(void *context, ph_span bytes);
/* What is behind the head, of content of length bytes at offset in fd, given to write as it is to
 * be sent. 0; 1 when a lookup failed: the error says why; -1 when the file or write failed. */
int checks_body(struct checks *checks, int fd, int64_t offset, int64_t length,
	checks_write_fn *write, void *context, ph_error *error);

#endif
