/*
 * Decimal numbers as they stand in paths and queries.
 */
#ifndef FL_PROTOCOL_NUMBER_H
#define FL_PROTOCOL_NUMBER_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* All of text[0..size): digits without sign or leading zeros, below 2^64; else FL_ERR_FORMAT. */
FL_MUST_CHECK enum fl_status fl_number_parse(const char *text, size_t size, uint64_t *ret_value);

#endif
