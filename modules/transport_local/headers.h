/*
 * What local delivery writes before a message.
 */
#ifndef TRANSPORT_LOCAL_HEADERS_H
#define TRANSPORT_LOCAL_HEADERS_H

#include <time.h>

#include <posthouse/transport.h>

/* The address as it came in: the recipient's, if nothing changed it. */
const char *headers_original(const struct ph_user_delivery *request);
/* "Return-Path:", "X-Original-To:" and "Delivered-To:", each ended by LF. In the pool; NULL: no memory. */
const char *headers_trace(ph_pool *pool, const struct ph_user_delivery *request);
/* The same behind "From sender  Sat Feb 17 18:08:09 2018". Local time. */
const char *headers_text(ph_pool *pool, const struct ph_user_delivery *request, time_t now);

#endif
