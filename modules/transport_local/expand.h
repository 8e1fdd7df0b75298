/*
 * An address, through the alias tables.
 */
#ifndef TRANSPORT_LOCAL_EXPAND_H
#define TRANSPORT_LOCAL_EXPAND_H

#include "local.h"

/* The recipient gets its result, or is on its way to a mailbox. */
void expand(struct work *w, size_t i);

#endif
