/*
 * Delivery lines: see logline.h.
 */
#include "queue/logline.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <posthouse/log.h>

/* Microseconds as seconds with two significant digits, as "0.08", "1.5", "12". */
static char *
delay_text(int64_t microseconds, char text[24])
{
	int64_t hundredths = (microseconds + 5000) / 10000;

	if (microseconds <= 0 || hundredths == 0)
		strcpy(text, "0");
	else if (hundredths >= 1000)
		snprintf(text, 24, "%" PRId64, (hundredths + 50) / 100);
	else if (hundredths >= 100 && (hundredths + 5) / 10 % 10 != 0)
		snprintf(text, 24, "%" PRId64 ".%" PRId64, (hundredths + 5) / 100,
			(hundredths + 5) / 10 % 10);
	else if (hundredths >= 100)
		snprintf(text, 24, "%" PRId64, (hundredths + 5) / 100);
	else if (hundredths % 10 == 0)
		snprintf(text, 24, "0.%" PRId64, hundredths / 10);
	else
		snprintf(text, 24, "0.%02" PRId64, hundredths);
	return text;
}

void
delivery_log(const struct delivery_line *line)
{
	const struct delivery_times *t = &line->times;
	int64_t active = t->active != 0 ? t->active : t->ended;
	int64_t started = t->started != 0 ? t->started : t->ended;
	int64_t connected = t->connected != 0 ? t->connected : started;
	bool renamed = *line->original != '\0' && strcmp(line->original, line->recipient) != 0;
	char delay[24], a[24], b[24], c[24], d[24];

	ph_log_as(line->component, PH_LOG_INFO,
		"%s: to=<%s>%s%s%s, relay=%s, delay=%s, delays=%s/%s/%s/%s, dsn=%s, status=%s (%s)",
		line->queue_id, line->recipient, renamed ? ", orig_to=<" : "",
		renamed ? line->original : "", renamed ? ">" : "",
		*line->relay != '\0' ? line->relay : "none", delay_text(t->ended - t->arrival, delay),
		delay_text(active - t->arrival, a), delay_text(started - active, b),
		delay_text(connected - started, c), delay_text(t->ended - connected, d),
		line->status, line->word, line->text);
}
