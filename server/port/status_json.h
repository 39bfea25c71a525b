/*
 * What the core tells the operator, as JSON for the admin listener and `--json`.
 */
#ifndef FL_SERVER_PORT_STATUS_JSON_H
#define FL_SERVER_PORT_STATUS_JSON_H

#include "server/core/server.h"

/* Appends the JSON of the reply to a request of the operator: {"token"}, {"clients": [...]}, {"revoked"} or
 * {"runs": [...], "rounds": [...]}. FL_ERR_NOMEM, FL_ERR_LIMIT. */
FL_MUST_CHECK enum fl_status fl_status_json(enum fl_request_kind kind, const struct fl_reply *reply,
                                            struct fl_buf *buf);

#endif
