/*
 * How the loops over a block are compiled for newer processors of x86-64: plain C, inlined into functions for
 * each level, and instructions of their own where the compiler does not find them. Private to codec/.
 */
#ifndef FL_CODEC_RICE_LOOPS_H
#define FL_CODEC_RICE_LOOPS_H

#define FL_RICE_LOOP static inline __attribute__((always_inline))
#if defined(__x86_64__)
#include <immintrin.h>

#define FL_RICE_NEWER  __attribute__((target("avx2,bmi,bmi2,popcnt")))
#define FL_RICE_VECTOR __attribute__((target("avx2,bmi,bmi2,popcnt,avx512f,avx512bw,avx512vbmi2")))
#else
#define FL_RICE_NEWER
#define FL_RICE_VECTOR
#endif

#endif
