/*
 * What a refusal says beyond its reason: smtpd_reject_footer, smtpd_reject_footer_maps.
 */
#ifndef LISTENER_SMTP_FOOTER_H
#define LISTENER_SMTP_FOOTER_H

#include "dialogue.h"

/* Says a refusal, and below it its footer, if it has one. A footer's lines are parted by "\n"; with
 * "\c" at its start the first goes on where the refusal ends. May wait for a table. */
void footer_put(struct dialogue *d, const char *refusal);

/* Does a template name only what there is? 0, or -1 with the error. */
int footer_check(const char *template, ph_error *error);

#endif
