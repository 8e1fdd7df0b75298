/*
 * What is written before a message in a mailbox.
 */
#ifndef MAILBOX_HEADERS_H
#define MAILBOX_HEADERS_H

#include <time.h>

#include <posthouse/transport.h>

/* "Return-Path:", "X-Original-To:" and, unless it is bare, "Delivered-To:", each ended by LF. In
 * the pool; NULL: no memory. */
const char *headers_trace(ph_pool *pool, const struct ph_user_delivery *request, bool bare);
/* The same behind "From sender  Sat Feb 17 18:08:09 2018". Local time. */
const char *headers_text(ph_pool *pool, const struct ph_user_delivery *request, bool bare,
	time_t now);

#endif
