/*
 * Dates as RFC 5322, 3.3, with the name of the zone behind them: "Sat, 17 Feb 2018 18:08:09 +0200
 * (EET)".
 */
#ifndef INTAKE_DATE_H
#define INTAKE_DATE_H

#include <stdint.h>
#include <stddef.h>

/* Room for any date and its NUL. */
#define DATE_SIZE 64

/* The local time of a moment in microseconds since 1970. Returns text. */
const char *date_text(int64_t moment, char text[DATE_SIZE]);
/* The same for a given offset from UTC in seconds; zone may be NULL. Pure; text is terminated. */
void date_format(int64_t second, int offset, const char *zone, char text[DATE_SIZE]);
/* "YYYYMMDDhhmmss" in UTC; room for 15 bytes. */
void date_compact(int64_t moment, char text[15]);

#endif
