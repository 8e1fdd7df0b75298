/*
 * Looks through a message's headers for a Delivered-To that names the recipient: such a message was
 * here before.
 */
#ifndef MAILBOX_HEADERSCAN_H
#define MAILBOX_HEADERSCAN_H

#include <posthouse/base.h>

struct header_scan {
	const char *recipient;
	char header[512];  /* the header in hand, unfolded; cut, which no recipient's is */
	size_t used;
	size_t column;     /* in the line; a CR does not count */
	bool ended;        /* the headers are over */
	bool found;
};

void header_scan_begin(struct header_scan *scan, const char *recipient);
/* Pieces of the message, cut anywhere. True when there is no need for more. */
bool header_scan_put(struct header_scan *scan, ph_span bytes);
/* The message is over. True when the header was found. */
bool header_scan_end(struct header_scan *scan);

#endif
