/* One tensor of a vector, seen as a row-major matrix: what codecs that go by tensors need to know of a model.
 */
#ifndef FL_CODEC_TENSOR_H
#define FL_CODEC_TENSOR_H

#include <stddef.h>

/* A vector of n elements is n x 1. Both > 0. */
struct fl_codec_tensor {
    size_t rows, columns;
};

/* rows x columns; 0 when it is no size_t. */
static inline size_t fl_codec_tensor_elems(const struct fl_codec_tensor *tensor)
{
    size_t elems;
    return __builtin_mul_overflow(tensor->rows, tensor->columns, &elems) ? 0 : elems;
}

#endif
