/*
 * Coded payloads (kind 7): a support, which says where values belong, and values in one of several forms.
 * What most quantisers and their compositions with a sparsifier are written as. The bytes are told in
 * codec/README.md.
 */
#ifndef FL_CODEC_CODED_H
#define FL_CODEC_CODED_H

#include "codec/cursor.h"
#include "codec/reader.h"
#include "codec/values.h"

/*
 * Appends what comes before the values: the header and the support. indices: strictly increasing, < dim,
 * shape (count), for FL_SUPPORT_LISTED; ignored, with count, for FL_SUPPORT_ALL. The values follow with
 * fl_values_write_...(), and none where count is 0. FL_ERR_NOMEM, FL_ERR_LIMIT; out may hold a part on
 * failure.
 */
FL_MUST_CHECK enum fl_status fl_coded_write_head(size_t dim, enum fl_support_form support,
                                                 enum fl_value_form values, const uint32_t *indices,
                                                 size_t count, struct fl_buf *out);

/* Reads the header after d, for fl_payload_check(): payload gets count, forms and sections. most: coordinates
 * at most. */
FL_MUST_CHECK enum fl_status fl_coded_check_head(const struct fl_codec *codec, size_t most,
                                                 struct fl_cursor *cursor, struct fl_payload *payload);

/* fl_payload_walk() for kind 7, from the first coordinate on. */
FL_MUST_CHECK enum fl_status fl_coded_walk(const struct fl_payload *payload, uint64_t end, fl_group_fn fn,
                                           void *user);

#endif
