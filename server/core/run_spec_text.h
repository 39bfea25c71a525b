/*
 * A run spec as lines "field=value", floats in hexadecimal, so that the store keeps it readable and exact.
 */
#ifndef FL_SERVER_CORE_RUN_SPEC_TEXT_H
#define FL_SERVER_CORE_RUN_SPEC_TEXT_H

#include "base/bytes.h"
#include "server/core/run_spec.h"

/* Appends the text without a final zero. FL_ERR_NOMEM, FL_ERR_LIMIT of the buffer. */
FL_MUST_CHECK enum fl_status fl_run_spec_to_text(const struct fl_run_spec *spec, struct fl_buf *text);

/* Unknown fields are refused, missing ones are zero. FL_ERR_FORMAT. */
FL_MUST_CHECK enum fl_status fl_run_spec_from_text(const char *text, struct fl_run_spec *ret_spec);

#endif
