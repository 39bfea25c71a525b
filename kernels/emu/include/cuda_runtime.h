/*
 * Stand-in for CUDA's header of the same name: the runtime's interface and what kernels use, as inline
 * functions over kernels/emu/device.h. What is not here does not compile: __shared__ (use FL_SHARED), <<<>>>
 * (use FL_LAUNCH), float atomics, clocks.
 */
#ifndef FL_KERNELS_EMU_INCLUDE_CUDA_RUNTIME_H
#define FL_KERNELS_EMU_INCLUDE_CUDA_RUNTIME_H

#include "cuda_runtime_api.h"

#ifdef __cplusplus

#include <cmath>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>

#include "kernels/emu/device.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__    __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)

/* Vectors. */

using uint3 = fl_emu_index;

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_)
    {
    }
};

#define FL_EMU_VECTORS(type, name)                                                                           \
    struct alignas(2 * sizeof(type)) name##2                                                                 \
    {                                                                                                        \
        type x, y;                                                                                           \
    };                                                                                                       \
    struct alignas(sizeof(type) < 8 ? 4 * sizeof(type) : 16) name##4                                         \
    {                                                                                                        \
        type x, y, z, w;                                                                                     \
    };                                                                                                       \
    static inline name##2 make_##name##2(type x, type y)                                                     \
    {                                                                                                        \
        return {x, y};                                                                                       \
    }                                                                                                        \
    static inline name##4 make_##name##4(type x, type y, type z, type w)                                     \
    {                                                                                                        \
        return {x, y, z, w};                                                                                 \
    }
FL_EMU_VECTORS(unsigned char, uchar)
FL_EMU_VECTORS(unsigned short, ushort)
FL_EMU_VECTORS(int, int)
FL_EMU_VECTORS(unsigned, uint)
FL_EMU_VECTORS(float, float)
FL_EMU_VECTORS(double, double)
FL_EMU_VECTORS(unsigned long long, ulonglong)
#undef FL_EMU_VECTORS

/* Where a thread is. */

#define threadIdx (fl_emu_self->index)
#define blockIdx  (fl_emu_self->block->index)
#define blockDim  (fl_emu_self->block->threads)
#define gridDim   (fl_emu_self->block->blocks)
#define warpSize  32

/* Barriers and fences. */

#define FL_EMU_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

static inline void __syncthreads(FL_EMU_HERE)
{
    fl_emu_barrier(0, file, line);
}

static inline int __syncthreads_count(int predicate, FL_EMU_HERE)
{
    return (int)fl_emu_barrier(predicate, file, line);
}

static inline int __syncthreads_or(int predicate, FL_EMU_HERE)
{
    return fl_emu_barrier(predicate, file, line) != 0;
}

static inline int __syncthreads_and(int predicate, FL_EMU_HERE)
{
    return fl_emu_barrier(!predicate, file, line) == 0;
}

static inline void __threadfence()
{
    fl_emu_fence();
}

static inline void __threadfence_block()
{
    fl_emu_fence();
}

static inline void __threadfence_system()
{
    fl_emu_fence();
}

static inline void __nanosleep(unsigned)
{
    fl_emu_pause();
}

/* Warp operations. */

#define FL_EMU_FULL_WARP 0xffffffffu

static inline void __syncwarp(unsigned mask = FL_EMU_FULL_WARP, FL_EMU_HERE)
{
    fl_emu_warp(FL_EMU_SYNCWARP, mask, 0, 0, warpSize, file, line);
}

static inline unsigned __ballot_sync(unsigned mask, int predicate, FL_EMU_HERE)
{
    return (unsigned)fl_emu_warp(FL_EMU_BALLOT, mask, predicate != 0, 0, warpSize, file, line);
}

static inline int __any_sync(unsigned mask, int predicate, FL_EMU_HERE)
{
    return __ballot_sync(mask, predicate, file, line) != 0;
}

static inline int __all_sync(unsigned mask, int predicate, FL_EMU_HERE)
{
    return __ballot_sync(mask, predicate, file, line) == mask;
}

template <class T>
static inline T fl_emu_shuffle(fl_emu_warp_operation operation, unsigned mask, T value, int source, int width,
                               const char *file, int line)
{
    static_assert(std::is_arithmetic<T>::value && (sizeof(T) == 4 || sizeof(T) == 8),
                  "as CUDA: 32 or 64 bits");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = fl_emu_warp(operation, mask, bits, source, width, file, line);
    memcpy(&value, &bits, sizeof value);
    return value;
}

template <class T>
static inline T __shfl_sync(unsigned mask, T value, int lane, int width = warpSize, FL_EMU_HERE)
{
    return fl_emu_shuffle(FL_EMU_SHFL, mask, value, lane, width, file, line);
}

template <class T>
static inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize, FL_EMU_HERE)
{
    return fl_emu_shuffle(FL_EMU_SHFL_UP, mask, value, (int)delta, width, file, line);
}

template <class T>
static inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize, FL_EMU_HERE)
{
    return fl_emu_shuffle(FL_EMU_SHFL_DOWN, mask, value, (int)delta, width, file, line);
}

template <class T>
static inline T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = warpSize, FL_EMU_HERE)
{
    return fl_emu_shuffle(FL_EMU_SHFL_XOR, mask, value, lanes, width, file, line);
}

/* Of compute capability 8.0 and newer: nvcc refuses them for sm_75. */
#define FL_EMU_REDUCE(name, type, operation)                                                                 \
    static inline type name(unsigned mask, type value, FL_EMU_HERE)                                          \
    {                                                                                                        \
        return (type)fl_emu_warp(operation, mask, (unsigned)value, 0, warpSize, file, line);                 \
    }
FL_EMU_REDUCE(__reduce_add_sync, unsigned, FL_EMU_REDUCE_ADD)
FL_EMU_REDUCE(__reduce_add_sync, int, FL_EMU_REDUCE_ADD)
FL_EMU_REDUCE(__reduce_and_sync, unsigned, FL_EMU_REDUCE_AND)
FL_EMU_REDUCE(__reduce_or_sync, unsigned, FL_EMU_REDUCE_OR)
FL_EMU_REDUCE(__reduce_xor_sync, unsigned, FL_EMU_REDUCE_XOR)
FL_EMU_REDUCE(__reduce_min_sync, unsigned, FL_EMU_REDUCE_MIN)
FL_EMU_REDUCE(__reduce_max_sync, unsigned, FL_EMU_REDUCE_MAX)
FL_EMU_REDUCE(__reduce_min_sync, int, FL_EMU_REDUCE_MIN_SIGNED)
FL_EMU_REDUCE(__reduce_max_sync, int, FL_EMU_REDUCE_MAX_SIGNED)
#undef FL_EMU_REDUCE

/* Atomics: relaxed, as CUDA's are. For the types CUDA has them for, but for floating point, whose sums depend
 * on the order (see the rules of exactness). */

template <class T, class Change> static inline T fl_emu_atomic(T *place, Change change)
{
    fl_emu_atomic_before(place);
    T old = __atomic_load_n(place, __ATOMIC_RELAXED), changed;
    do
        changed = change(old);
    while (!__atomic_compare_exchange_n(place, &old, changed, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    fl_emu_atomic_after(place, changed != old);
    return old;
}

#define FL_EMU_ATOMIC(name, type, expression)                                                                \
    static inline type name(type *place, type value)                                                         \
    {                                                                                                        \
        return fl_emu_atomic(place, [value](type old) -> type { return expression; });                       \
    }
#define FL_EMU_ATOMIC_OF(type)                                                                               \
    FL_EMU_ATOMIC(atomicMin, type, value < old ? value : old)                                                \
    FL_EMU_ATOMIC(atomicMax, type, value > old ? value : old)                                                \
    FL_EMU_ATOMIC(atomicAnd, type, old &value)                                                               \
    FL_EMU_ATOMIC(atomicOr, type, old | value)                                                               \
    FL_EMU_ATOMIC(atomicXor, type, old ^ value)
#define FL_EMU_ATOMIC_MORE_OF(type)                                                                          \
    FL_EMU_ATOMIC(atomicAdd, type, (type)(old + value))                                                      \
    FL_EMU_ATOMIC(atomicExch, type, ((void)old, value))                                                      \
    static inline type atomicCAS(type *place, type expected, type value)                                     \
    {                                                                                                        \
        return fl_emu_atomic(place, [=](type old) -> type { return old == expected ? value : old; });        \
    }
FL_EMU_ATOMIC_OF(int)
FL_EMU_ATOMIC_OF(unsigned)
FL_EMU_ATOMIC_OF(long long)
FL_EMU_ATOMIC_OF(unsigned long long)
FL_EMU_ATOMIC_MORE_OF(int)
FL_EMU_ATOMIC_MORE_OF(unsigned)
FL_EMU_ATOMIC_MORE_OF(unsigned long long)
FL_EMU_ATOMIC(atomicSub, int, (int)((unsigned)old - (unsigned)value))
FL_EMU_ATOMIC(atomicSub, unsigned, old - value)
#undef FL_EMU_ATOMIC_MORE_OF
#undef FL_EMU_ATOMIC_OF
#undef FL_EMU_ATOMIC

/* Bits and arithmetic. The project is built without contraction, so that + and * round once. */

static inline int __popc(unsigned x)
{
    return __builtin_popcount(x);
}

static inline int __popcll(unsigned long long x)
{
    return __builtin_popcountll(x);
}

static inline int __clz(int x)
{
    return x ? __builtin_clz((unsigned)x) : 32;
}

static inline int __clzll(long long x)
{
    return x ? __builtin_clzll((unsigned long long)x) : 64;
}

static inline int __ffs(int x)
{
    return __builtin_ffs(x);
}

static inline int __ffsll(long long x)
{
    return __builtin_ffsll(x);
}

static inline unsigned __umulhi(unsigned a, unsigned b)
{
    return (unsigned)((uint64_t)a * b >> 32);
}

static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b)
{
    return (unsigned long long)((unsigned __int128)a * b >> 64);
}

template <class To, class From> static inline To fl_emu_bits(From from)
{
    static_assert(sizeof(To) == sizeof(From), "the same bits");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}

static inline unsigned __float_as_uint(float x)
{
    return fl_emu_bits<unsigned>(x);
}

static inline int __float_as_int(float x)
{
    return fl_emu_bits<int>(x);
}

static inline float __uint_as_float(unsigned x)
{
    return fl_emu_bits<float>(x);
}

static inline float __int_as_float(int x)
{
    return fl_emu_bits<float>(x);
}

static inline long long __double_as_longlong(double x)
{
    return fl_emu_bits<long long>(x);
}

static inline double __longlong_as_double(long long x)
{
    return fl_emu_bits<double>(x);
}

#define FL_EMU_ROUNDED(type, prefix)                                                                         \
    static inline type prefix##add_rn(type a, type b)                                                        \
    {                                                                                                        \
        return a + b;                                                                                        \
    }                                                                                                        \
    static inline type prefix##sub_rn(type a, type b)                                                        \
    {                                                                                                        \
        return a - b;                                                                                        \
    }                                                                                                        \
    static inline type prefix##mul_rn(type a, type b)                                                        \
    {                                                                                                        \
        return a * b;                                                                                        \
    }                                                                                                        \
    static inline type prefix##div_rn(type a, type b)                                                        \
    {                                                                                                        \
        return a / b;                                                                                        \
    }                                                                                                        \
    static inline type prefix##sqrt_rn(type a)                                                               \
    {                                                                                                        \
        return std::sqrt(a);                                                                                 \
    }
FL_EMU_ROUNDED(float, __f)
FL_EMU_ROUNDED(double, __d)
#undef FL_EMU_ROUNDED

static inline float __fmaf_rn(float a, float b, float c)
{
    return std::fma(a, b, c);
}

template <class T> static inline T __ldg(const T *place)
{
    return *place;
}

template <class T> static inline T min(T a, T b)
{
    return b < a ? b : a;
}

template <class T> static inline T max(T a, T b)
{
    return a < b ? b : a;
}

/* Memory of any type, as CUDA's own overloads. */

template <class T> static inline cudaError_t cudaMalloc(T **memory, size_t bytes)
{
    return cudaMalloc((void **)memory, bytes);
}

template <class T> static inline cudaError_t cudaHostAlloc(T **memory, size_t bytes, unsigned flags)
{
    return cudaHostAlloc((void **)memory, bytes, flags);
}

template <class T> static inline cudaError_t cudaMallocHost(T **memory, size_t bytes)
{
    return cudaMallocHost((void **)memory, bytes);
}

/* Launches: the arguments are copied as the kernel's parameters, and those that are pointers are looked at.
 */

template <class... P> struct fl_emu_arguments {
    void (*kernel)(P...);
    std::tuple<P...> values;

    static void call(const void *arguments)
    {
        const fl_emu_arguments *self = static_cast<const fl_emu_arguments *>(arguments);
        std::apply(self->kernel, self->values);
    }
};

template <class T> static inline void fl_emu_check_argument(const char *name, unsigned number, const T &value)
{
    if constexpr (std::is_pointer<T>::value)
        fl_emu_check_pointer(name, number, (const void *)value);
}

template <class... P, class... A>
static inline void fl_emu_launch_kernel(const char *name, void (*kernel)(P...), dim3 blocks, dim3 threads,
                                        cudaStream_t stream, A... given)
{
    static_assert((std::is_trivially_copyable<P>::value && ...),
                  "a kernel's parameters are copied byte by byte");
    fl_emu_arguments<P...> arguments = {kernel, std::tuple<P...>(static_cast<P>(given)...)};
    std::apply(
        [name](const P &...values) {
            unsigned number = 0;
            (fl_emu_check_argument(name, ++number, values), ...);
        },
        arguments.values);
    fl_emu_launch(name, {blocks.x, blocks.y, blocks.z}, {threads.x, threads.y, threads.z}, stream,
                  fl_emu_arguments<P...>::call, &arguments, sizeof arguments);
}

#endif /* __cplusplus */

#endif
