/*
 * Listening sockets: TCP on an address and port, and Unix.
 */
#ifndef FL_SERVER_PORT_LISTEN_H
#define FL_SERVER_PORT_LISTEN_H

#include <stdint.h>

#include "platform/error.h"

/* address: of IPv4 or IPv6, in digits; port 0: a free one, told in *ret_port. FL_ERR_IO, FL_ERR_CONFIG. */
FL_MUST_CHECK enum fl_status fl_listen_tcp(const char *address, uint16_t port, int *ret_fd,
                                           uint16_t *ret_port, struct fl_error *err);

/* A socket at path for its owner only; one left by an earlier process is replaced. */
FL_MUST_CHECK enum fl_status fl_listen_unix(const char *path, int *ret_fd, struct fl_error *err);

#endif
