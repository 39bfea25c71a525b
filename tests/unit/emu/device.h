/* Kernels that do one thing each, for test_emu_device.c. All pointers are device pointers; one block unless
 * said otherwise; work is queued on the default stream. */
#ifndef FL_TESTS_UNIT_EMU_DEVICE_H
#define FL_TESTS_UNIT_EMU_DEVICE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One warp. out[lane] = what lane gets of in by shuffle kind ("idx", "up", "down", "xor": their first
 * letters) from source[lane]. */
void device_shuffle_float(char kind, int width, const float *in, const int *source, float *out);
void device_shuffle_wide(char kind, int width, const unsigned long long *in, const int *source,
                         unsigned long long *out);

/* One warp, of which only the lanes in mask do it, with in[lane]; out: a row of 32 for each of the operations
 * below. */
enum device_vote {
    DEVICE_BALLOT,
    DEVICE_ANY,
    DEVICE_ALL,
    DEVICE_ADD,
    DEVICE_AND,
    DEVICE_OR,
    DEVICE_XOR,
    DEVICE_MIN,
    DEVICE_MAX,
    DEVICE_MIN_SIGNED,
    DEVICE_MAX_SIGNED,
    DEVICE_VOTES,
};
void device_vote(uint32_t mask, const unsigned *in, unsigned *out);

/* One warp: lane 1 waits for lanes 0 and 2, which have something to do with each other first. out[lane] =
 * sum. */
void device_nested_masks(unsigned *out);

/* 100 threads. out[0..2] = count, or, and of those whose number is below bound; out[3] = how many threads
 * agree. */
void device_barrier_votes(unsigned bound, unsigned *out);

/* 3 blocks of 100 threads. places: what is there afterwards, for each operation; olds: 300 values atomicAdd
 * gave. */
enum device_atomic {
    DEVICE_ATOMIC_ADD,
    DEVICE_ATOMIC_SUB,
    DEVICE_ATOMIC_MIN,
    DEVICE_ATOMIC_MAX,
    DEVICE_ATOMIC_AND,
    DEVICE_ATOMIC_OR,
    DEVICE_ATOMIC_XOR,
    DEVICE_ATOMIC_CAS, /* adds in a loop */
    DEVICE_ATOMICS,
};
void device_atomics(int *places, unsigned long long *wide, unsigned *olds);

/* A grid of 3 x 4 x 2 blocks of 5 x 3 x 2 threads: visits[number of the thread in the whole grid] += 1. */
void device_visit(unsigned *visits);

/* 4 blocks of one thread: out[block] = hash of its shared memory before anything is written to it. */
void device_garbage(unsigned *out);

/* One thread. out: results of bit operations on x. */
enum device_bit {
    DEVICE_POPC,
    DEVICE_CLZ,
    DEVICE_FFS,
    DEVICE_MULHI, /* of x and x */
    DEVICE_POPCLL,
    DEVICE_CLZLL,
    DEVICE_FFSLL, /* of x << 32 */
    DEVICE_BITS,
};
void device_bits(unsigned x, unsigned *out);

#ifdef __cplusplus
}
#endif

#endif
