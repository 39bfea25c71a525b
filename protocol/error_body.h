/*
 * The JSON body by which a server says why it refuses (README.md, "Errors"). A client needs it to tell the
 * server's own word from that of a proxy in the way, whose bare status proves nothing (rule R4). Not for
 * writing such bodies, which is the server's affair.
 */
#ifndef FL_PROTOCOL_ERROR_BODY_H
#define FL_PROTOCOL_ERROR_BODY_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

struct fl_error_body {
    enum fl_status status; /* named by "error"; never FL_OK */
    uint64_t limit_bytes;  /* 0: not told */
};

/* Reads one JSON object, whatever the order of its members; unknown ones are passed over. FL_ERR_FORMAT when
 * it is anything else, or its "error" is no status of ours. Allocates nothing. */
FL_MUST_CHECK enum fl_status fl_error_body_read(struct fl_bytes body, struct fl_error_body *ret_body);

#endif
