/*
 * Deterministic random numbers from a seed: the same on every machine, so that server and client derive the
 * same model, shards and cohort. Counter-based (Philox4x32-10, Salmon et al., SC 2011), so any element can be
 * drawn alone. Not for keys or tokens: those come from `struct fl_env.entropy`.
 */
#ifndef FL_BASE_RANDOM_H
#define FL_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* A stream of numbers. One stream belongs to one thread at a time. */
struct fl_random {
    uint64_t key;
    uint64_t stream;
    uint64_t counter;
    uint32_t block[4];
    unsigned used; /* words of block handed out, 4 = none left */
};

/* One Philox4x32-10 block: counter (4 words) and key (2 words) to 4 words. */
void fl_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t ret_block[4]);

/* Stream `stream` of the generator seeded by seed; different streams never overlap. */
void fl_random_init(struct fl_random *random, uint64_t seed, uint64_t stream);

uint32_t fl_random_u32(struct fl_random *random);
uint64_t fl_random_u64(struct fl_random *random);

/* Uniform in [0, bound), without bias; 0 when bound is 0. */
uint64_t fl_random_below(struct fl_random *random, uint64_t bound);

/* Uniform in [0, 1), a multiple of 2^-24, exact in float32. */
float fl_random_float(struct fl_random *random);

/* Uniform in (0, 1), 53 bits, never 0. */
double fl_random_double(struct fl_random *random);

/* Normal with mean 0 and variance 1 (Box and Muller 1958, the cosine half). Through log and cos, so the last
 * bit may differ between C libraries. */
double fl_random_normal(struct fl_random *random);

/* Gamma(shape, 1), shape > 0 (Marsaglia and Tsang 2000), as its natural logarithm so that tiny shapes
 * survive. */
double fl_random_log_gamma(struct fl_random *random, double shape);

/* Fisher-Yates shuffle of count indices. */
void fl_random_shuffle(struct fl_random *random, uint32_t *indices, size_t count);

/* A 64-bit mix of two values (splitmix64 finaliser over both), for ordering by hash and for deriving seeds.
 */
uint64_t fl_mix64(uint64_t a, uint64_t b);

#endif
