#include "verdict.h"

#include <string.h>

/* The digits at the start of the text: one to three. 0: there are none, or too many. */
static size_t
digits(const char *text)
{
	size_t n = strspn(text, "0123456789");

	return n <= 3 ? n : 0;
}

/* The length of a status code at the start of the text; 0: there is none. */
static size_t
status_size(const char *text)
{
	size_t subject, detail, size;

	if ((text[0] != '4' && text[0] != '5') || text[1] != '.')
		return 0;
	subject = digits(text + 2);
	if (subject == 0 || text[2 + subject] != '.')
		return 0;
	detail = digits(text + 3 + subject);
	size = 3 + subject + detail;
	return detail > 0 && (text[size] == ' ' || text[size] == '\0') ? size : 0;
}

struct verdict
verdict_of(const char *nexthop)
{
	struct verdict verdict = {.status = "5.0.0", .text = nexthop};
	size_t size = status_size(nexthop);

	if (size > 0) {
		memcpy(verdict.status, nexthop, size);
		verdict.status[size] = '\0';
		verdict.later = nexthop[0] == '4';
		verdict.text = nexthop + size;
	}
	verdict.text += strspn(verdict.text, " ");
	if (*verdict.text == '\0')
		verdict.text = verdict.later ? "mail is deferred" : "mail is refused";
	return verdict;
}
