/*
 * Enhanced status codes (RFC 3463) in texts. Pure.
 */
#ifndef GROUND_STATUSCODE_H
#define GROUND_STATUSCODE_H

#include <stddef.h>

/* An enhanced status code of class 4 or 5 at the start, and the white space behind it: copies it to
 * status. How many bytes they are; 0: there is none. */
size_t statuscode_read(const char *text, char *status, size_t size);

#endif
