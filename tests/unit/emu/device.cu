#include "device.h"

#include "kernels/cuda/launch.cuh"

#define FULL 0xffffffffu

template <class T>
static __global__ void shuffle(char kind, int width, const T *in, const int *source, T *out)
{
    unsigned lane = threadIdx.x;
    T mine = in[lane], got;
    if (kind == 'i')
        got = __shfl_sync(FULL, mine, source[lane], width);
    else if (kind == 'u')
        got = __shfl_up_sync(FULL, mine, (unsigned)source[lane], width);
    else if (kind == 'd')
        got = __shfl_down_sync(FULL, mine, (unsigned)source[lane], width);
    else
        got = __shfl_xor_sync(FULL, mine, source[lane], width);
    out[lane] = got;
}

void device_shuffle_float(char kind, int width, const float *in, const int *source, float *out)
{
    FL_LAUNCH(shuffle<float>, 1, 32, NULL, kind, width, in, source, out);
}

void device_shuffle_wide(char kind, int width, const unsigned long long *in, const int *source,
                         unsigned long long *out)
{
    FL_LAUNCH(shuffle<unsigned long long>, 1, 32, NULL, kind, width, in, source, out);
}

static __global__ void vote(uint32_t mask, const unsigned *in, unsigned *out)
{
    unsigned lane = threadIdx.x, x = in[lane];
    if (!(mask >> lane & 1))
        return;
    out[DEVICE_BALLOT * 32 + lane] = __ballot_sync(mask, x & 1);
    out[DEVICE_ANY * 32 + lane] = (unsigned)__any_sync(mask, x & 1);
    out[DEVICE_ALL * 32 + lane] = (unsigned)__all_sync(mask, x & 1);
    out[DEVICE_ADD * 32 + lane] = __reduce_add_sync(mask, x);
    out[DEVICE_AND * 32 + lane] = __reduce_and_sync(mask, x);
    out[DEVICE_OR * 32 + lane] = __reduce_or_sync(mask, x);
    out[DEVICE_XOR * 32 + lane] = __reduce_xor_sync(mask, x);
    out[DEVICE_MIN * 32 + lane] = __reduce_min_sync(mask, x);
    out[DEVICE_MAX * 32 + lane] = __reduce_max_sync(mask, x);
    out[DEVICE_MIN_SIGNED * 32 + lane] = (unsigned)__reduce_min_sync(mask, (int)x);
    out[DEVICE_MAX_SIGNED * 32 + lane] = (unsigned)__reduce_max_sync(mask, (int)x);
}

void device_vote(uint32_t mask, const unsigned *in, unsigned *out)
{
    FL_LAUNCH(vote, 1, 32, NULL, mask, in, out);
}

static __global__ void nested_masks(unsigned *out)
{
    unsigned lane = threadIdx.x, mine = lane + 1;
    if (lane > 2)
        return;
    if (lane != 1)
        mine += __shfl_xor_sync(0x5u, mine, 2);
    out[lane] = __reduce_add_sync(0x7u, mine);
}

void device_nested_masks(unsigned *out)
{
    FL_LAUNCH(nested_masks, 1, 3, NULL, out);
}

static __global__ void barrier_votes(unsigned bound, unsigned *out)
{
    int below = threadIdx.x < bound;
    int count = __syncthreads_count(below), any = __syncthreads_or(below), all = __syncthreads_and(below);
    if (threadIdx.x == 0) {
        out[0] = (unsigned)count;
        out[1] = (unsigned)any;
        out[2] = (unsigned)all;
        out[3] = 0;
    }
    __syncthreads();
    if (out[0] == (unsigned)count && out[1] == (unsigned)any && out[2] == (unsigned)all)
        atomicAdd(&out[3], 1u);
}

void device_barrier_votes(unsigned bound, unsigned *out)
{
    FL_LAUNCH(barrier_votes, 1, 100, NULL, bound, out);
}

static __global__ void atomics(int *places, unsigned long long *wide, unsigned *olds)
{
    int number = (int)(blockIdx.x * blockDim.x + threadIdx.x);
    olds[number] = (unsigned)atomicAdd(&places[DEVICE_ATOMIC_ADD], 1);
    atomicSub(&places[DEVICE_ATOMIC_SUB], 2);
    atomicMin(&places[DEVICE_ATOMIC_MIN], -number);
    atomicMax(&places[DEVICE_ATOMIC_MAX], number);
    atomicAnd(&places[DEVICE_ATOMIC_AND], ~(1 << number % 8));
    atomicOr(&places[DEVICE_ATOMIC_OR], 1 << number % 8);
    atomicXor(&places[DEVICE_ATOMIC_XOR], number);
    int old = 0, seen;
    while ((seen = atomicCAS(&places[DEVICE_ATOMIC_CAS], old, old + 3)) != old)
        old = seen;
    atomicAdd(&wide[0], 1ull << 40);
    atomicMax(&wide[1], (unsigned long long)number << 40);
    atomicExch(&wide[2], 7ull);
}

void device_atomics(int *places, unsigned long long *wide, unsigned *olds)
{
    FL_LAUNCH(atomics, 3, 100, NULL, places, wide, olds);
}

static __global__ void visit(unsigned *visits)
{
    unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    visits[block * (blockDim.x * blockDim.y * blockDim.z) + thread] += 1;
}

void device_visit(unsigned *visits)
{
    FL_LAUNCH(visit, dim3(3, 4, 2), dim3(5, 3, 2), NULL, visits);
}

struct garbage_shared {
    unsigned words[33];
    unsigned char bytes[3];
};

static __global__ void garbage(unsigned *out)
{
    FL_SHARED(struct garbage_shared, shared);
    unsigned hash = 0;
    for (int i = 0; i < 33; i++)
        hash = hash * 31 + shared.words[i];
    out[blockIdx.x] = hash * 31 + shared.bytes[2];
}

void device_garbage(unsigned *out)
{
    FL_LAUNCH(garbage, 4, 1, NULL, out);
}

static __global__ void bits(unsigned x, unsigned *out)
{
    out[DEVICE_POPC] = (unsigned)__popc(x);
    out[DEVICE_CLZ] = (unsigned)__clz((int)x);
    out[DEVICE_FFS] = (unsigned)__ffs((int)x);
    out[DEVICE_MULHI] = __umulhi(x, x);
    out[DEVICE_POPCLL] = (unsigned)__popcll((unsigned long long)x << 32 | x);
    out[DEVICE_CLZLL] = (unsigned)__clzll((long long)x);
    out[DEVICE_FFSLL] = (unsigned)__ffsll((long long)((unsigned long long)x << 32));
}

void device_bits(unsigned x, unsigned *out)
{
    FL_LAUNCH(bits, 1, 1, NULL, x, out);
}
