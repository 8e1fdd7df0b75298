/*
 * Folders: may somebody else put another thing in the place of what we open by its path?
 */
#ifndef CONFIG_TRUST_H
#define CONFIG_TRUST_H

#include <sys/types.h>

#include <posthouse/base.h>

/*
 * With root's rights: every folder above the path must belong to root, and must not be writable by
 * everybody (unless it is sticky, as /tmp is) or by the group (-1: none is distrusted). Links are
 * followed first. Without root's rights everything is the caller's own affair. 0, or -1 with an
 * error that names the folder.
 */
int trust_above(const char *path, gid_t group, ph_error *error);

#endif
