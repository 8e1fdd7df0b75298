/*
 * What the rest of the core may ask of the intake beyond <posthouse/intake.h>.
 */
#ifndef INTAKE_INTAKE_H
#define INTAKE_INTAKE_H

#include <posthouse/intake.h>

#include "config/config.h"

/* Does the storage have room for size more bytes above queue_minfree? (RFC 5321: 452 at MAIL.) */
bool intake_has_room(const struct settings *settings, const struct instance *queue, int64_t size);

#endif
