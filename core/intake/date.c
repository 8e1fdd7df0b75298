#include "intake/date.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

static const char days[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

static char *
put_digits(char *at, int64_t value, int digits)
{
	for (int i = digits - 1; i >= 0; i--, value /= 10)
		at[i] = (char)('0' + value % 10);
	return at + digits;
}

static char *
put_bytes(char *at, const char *bytes, size_t size)
{
	memcpy(at, bytes, size);
	return at + size;
}

/* May it stand in a comment as it is? */
static bool
zone_is_plain(const char *zone)
{
	size_t size = zone != NULL ? strlen(zone) : 0;

	if (size == 0 || size > 16)
		return false;
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)zone[i] <= ' ' || (unsigned char)zone[i] > '~' ||
			strchr("()\\\"", zone[i]) != NULL)
			return false;
	return true;
}

static char *
put_day(char *at, const struct tm *tm)
{
	at = put_bytes(at, days + 3 * tm->tm_wday, 3);
	at = put_bytes(at, ", ", 2);
	at = put_digits(at, tm->tm_mday, tm->tm_mday < 10 ? 1 : 2);
	*at++ = ' ';
	at = put_bytes(at, months + 3 * tm->tm_mon, 3);
	*at++ = ' ';
	return put_digits(at, tm->tm_year + 1900, 4);
}

static char *
put_clock(char *at, const struct tm *tm)
{
	*at++ = ' ';
	at = put_digits(at, tm->tm_hour, 2);
	*at++ = ':';
	at = put_digits(at, tm->tm_min, 2);
	*at++ = ':';
	return put_digits(at, tm->tm_sec, 2);
}

static char *
put_offset(char *at, int offset)
{
	int minutes = offset / 60;

	*at++ = ' ';
	*at++ = minutes < 0 ? '-' : '+';
	if (minutes < 0)
		minutes = -minutes;
	return put_digits(at, minutes / 60 % 100 * 100 + minutes % 60, 4);
}

void
date_format(int64_t second, int offset, const char *zone, char text[DATE_SIZE])
{
	struct tm tm;
	time_t shifted = (time_t)(second + offset);
	char *at = text;

	if (gmtime_r(&shifted, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	at = put_offset(put_clock(put_day(at, &tm), &tm), offset);
	if (zone_is_plain(zone)) {
		at = put_bytes(at, " (", 2);
		at = put_bytes(at, zone, strlen(zone));
		*at++ = ')';
	}
	*at = '\0';
}

/* The last second asked for: at a thousand messages a second the zone is looked up once. */
const char *
date_text(int64_t moment, char text[DATE_SIZE])
{
	static struct {
		int64_t second;
		char text[DATE_SIZE];
	} cache = {.second = -1};
	int64_t second = moment / 1000000;

	if (second != cache.second) {
		time_t at = (time_t)second;
		struct tm tm;

		if (localtime_r(&at, &tm) == NULL)
			date_format(second, 0, "UTC", cache.text);
		else
			date_format(second, (int)tm.tm_gmtoff, tm.tm_zone, cache.text);
		cache.second = second;
	}
	memcpy(text, cache.text, DATE_SIZE);
	return text;
}

void
date_compact(int64_t moment, char text[15])
{
	struct tm tm;
	time_t second = (time_t)(moment / 1000000);
	char *at = text;

	if (gmtime_r(&second, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	at = put_digits(at, tm.tm_year + 1900, 4);
	at = put_digits(at, tm.tm_mon + 1, 2);
	at = put_digits(at, tm.tm_mday, 2);
	at = put_digits(at, tm.tm_hour, 2);
	at = put_digits(at, tm.tm_min, 2);
	at = put_digits(at, tm.tm_sec, 2);
	*at = '\0';
}
