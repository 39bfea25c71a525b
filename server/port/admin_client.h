/*
 * The command line's way to a running server: JSON over its Unix socket (admin.h has the routes).
 */
#ifndef FL_SERVER_PORT_ADMIN_CLIENT_H
#define FL_SERVER_PORT_ADMIN_CLIENT_H

#include "base/bytes.h"
#include "platform/error.h"

struct fl_admin_client;

/* dir: the server's state folder. FL_ERR_NOT_FOUND, FL_ERR_IO: its admin token cannot be read. */
FL_MUST_CHECK enum fl_status fl_admin_client_new(const char *dir, struct fl_admin_client **ret_client,
                                                 struct fl_error *err);
void fl_admin_client_free(struct fl_admin_client *client);

/* body NULL: GET, else POST of that JSON. Appends the answer's body. FL_ERR_NETWORK when no server answers;
 * an error answer gives its own status, with the server's sentence and hint in err. */
FL_MUST_CHECK enum fl_status fl_admin_client_call(struct fl_admin_client *client, const char *path,
                                                  const struct fl_bytes *body, struct fl_buf *answer,
                                                  struct fl_error *err);

#endif
