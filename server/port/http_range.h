/*
 * The Range header for one range of bytes (RFC 9110, section 14). Several ranges are answered with the whole,
 * as it allows.
 */
#ifndef FL_SERVER_PORT_HTTP_RANGE_H
#define FL_SERVER_PORT_HTTP_RANGE_H

#include <stddef.h>

enum fl_range_kind {
    FL_RANGE_WHOLE,         /* no range, or one that is to be ignored: 200 */
    FL_RANGE_PART,          /* 206 */
    FL_RANGE_UNSATISFIABLE, /* 416 */
};

struct fl_range {
    size_t offset, size;
};

/* header: value of Range, NULL when there is none. if_range: value of If-Range, NULL when there is none;
 * etag: of the whole, without quotes. *ret_range is the part to send (the whole for FL_RANGE_WHOLE). */
enum fl_range_kind fl_range_parse(const char *header, const char *if_range, const char *etag, size_t total,
                                  struct fl_range *ret_range);

#endif
