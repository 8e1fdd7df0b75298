/*
 * What was said in a session, for a notice to the postmaster (notify_classes).
 */
#ifndef SESSION_TRANSCRIPT_H
#define SESSION_TRANSCRIPT_H

#include <posthouse/listener.h>

struct transcript;

/* Keeps a line, if it could be wanted. client: it came from there. */
void transcript_add(ph_session *session, bool client, ph_span line);
/* Something was refused that the postmaster wants to hear of: sends them a notice. In a task,
 * waits. */
void transcript_send(ph_session *session);
/* NULL: nothing. */
void transcript_free(struct transcript *transcript);

#endif
