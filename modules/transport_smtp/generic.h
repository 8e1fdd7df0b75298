/*
 * smtp_generic_maps: addresses of this site that nobody outside knows, replaced on the way out.
 */
#ifndef SMTP_GENERIC_H
#define SMTP_GENERIC_H

#include <posthouse/transport.h>

#include "checks.h"
#include "settings.h"

/* What is sent in place of what the delivery has; all in its pool. */
struct generic {
	const char *sender;
	const char **recipients; /* by their index in the delivery */
	ph_span head;            /* the header section, rewritten */
	int64_t used;            /* bytes of the content for which it stands */
};

/* The envelope. 0, or -1 when a lookup failed: the error says why. */
int generic_envelope(const struct smtp_settings *settings, ph_delivery *delivery,
	struct generic *generic, ph_error *error);
/* The header section as it is sent: smtp_header_checks and the like (checks: NULL without any),
 * then smtp_generic_maps. Of content of length bytes at offset in fd. 0, or -1 when a lookup
 * failed. */
int generic_head(const struct smtp_settings *settings, ph_delivery *delivery, struct checks *checks,
	int fd, int64_t offset, int64_t length, struct generic *generic, ph_error *error);

#endif
