#include "ground/statuscode.h"

#include <string.h>

/* 1 to 3 digits; how many, 0 when there are none or more. */
static size_t
digits(const char *text)
{
	size_t size = strspn(text, "0123456789");

	return size <= 3 ? size : 0;
}

size_t
statuscode_read(const char *text, char *status, size_t size)
{
	size_t subject, detail, whole;

	if ((text[0] != '4' && text[0] != '5') || text[1] != '.')
		return 0;
	subject = digits(text + 2);
	if (!subject || text[2 + subject] != '.')
		return 0;
	detail = digits(text + 3 + subject);
	whole = 3 + subject + detail;
	if (!detail || (text[whole] != ' ' && text[whole] != '\0') || whole >= size)
		return 0;
	memcpy(status, text, whole);
	status[whole] = '\0';
	return whole + strspn(text + whole, " ");
}
