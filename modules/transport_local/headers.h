/*
 * What local delivery writes before a message.
 */
#ifndef TRANSPORT_LOCAL_HEADERS_H
#define TRANSPORT_LOCAL_HEADERS_H

#include <time.h>

#include <posthouse/transport.h>

#include "params.h"

/* The address as it came in: the recipient's, if nothing changed it. */
const char *headers_original(const struct ph_user_delivery *request);
/* Is this kind of delivery ("command", "file") without Delivered-To? */
bool headers_bare(const struct params *params, const char *kind);
/* "Return-Path:", "X-Original-To:" and, unless it is bare, "Delivered-To:", each ended by LF. In the pool;
 * NULL: no memory. */
const char *headers_trace(ph_pool *pool, const struct ph_user_delivery *request, bool bare);
/* The same behind "From sender  Sat Feb 17 18:08:09 2018". Local time. */
const char *headers_text(ph_pool *pool, const struct ph_user_delivery *request, bool bare,
	time_t now);

#endif
