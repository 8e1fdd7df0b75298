/*
 * The parameters of RFC 3461: see <posthouse/dsn.h>.
 */
#include <posthouse/dsn.h>

#include <string.h>

static const struct {
	const char *word;
	uint32_t bit;
} notify_words[] = {
	{"NEVER", PH_NOTIFY_NEVER},
	{"SUCCESS", PH_NOTIFY_SUCCESS},
	{"FAILURE", PH_NOTIFY_FAILURE},
	{"DELAY", PH_NOTIFY_DELAY},
};

/* ---- NOTIFY and RET -------------------------------------------------------------------------- */

static uint32_t
notify_bit(ph_span word)
{
	for (size_t i = 0; i < sizeof(notify_words) / sizeof(notify_words[0]); i++)
		if (ph_span_equal_nocase(word, ph_span_of(notify_words[i].word)))
			return notify_words[i].bit;
	return 0;
}

int
ph_dsn_notify_parse(ph_span text, uint32_t *notify)
{
	uint32_t found = 0;

	for (;;) {
		const char *comma = text.size == 0 ? NULL : memchr(text.data, ',', text.size);
		size_t size = comma == NULL ? text.size : (size_t)(comma - text.data);
		uint32_t bit = notify_bit((ph_span){text.data, size});

		if (bit == 0 || (found & bit) != 0)
			return -1;
		found |= bit;
		if (comma == NULL)
			break;
		text = (ph_span){comma + 1, text.size - size - 1};
	}
	if ((found & PH_NOTIFY_NEVER) != 0 && found != PH_NOTIFY_NEVER)
		return -1;
	*notify = found;
	return 0;
}

const char *
ph_dsn_notify_text(uint32_t notify)
{
	static const char *const lists[] = {"", "SUCCESS", "FAILURE", "SUCCESS,FAILURE", "DELAY",
		"SUCCESS,DELAY", "FAILURE,DELAY", "SUCCESS,FAILURE,DELAY"};

	return (notify & PH_NOTIFY_NEVER) != 0 ? "NEVER" : lists[notify >> 1 & 7];
}

uint32_t
ph_dsn_notify_expanded(uint32_t notify)
{
	return notify == PH_NOTIFY_SUCCESS ? PH_NOTIFY_NEVER
		: notify & ~(uint32_t)PH_NOTIFY_SUCCESS;
}

int
ph_dsn_ret_parse(ph_span text, uint32_t *ret)
{
	if (ph_span_equal_nocase(text, ph_span_of("FULL")))
		*ret = PH_RET_FULL;
	else if (ph_span_equal_nocase(text, ph_span_of("HDRS")))
		*ret = PH_RET_HDRS;
	else
		return -1;
	return 0;
}

/* ---- xtext ----------------------------------------------------------------------------------- */

/* Upper-case hexadecimal, as the RFC has it; -1: another character. */
static int
hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool
is_xchar(char c)
{
	return c > ' ' && c <= '~' && c != '+' && c != '=';
}

const char *
ph_xtext_decode(ph_pool *pool, ph_span text)
{
	char *decoded = ph_pool_alloc(pool, text.size + 1);
	size_t size = 0;

	if (decoded == NULL)
		return NULL;
	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];

		if (c == '+' && text.size - i > 2 && hex_digit(text.data[i + 1]) >= 0 &&
			hex_digit(text.data[i + 2]) >= 0) {
			c = (char)(hex_digit(text.data[i + 1]) * 16 + hex_digit(text.data[i + 2]));
			i += 2;
			if (c == '\0')
				return NULL;
		} else if (!is_xchar(c)) {
			return NULL;
		}
		decoded[size++] = c;
	}
	return decoded;
}

const char *
ph_xtext_encode(ph_pool *pool, const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	char *encoded = ph_pool_array(pool, strlen(text) + 1, 3), *at = encoded;

	if (encoded == NULL)
		return NULL;
	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;

		if (is_xchar(*text)) {
			*at++ = *text;
			continue;
		}
		*at++ = '+';
		*at++ = digits[byte >> 4];
		*at++ = digits[byte & 15];
	}
	return encoded;
}

/* ---- ENVID and ORCPT ------------------------------------------------------------------------- */

static bool
is_printable(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

int
ph_dsn_envid_parse(ph_pool *pool, ph_span text, const char **envid)
{
	const char *decoded;

	if (text.size == 0 || text.size > PH_DSN_ENVID_MAX ||
		(decoded = ph_xtext_decode(pool, text)) == NULL || !is_printable(decoded))
		return -1;
	*envid = decoded;
	return 0;
}

/* An atom of RFC 5322 without "=", which no value of a parameter has (RFC 5321, 4.1.2). */
static bool
is_type(ph_span type)
{
	for (size_t i = 0; i < type.size; i++)
		if (type.data[i] <= ' ' || type.data[i] > '~' ||
			strchr("()<>[]:;@\\,.\"=", type.data[i]) != NULL)
			return false;
	return type.size > 0;
}

int
ph_dsn_orcpt_parse(ph_pool *pool, ph_span text, const char **orcpt)
{
	const char *semicolon = text.size == 0 ? NULL : memchr(text.data, ';', text.size);
	const char *address;
	size_t type;

	if (semicolon == NULL || text.size > PH_DSN_ORCPT_MAX)
		return -1;
	type = (size_t)(semicolon - text.data);
	if (!is_type((ph_span){text.data, type}))
		return -1;
	address = ph_xtext_decode(pool, (ph_span){semicolon + 1, text.size - type - 1});
	if (address == NULL || *address == '\0' || !is_printable(address))
		return -1;
	address = ph_pool_printf(pool, "%.*s;%s", (int)type, text.data, address);
	if (address == NULL)
		return -1;
	*orcpt = address;
	return 0;
}

const char *
ph_dsn_envid_text(ph_pool *pool, const char *envid)
{
	const char *text = ph_xtext_encode(pool, envid);

	return text != NULL && strlen(text) <= PH_DSN_ENVID_MAX ? text : NULL;
}

const char *
ph_dsn_orcpt_text(ph_pool *pool, const char *orcpt)
{
	const char *semicolon = strchr(orcpt, ';'), *address, *text;

	if (semicolon == NULL || (address = ph_xtext_encode(pool, semicolon + 1)) == NULL)
		return NULL;
	text = ph_pool_printf(pool, "%.*s%s", (int)(semicolon + 1 - orcpt), orcpt, address);
	return text != NULL && strlen(text) <= PH_DSN_ORCPT_MAX ? text : NULL;
}
