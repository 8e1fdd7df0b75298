/*
 * What callers see of an answer.
 */
#include "ground/dnspacket.h"

ph_dns_result
ph_dns_status(const ph_dns_answer *answer)
{
	return answer->result;
}

const char *
ph_dns_reason(const ph_dns_answer *answer)
{
	return answer->reason;
}

bool
ph_dns_secure(const ph_dns_answer *answer)
{
	return answer->secure;
}

size_t
ph_dns_count(const ph_dns_answer *answer)
{
	return answer->count;
}

const char *
ph_dns_name(const ph_dns_answer *answer, size_t index)
{
	return index < answer->count ? answer->records[index].name : "";
}

unsigned
ph_dns_preference(const ph_dns_answer *answer, size_t index)
{
	return index < answer->count ? answer->records[index].preference : 0;
}

ph_address
ph_dns_address(const ph_dns_answer *answer, size_t index)
{
	return index < answer->count ? answer->records[index].address : (ph_address){0};
}

ph_span
ph_dns_data(const ph_dns_answer *answer, size_t index)
{
	return index < answer->count ? answer->records[index].data : (ph_span){0};
}
