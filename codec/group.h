/*
 * What lies between a group of up to 64 coordinates and the numbers that it is written as: gaps, signs and
 * magnitudes, and what a check has to know of its values. Every level gives the same numbers in every bit
 * (codec/rice.h). Not for bits (codec/rice.c).
 */
#ifndef FL_CODEC_GROUP_H
#define FL_CODEC_GROUP_H

#include <stddef.h>
#include <stdint.h>

#include "codec/rice.h"

/* ret_indices[i] = start + i + the sum of the first i + 1 gaps, mod 2^32; returns start + size + the sum of
 * all, which is not taken mod 2^32. Shapes (size), size <= FL_RICE_BLOCK in all of these. */
uint64_t fl_group_indices(enum fl_rice_level level, const uint32_t *gaps, size_t size, uint64_t start,
                          uint32_t *ret_indices);

/* ret_gaps[i] = indices[i] - indices[i - 1] - 1, and indices[0] - start. */
void fl_group_gaps(enum fl_rice_level level, const uint32_t *indices, size_t size, uint32_t start,
                   uint32_t *ret_gaps);

/* ret_words[i] = numbers[i] + least, with the other sign where bit i of negative is 1: two's complement. */
void fl_group_words(enum fl_rice_level level, const uint32_t *numbers, uint64_t negative, size_t size,
                    uint32_t least, uint32_t *ret_words);

/* And back: returns negative, with bits past size 0. */
uint64_t fl_group_numbers(enum fl_rice_level level, const uint32_t *words, size_t size, uint32_t least,
                          uint32_t *ret_numbers);

/* What a check notes of the bits of float32 values. squares: float64, in eight sums over i mod 8, added from
 * the first on. */
struct fl_group_floats {
    uint32_t least, most; /* bits of magnitudes */
    double squares;
};

struct fl_group_floats fl_group_note_floats(enum fl_rice_level level, const uint32_t *words, size_t size);

/* And of levels, each of magnitude up to 2^20: exact. */
struct fl_group_levels {
    uint32_t most;
    uint64_t squares;
};

struct fl_group_levels fl_group_note_levels(enum fl_rice_level level, const uint32_t *words, size_t size);

#endif
