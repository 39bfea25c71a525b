/*
 * The encoders that need no file of their own, as the table has them: fl_codec_encode_fn of codec/codec.h.
 * Private to codec/. Each chooses coordinates and hands them to a writer; it needs 8 bytes of memory a
 * coordinate sent.
 */
#ifndef FL_CODEC_ENCODERS_H
#define FL_CODEC_ENCODERS_H

#include "codec/codec.h"

/* dense: every value. sparse: payload kinds 2 to 5. top_coded: the largest, as kind 7. seeded: a support from
 * a seed. natural, block_int: every value in a form of its own. */
FL_MUST_CHECK enum fl_status fl_encode_dense(const struct fl_kernels *kernels,
                                             const struct fl_codec_params *params, const float *p, size_t dim,
                                             struct fl_buf *payload);
FL_MUST_CHECK enum fl_status fl_encode_sparse(const struct fl_kernels *kernels,
                                              const struct fl_codec_params *params, const float *p,
                                              size_t dim, struct fl_buf *payload);
FL_MUST_CHECK enum fl_status fl_encode_top_coded(const struct fl_kernels *kernels,
                                                 const struct fl_codec_params *params, const float *p,
                                                 size_t dim, struct fl_buf *payload);
FL_MUST_CHECK enum fl_status fl_encode_seeded(const struct fl_kernels *kernels,
                                              const struct fl_codec_params *params, const float *p,
                                              size_t dim, struct fl_buf *payload);
FL_MUST_CHECK enum fl_status fl_encode_natural(const struct fl_kernels *kernels,
                                               const struct fl_codec_params *params, const float *p,
                                               size_t dim, struct fl_buf *payload);
FL_MUST_CHECK enum fl_status fl_encode_block_int(const struct fl_kernels *kernels,
                                                 const struct fl_codec_params *params, const float *p,
                                                 size_t dim, struct fl_buf *payload);

#endif
