#include "params.h"

#include <stdio.h>
#include <string.h>

#include <posthouse/dsn.h>

/* One "KEYWORD=value" or "KEYWORD". */
struct param {
	ph_span keyword, value;
	bool has_value;
};

/* Takes the next parameter off the text. 1, or 0 at the end. */
static int
next_param(ph_span *text, struct param *param)
{
	const char *equals;
	size_t n = 0;

	while (text->size > 0 && text->data[0] == ' ')
		*text = (ph_span){text->data + 1, text->size - 1};
	while (n < text->size && text->data[n] != ' ')
		n++;
	if (n == 0)
		return 0;
	equals = memchr(text->data, '=', n);
	param->has_value = equals != NULL;
	param->keyword = (ph_span){text->data, equals != NULL ? (size_t)(equals - text->data) : n};
	param->value = (ph_span){text->data + n, 0};
	if (equals != NULL)
		param->value = (ph_span){equals + 1, n - param->keyword.size - 1};
	*text = (ph_span){text->data + n, text->size - n};
	return 1;
}

static bool
is_keyword(const struct param *param, const char *keyword)
{
	return ph_span_equal_nocase(param->keyword, ph_span_of(keyword));
}

static int
malformed(ph_reply *reply, const char *text)
{
	reply->code = 501;
	memcpy(reply->status, "5.5.4", sizeof("5.5.4"));
	snprintf(reply->text, sizeof(reply->text), "%s", text);
	return -1;
}

static int
no_dsn(ph_reply *reply)
{
	malformed(reply, "DSN support is disabled");
	memcpy(reply->status, "5.7.1", sizeof("5.7.1"));
	return -1;
}

/* What a client wrote is shown as printable ASCII, cut. */
static int
unsupported(ph_reply *reply, const struct param *param)
{
	char shown[64];
	size_t n = 0;

	for (; n < param->keyword.size && n < sizeof(shown) - 1; n++) {
		char c = param->keyword.data[n];

		shown[n] = c > ' ' && c < 0x7f ? c : '?';
	}
	shown[n] = '\0';
	reply->code = 555;
	memcpy(reply->status, "5.5.4", sizeof("5.5.4"));
	snprintf(reply->text, sizeof(reply->text), "Unsupported option: %s", shown);
	return -1;
}

/* Digits beyond 64 bits are a size too: one that no limit allows. */
static int
parse_size(const struct param *param, struct mail_params *params, ph_reply *reply)
{
	if (!param->has_value || param->value.size == 0)
		return malformed(reply, "Bad message size syntax");
	for (size_t i = 0; i < param->value.size; i++)
		if (param->value.data[i] < '0' || param->value.data[i] > '9')
			return malformed(reply, "Bad message size syntax");
	if (ph_parse_int(param->value, 0, INT64_MAX, &params->size) == -1)
		params->size = INT64_MAX;
	return 0;
}

static int
parse_body(const struct param *param, struct mail_params *params, ph_reply *reply)
{
	if (ph_span_equal_nocase(param->value, ph_span_of("7BIT")))
		params->envelope.body = 0;
	else if (ph_span_equal_nocase(param->value, ph_span_of("8BITMIME")))
		params->envelope.body = 1;
	else
		return malformed(reply, "Unsupported BODY value");
	return 0;
}

static int
parse_ret(const struct params_setting *setting, const struct param *param,
	struct mail_params *params, ph_reply *reply)
{
	if (!setting->dsn)
		return no_dsn(reply);
	if (params->envelope.ret != 0 ||
		ph_dsn_ret_parse(param->value, &params->envelope.ret) == -1)
		return malformed(reply, "Bad RET parameter syntax");
	return 0;
}

static int
parse_envid(const struct params_setting *setting, const struct param *param,
	struct mail_params *params, ph_reply *reply)
{
	if (!setting->dsn)
		return no_dsn(reply);
	if (params->envelope.envid != NULL ||
		ph_dsn_envid_parse(setting->pool, param->value, &params->envelope.envid) == -1)
		return malformed(reply, "Bad ENVID parameter syntax");
	return 0;
}

int
params_mail(const struct params_setting *setting, ph_span text, struct mail_params *params,
	ph_reply *reply)
{
	bool size = false, body = false;
	struct param param;
	int result = 0;

	*params = (struct mail_params){.envelope.size = sizeof(params->envelope)};
	while (result == 0 && next_param(&text, &param) == 1) {
		if (is_keyword(&param, "SIZE")) {
			if (size)
				return malformed(reply, "Duplicate SIZE parameter");
			size = true;
			result = parse_size(&param, params, reply);
		} else if (is_keyword(&param, "BODY")) {
			if (body)
				return malformed(reply, "Duplicate BODY parameter");
			body = true;
			result = parse_body(&param, params, reply);
		} else if (is_keyword(&param, "RET")) {
			result = parse_ret(setting, &param, params, reply);
		} else if (is_keyword(&param, "ENVID")) {
			result = parse_envid(setting, &param, params, reply);
		} else {
			return unsupported(reply, &param);
		}
	}
	return result;
}

int
params_rcpt(const struct params_setting *setting, ph_span text, struct ph_rcpt_parameters *params,
	ph_reply *reply)
{
	struct param param;

	*params = (struct ph_rcpt_parameters){.size = sizeof(*params)};
	while (next_param(&text, &param) == 1) {
		bool notify = is_keyword(&param, "NOTIFY");

		if (!notify && !is_keyword(&param, "ORCPT"))
			return unsupported(reply, &param);
		if (!setting->dsn)
			return no_dsn(reply);
		if (notify && (params->notify != 0 ||
			ph_dsn_notify_parse(param.value, &params->notify) == -1))
			return malformed(reply, "Error: Bad NOTIFY parameter syntax");
		if (!notify && (params->orcpt != NULL ||
			ph_dsn_orcpt_parse(setting->pool, param.value, &params->orcpt) == -1))
			return malformed(reply, "Error: Bad ORCPT parameter syntax");
	}
	return 0;
}
