/* Writing a payload from coordinates already chosen and quantised. Not for choosing them. */
#ifndef FL_CODEC_WRITER_H
#define FL_CODEC_WRITER_H

#include "codec/payload.h"

/* How indices and levels are written. */
enum fl_payload_coding {
    FL_CODING_BEST, /* in adaptive code where that is smaller by FL_SURVEY_SAVING percent, values left out */
    FL_CODING_RANGES,   /* range by range, in Rice code or bitmaps */
    FL_CODING_ADAPTIVE, /* in adaptive code */
};

/* What a payload's header tells. */
struct fl_payload_head {
    enum fl_payload_kind kind; /* any but FL_PAYLOAD_DENSE and FL_PAYLOAD_CODED */
    size_t dim;
    size_t count;
    float lambda;   /* FL_PAYLOAD_THRESHOLD */
    int step_log2;  /* FL_PAYLOAD_INT_THRESHOLD */
    unsigned shift; /* FL_PAYLOAD_INT_THRESHOLD: log2(2 lambda / step) */
    enum fl_payload_coding coding;
};

/*
 * Appends a payload. indices: strictly increasing, < head->dim; words: the bits of a float32, or on the grid
 * the level as int32 in two's complement, level_min <= |level| <= 2^20; shape (head->count), NULL for
 * FL_PAYLOAD_SUPPORT. FL_ERR_NOMEM, FL_ERR_LIMIT (what is written range by range must fit, even if adaptive
 * code is smaller); payload is unchanged on failure.
 */
FL_MUST_CHECK enum fl_status fl_payload_write(const struct fl_payload_head *head, const uint32_t *indices,
                                              const uint32_t *words, struct fl_buf *payload);

/*
 * Gives the coordinates of the range [begin, end), of shape (how many it returns), valid until the next call.
 * Ranges are asked for in order and cover the vector, up to four times over, each time from begin = 0 on;
 * head->count is how many there are in all.
 */
typedef size_t (*fl_coordinates_fn)(void *user, uint64_t begin, uint64_t end, const uint32_t **ret_indices,
                                    const uint32_t **ret_words);

/* The same from coordinates that are in no array. */
FL_MUST_CHECK enum fl_status fl_payload_write_from(const struct fl_payload_head *head, fl_coordinates_fn next,
                                                   void *user, struct fl_buf *payload);

/* How many coordinates one range of a payload of so many can have. */
size_t fl_payload_range_most(size_t dim, size_t count);

/* fl_payload_write for FL_PAYLOAD_DENSE: every value, shape (dim). */
FL_MUST_CHECK enum fl_status fl_payload_write_dense(const float *values, size_t dim, struct fl_buf *payload);

#endif
