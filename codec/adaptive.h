/*
 * Coordinates in adaptive binary range code: one stream of gaps, signs and magnitudes, each bit of which
 * takes what its odds so far say. Slower than Rice code (codec/rice.h) by about ten times, and smaller where
 * gaps do not fall off evenly, as those of real updates do not. Not for whole payloads (codec/writer.c,
 * codec/reader.c). The bytes are told in codec/README.md. Source: Martin 1979 (range coding) in the binary
 * form of Pavlov's LZMA; Elias 1975 (the gamma code, whose bits are coded). The odds and how they follow are
 * ours.
 */
#ifndef FL_CODEC_ADAPTIVE_H
#define FL_CODEC_ADAPTIVE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "codec/rice.h"

/* Room for a group of FL_RICE_BLOCK coordinates: two numbers of 33 bits of at most 11 bits each and 29 of one
 * bit, and a sign. */
#define FL_ADAPTIVE_GROUP_BYTES (FL_RICE_BLOCK * (2 * 50 + 1))

/* The odds of one bit. */
struct fl_odds {
    uint16_t zero; /* of 2^16 */
    uint8_t seen;  /* bits, counted for as long as it matters */
};

/* The odds of numbers of one sort. x is taken as x + 1: the place of its highest bit in unary, then the bits
 * below that, of which the first two have odds. */
struct fl_adaptive_model {
    struct fl_odds place[31];
    struct fl_odds below[32][4]; /* [1]: the first; [2] and [3]: the second after a 0 and a 1 */
};

/* What a writer and a reader know alike. */
struct fl_adaptive {
    struct fl_adaptive_model gaps, magnitudes;
    uint64_t next; /* element after the last coordinate */
    int has_levels;
    uint32_t level_min;
};

struct fl_adaptive_writer {
    struct fl_adaptive common;
    uint8_t *at;
    uint32_t low, range;
};

/* has_levels: whether coordinates have levels of at least level_min. */
void fl_adaptive_writer_init(int has_levels, uint32_t level_min, struct fl_adaptive_writer *ret_writer);

/*
 * Appends size <= 64 coordinates, as for fl_payload_write(), at `at`, where FL_ADAPTIVE_GROUP_BYTES are free,
 * and returns where they end. All bytes of the stream lie before `at` and may still change. words: NULL
 * without levels.
 */
uint8_t *fl_adaptive_put(struct fl_adaptive_writer *writer, uint8_t *at, const uint32_t *indices,
                         const uint32_t *words, size_t size);

/* After the last coordinate: one byte more at most. */
uint8_t *fl_adaptive_put_end(struct fl_adaptive_writer *writer, uint8_t *at);

/* Borrows its bytes. */
struct fl_adaptive_reader {
    struct fl_adaptive common;
    const uint8_t *data;
    size_t size, pos; /* pos: bytes taken, with the zeros behind the last */
    uint32_t code, range;
};

void fl_adaptive_reader_init(const uint8_t *data, size_t size, int has_levels, uint32_t level_min,
                             struct fl_adaptive_reader *ret_reader);

/* The next size <= 64 coordinates of a vector of dim elements. ret_words: not written without levels.
 * FL_ERR_RANGE: an index or a level; FL_ERR_TRUNCATED. */
FL_MUST_CHECK enum fl_status fl_adaptive_get(struct fl_adaptive_reader *reader, uint64_t dim, size_t size,
                                             uint32_t *ret_indices, uint32_t *ret_words);

/* After the last coordinate: FL_ERR_FORMAT when bytes are left. */
FL_MUST_CHECK enum fl_status fl_adaptive_get_end(const struct fl_adaptive_reader *reader);

#endif
