/*
 * What the writer and the reader of payloads agree on: header fields and the split into ranges. The format is
 * told in codec/README.md.
 */
#ifndef FL_CODEC_LAYOUT_H
#define FL_CODEC_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "codec/payload.h"
#include "codec/rice.h"

/* First byte: kind in bits 0-3, format version in bits 4 and 5, adaptive code in bit 6, bitmap of a single
 * range in bit 7. */
#define FL_LAYOUT_VERSION  1
#define FL_LAYOUT_ADAPTIVE 0x40
#define FL_LAYOUT_BITMAP   0x80

/* Wanted survivors of a range, at least; less than twice as many when they are spread evenly. */
#define FL_LAYOUT_RANGE_SURVIVORS 512

/* log2 of the elements of a range: the least r with count 2^r >= 512 dim; 32 (one range) at most. count > 0.
 */
static inline unsigned fl_layout_range_log2(size_t dim, size_t count)
{
    unsigned r = 0;
    while (r < 32 && ((uint64_t)count << r) < (uint64_t)FL_LAYOUT_RANGE_SURVIVORS * dim)
        r++;
    return r;
}

static inline uint64_t fl_layout_range_count(size_t dim, unsigned range_log2)
{
    return (((uint64_t)dim - 1) >> range_log2) + 1;
}

/* The streams of gaps and levels at the start of a range. */
static inline struct fl_rice_stream fl_layout_gaps(uint64_t range_elems)
{
    return (struct fl_rice_stream){
        .plain_width = 32, .most = (uint32_t)(range_elems - 1), .parameter = FL_RICE_NO_PARAMETER};
}

static inline struct fl_rice_stream fl_layout_levels(uint32_t level_min)
{
    return (struct fl_rice_stream){.plain_width = 20,
                                   .most = (uint32_t)FL_CODEC_LEVEL_MAX - level_min,
                                   .parameter = FL_RICE_NO_PARAMETER};
}

/* log2(2 lambda / step), which the header carries instead of lambda. */
static inline unsigned fl_layout_shift(int lambda_log2, int step_log2)
{
    return (unsigned)(lambda_log2 + 1 - step_log2);
}

#endif
