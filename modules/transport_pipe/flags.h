/*
 * The flags and the line ends of a pipe transport. Pure.
 */
#ifndef TRANSPORT_PIPE_FLAGS_H
#define TRANSPORT_PIPE_FLAGS_H

#include <posthouse/base.h>

/* Is every character of flags known? 0, or -1 with what is wrong. */
int flags_check(const char *flags, ph_error *error);
bool flags_have(const char *flags, char flag);
/* The escapes of C and octal numbers, "\r\n" and "\015", for size bytes. 0, or -1: too long, or not understood. */
int flags_eol(const char *text, char *eol, size_t size, ph_error *error);
/* An address as the flags want it: h: domain in lower case, u: local part in lower case. quoted: the quotes
 * of the local part stay. In the pool; NULL: no memory. */
const char *flags_address(ph_pool *pool, const char *flags, bool quoted, const char *address);

#endif
