/* Telling the service manager (sd_notify(3)): a datagram to the socket in NOTIFY_SOCKET. */
#ifndef PROCESS_NOTIFY_H
#define PROCESS_NOTIFY_H

/* state: lines such as "READY=1\nSTATUS=serving". Without a service manager nothing happens. */
void notify_send(const char *state);
/* "RELOADING=1" with the moment at which it began. */
void notify_reloading(void);

#endif
