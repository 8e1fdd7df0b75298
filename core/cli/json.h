/*
 * JSON on standard output.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdio.h>

/* A string with its quotes; bytes that are not UTF-8 become U+FFFD. NULL: null. */
void json_string(FILE *out, const char *text);
/* "name": "text", with a comma before it unless first. */
void json_member(FILE *out, const char *name, const char *text, int first);

#endif
