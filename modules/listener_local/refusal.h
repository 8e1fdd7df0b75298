/*
 * The report of a message in the drop directory that was refused: its sender was told that all is
 * well.
 */
#ifndef LISTENER_LOCAL_REFUSAL_H
#define LISTENER_LOCAL_REFUSAL_H

#include <posthouse/intake.h>

/* Reads the file once more, for who was to get it and what stands in it, and tells the sender;
 * waits. */
void refusal_report(int fd, const char *name, const char *sender, const ph_reply *reply);

#endif
