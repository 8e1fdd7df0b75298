/*
 * POSIX extended regular expressions, said in Perl's syntax. Pure.
 */
#ifndef MAP_REGEX_POSIX_H
#define MAP_REGEX_POSIX_H

#include <posthouse/base.h>

/*
 * What matches the same keys in PCRE2 as the pattern does for regcomp(3) with REG_EXTENDED and the
 * GNU additions (\w \W \s \S \b \B \< \> \` \'); other letters behind a backslash stand for
 * themselves. lines: REG_NEWLINE, [^a] does not match the end of a line. In the pool, terminated.
 * NULL: what is wrong is in error, without a place.
 */
const char *posix_translate(ph_pool *pool, ph_span pattern, bool lines, ph_error *error);

#endif
