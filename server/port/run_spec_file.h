/*
 * The run spec as people write it: YAML by one table of settings, to struct fl_run_spec. What the values must
 * be together is checked by fl_run_spec_check().
 */
#ifndef FL_SERVER_PORT_RUN_SPEC_FILE_H
#define FL_SERVER_PORT_RUN_SPEC_FILE_H

#include <stddef.h>

#include "platform/error.h"
#include "platform/settings.h"
#include "server/core/run_spec.h"

#define FL_RUN_SPEC_FILE_BYTES ((size_t)64 << 10)

extern const struct fl_setting fl_run_spec_rows[];
extern const size_t fl_run_spec_row_count;

/* name stands for the file in errors. FL_ERR_CONFIG with file, line, key and what is allowed. */
FL_MUST_CHECK enum fl_status fl_run_spec_read(const char *name, struct fl_bytes text,
                                              struct fl_run_spec *ret_spec, struct fl_error *err);

#endif
