/* Numbers in text files; private to client/data. */
#ifndef FL_CLIENT_DATA_NUMBER_H
#define FL_CLIENT_DATA_NUMBER_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "platform/error.h"

/* Where a number stands; opens errors as "NAME:LINE: column COLUMN: ". */
struct fl_place {
    const char *name;
    size_t line, column; /* from 1 */
};

/* text (zero-terminated, blanks round it allowed) as a finite float32. FL_ERR_FORMAT when it is no decimal
 * number, FL_ERR_NOT_FINITE when it is NaN, infinite or too large for float32. */
FL_MUST_CHECK enum fl_status fl_data_number_parse(const struct fl_place *place, const char *text,
                                                  float *ret_value, struct fl_error *err);

/* The same for a label: a whole number of at most 9 digits, "3", "+1", "-1" or "3.0". Also FL_ERR_RANGE. */
FL_MUST_CHECK enum fl_status fl_data_number_parse_label(const struct fl_place *place, const char *text,
                                                        int32_t *ret_label, struct fl_error *err);

#endif
