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

/* What comes before the values. */
struct fl_coded_head {
    size_t dim;
    enum fl_support_form support;
    enum fl_value_form values;
    const uint32_t *indices; /* FL_SUPPORT_LISTED: strictly increasing, < dim, shape (count) */
    size_t count;            /* FL_SUPPORT_LISTED */
    uint64_t seed;           /* of a support from a seed */
};

/*
 * Appends the header and the support. The values follow with fl_values_write_...(), one for each coordinate
 * of the support, and none where it has none. FL_ERR_NOMEM, FL_ERR_LIMIT; out may hold a part on failure.
 */
FL_MUST_CHECK enum fl_status fl_coded_write_head(const struct fl_coded_head *head, struct fl_buf *out);

/* The support of the codec of params, one from a seed, for vectors of dim elements. Failures of
 * fl_support_...(). */
FL_MUST_CHECK enum fl_status fl_coded_seeded(const struct fl_codec_params *params, size_t dim, uint64_t seed,
                                             struct fl_support *ret_support);

/* Reads the header after d, for fl_payload_check(): payload gets count, forms and sections. most: coordinates
 * at most, for FL_SUPPORT_LISTED. */
FL_MUST_CHECK enum fl_status fl_coded_check_head(const struct fl_codec_params *params, size_t most,
                                                 struct fl_cursor *cursor, struct fl_payload *payload);

/* fl_payload_walk() for kind 7, from the first coordinate on. */
FL_MUST_CHECK enum fl_status fl_coded_walk(const struct fl_payload *payload, uint64_t end, fl_group_fn fn,
                                           void *user);

#endif
