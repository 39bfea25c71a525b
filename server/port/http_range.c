#include "server/port/http_range.h"

#include <stdint.h>
#include <string.h>

/* Digits at *at into *ret_value (at most SIZE_MAX); 0 when there are none. */
static int read_number(const char **at, size_t *ret_value)
{
    const char *start = *at;
    size_t value = 0;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        size_t digit = (size_t)(**at - '0');
        value = value > (SIZE_MAX - digit) / 10 ? SIZE_MAX : value * 10 + digit;
    }
    *ret_value = value;
    return *at != start;
}

/* A strong tag, quoted, that is ours. A date or a weak tag never matches. */
static int if_range_matches(const char *if_range, const char *etag)
{
    size_t size = strlen(etag);
    return strlen(if_range) == size + 2 && if_range[0] == '"' && if_range[size + 1] == '"' &&
           !memcmp(if_range + 1, etag, size);
}

enum fl_range_kind fl_range_parse(const char *header, const char *if_range, const char *etag, size_t total,
                                  struct fl_range *ret_range)
{
    size_t first, last;

    *ret_range = (struct fl_range){.offset = 0, .size = total};
    if (!header || strncmp(header, "bytes=", 6) || (if_range && !if_range_matches(if_range, etag)))
        return FL_RANGE_WHOLE;
    header += 6;
    if (*header == '-') {
        header++;
        if (!read_number(&header, &last) || *header)
            return FL_RANGE_WHOLE;
        if (last == 0 || total == 0)
            return FL_RANGE_UNSATISFIABLE;
        first = last < total ? total - last : 0;
        last = total - 1;
    } else {
        if (!read_number(&header, &first) || *header++ != '-')
            return FL_RANGE_WHOLE;
        if (!read_number(&header, &last))
            last = SIZE_MAX;
        if (*header || last < first)
            return FL_RANGE_WHOLE;
        if (first >= total)
            return FL_RANGE_UNSATISFIABLE;
        if (last >= total)
            last = total - 1;
    }
    *ret_range = (struct fl_range){.offset = first, .size = last - first + 1};
    return FL_RANGE_PART;
}
