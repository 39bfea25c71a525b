/*
 * The group that each example of a source belongs to (its writer, patient, machine, site), from a file beside
 * the source. Not for dealing groups out to clients (partition.h).
 *
 * The file is plain, gzip or xz, and either text, one line an example, whole numbers from 0 parted by commas;
 * or IDX with elements of 1, 2 or 4 bytes, shape (rows) or (rows, columns).
 */
#ifndef FL_CLIENT_DATA_GROUPS_H
#define FL_CLIENT_DATA_GROUPS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "platform/error.h"

/*
 * column      which number of each line, from 0
 * rows        examples of the source; the file must have as many
 * ret_groups  shape (rows)
 *
 * FL_ERR_NOT_FOUND, FL_ERR_IO, FL_ERR_FORMAT (neither form, another number of rows, no such column, not a
 * whole number), FL_ERR_RANGE (negative), FL_ERR_TRUNCATED, FL_ERR_LIMIT, FL_ERR_NOMEM.
 */
FL_MUST_CHECK enum fl_status fl_groups_read(const char *path, uint32_t column, size_t rows,
                                            uint32_t *ret_groups, struct fl_error *err);

#endif
