/*
 * Planted bugs, each beside its correct twin, which differs in just that. Run by test_emu_planted.c:
 *     emu_planted NAME bug|right
 * under the schedule of FL_EMU_SCHEDULE. Exit code 0: the result is what it should be; WRONG: it is not;
 * others: what the emulator or a sanitizer reports.
 */
#include "planted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/launch.cuh"
#include "kernels/emu/emu.h"

#define THREADS 64
#define BLOCKS  2
#define ALL     (BLOCKS * THREADS)

/* Input and output of every kernel here: in[i] = i + 1, out[] starts as zeros; both in device memory. */
struct data {
    const unsigned *in;
    unsigned *out, *flags; /* flags: BLOCKS zeros */
};

static __device__ unsigned here()
{
    return blockIdx.x * blockDim.x + threadIdx.x;
}

struct tile {
    unsigned x[THREADS];
};

/* out = in with the threads of each block in reverse. The bug: nobody waits for what the others write. */
template <bool right> static __global__ void missing_barrier(data d)
{
    FL_SHARED(tile, shared);
    shared.x[threadIdx.x] = d.in[here()];
    if (right)
        __syncthreads();
    d.out[here()] = shared.x[THREADS - 1 - threadIdx.x];
}

static bool is_reversed(const unsigned *out)
{
    for (unsigned i = 0; i < ALL; i++) {
        if (out[i] != i / THREADS * THREADS + THREADS - i % THREADS)
            return false;
    }
    return true;
}

/* The same three times over, each time 1 more. The bug: the next write does not wait for the others' reads.
 */
template <bool right> static __global__ void write_after_read(data d)
{
    FL_SHARED(tile, shared);
    unsigned mine = d.in[here()] - 3;
    for (int round = 0; round < 3; round++) {
        shared.x[threadIdx.x] = mine + 1;
        __syncthreads();
        mine = shared.x[THREADS - 1 - threadIdx.x];
        if (right)
            __syncthreads();
    }
    d.out[here()] = mine;
}

/* Each block hands its first input on to the next by out[ALL - 1 - block]. The bug: the flag is a plain
 * store. */
template <bool right> static __global__ void plain_store(data d)
{
    unsigned block = blockIdx.x;
    if (threadIdx.x)
        return;
    d.out[block] = d.in[here()];
    if (right) {
        __threadfence();
        atomicExch(&d.flags[block], 1);
    } else {
        d.flags[block] = 1;
    }
    if (block) {
        while (!atomicAdd(&d.flags[block - 1], 0))
            ;
        __threadfence();
        d.out[ALL - 1 - block] = d.out[block - 1];
    }
}

static bool is_handed_on(const unsigned *out)
{
    return out[0] == 1 && out[1] == THREADS + 1 && out[ALL - 2] == 1;
}

/* The last block to come adds up what all blocks have written. The bug: no fence between the write and the
 * count. */
template <bool right> static __global__ void missing_fence(data d)
{
    if (threadIdx.x)
        return;
    d.out[blockIdx.x] = d.in[here()];
    if (right)
        __threadfence();
    if (atomicAdd(&d.flags[0], 1) == BLOCKS - 1) {
        __threadfence();
        d.out[ALL - 1] = d.out[0] + d.out[1];
    }
}

static bool is_added_up(const unsigned *out)
{
    return out[ALL - 1] == THREADS + 2;
}

/* Counts threads. The bug: blocks add to the same place without an atomic. */
template <bool right> static __global__ void plain_add(data d)
{
    if (right)
        atomicAdd(&d.out[0], 1);
    else
        d.out[0] += 1;
}

static bool is_counted(const unsigned *out)
{
    return out[0] == ALL;
}

/* Lanes in reverse within each warp. The bug: the warp is taken to be in lockstep. */
template <bool right> static __global__ void missing_syncwarp(data d)
{
    FL_SHARED(tile, shared);
    shared.x[threadIdx.x] = d.in[here()];
    if (right)
        __syncwarp();
    d.out[here()] = shared.x[threadIdx.x ^ 31];
}

static bool is_reversed_in_warps(const unsigned *out)
{
    for (unsigned i = 0; i < ALL; i++) {
        if (out[i] != (i ^ 31) + 1)
            return false;
    }
    return true;
}

/* out = in, by way of shared memory. The bug: one element too far. */
template <bool right> static __global__ void shared_overrun(data d)
{
    FL_SHARED(tile, shared);
    unsigned at = threadIdx.x + (right ? 0 : 1);
    shared.x[at] = d.in[here()];
    d.out[here()] = shared.x[at];
}

static bool is_copied(const unsigned *out)
{
    for (unsigned i = 0; i < ALL; i++) {
        if (out[i] != i + 1)
            return false;
    }
    return true;
}

/* out = in. The bug: the last thread reads behind the input. */
template <bool right> static __global__ void device_overrun(data d)
{
    d.out[here()] = right ? d.in[here()] : d.in[here() + 1] - 1;
}

/* out = in, two at a time. The bug: the pairs do not begin where vectors may. */
template <bool right> static __global__ void misaligned_vector(data d)
{
    unsigned at = here() + (right ? 0 : 1);
    if (here() % 2 || at + 1 >= ALL)
        return;
    uint2 pair = *(const uint2 *)&d.in[at];
    d.out[at] = pair.x;
    d.out[at + 1] = pair.y;
    if (here() == 0)
        d.out[0] = 1;
}

static bool is_copied_but_for_the_last(const unsigned *out)
{
    return out[0] == 1 && out[ALL - 2] == ALL - 1;
}

/* out = in. The bug: the tile is read before anybody has written it. */
template <bool right> static __global__ void uninitialised_shared(data d)
{
    FL_SHARED(tile, shared);
    if (right)
        shared.x[threadIdx.x] = 0;
    d.out[here()] = d.in[here()] + shared.x[threadIdx.x];
}

/* How many of the first 20 lanes have an odd input. The bug: the mask names lanes that do not come. */
template <bool right> static __global__ void partial_ballot(data d)
{
    if (threadIdx.x < 20)
        d.out[here()] = __popc(__ballot_sync(right ? 0xfffffu : 0xffffffffu, d.in[here()] & 1));
}

static bool is_half_of_20(const unsigned *out)
{
    return out[0] == 10 && out[19] == 10 && out[20] == 0 && out[THREADS] == 10;
}

/* The same. The bug: the other lanes have returned, and are named all the same. */
template <bool right> static __global__ void ballot_after_return(data d)
{
    if (threadIdx.x >= 20)
        return;
    d.out[here()] = __popc(__ballot_sync(right ? 0xfffffu : 0xffffffffu, d.in[here()] & 1));
}

/* out = in of the lane 20 further on, for the first 12. The bug: those lanes are not in the mask. */
template <bool right> static __global__ void shuffle_outside(data d)
{
    unsigned lane = threadIdx.x % 32, mask = right ? 0xffffffffu : 0xfffu;
    if (mask >> lane & 1) {
        unsigned other = __shfl_down_sync(mask, d.in[here()], 20);
        if (lane < 12)
            d.out[here()] = other;
    }
}

static bool is_from_20_on(const unsigned *out)
{
    return out[0] == 21 && out[11] == 32 && out[THREADS + 32] == THREADS + 53;
}

/* Half of a warp adds up, the other half looks for the largest. The bug: both name the whole warp. */
template <bool right> static __global__ void mixed_operations(data d)
{
    bool low = threadIdx.x % 32 < 16;
    unsigned mask = right ? (low ? 0xffffu : 0xffff0000u) : 0xffffffffu;
    if (low)
        d.out[here()] = __reduce_add_sync(mask, 1u);
    else
        d.out[here()] = __reduce_max_sync(mask, d.in[here()]);
}

static bool is_reduced(const unsigned *out)
{
    return out[0] == 16 && out[15] == 16 && out[16] == 32 && out[THREADS + 63] == 2 * THREADS;
}

/* Blocks in reverse. The bug: threads that have nothing to do return before the barrier. */
template <bool right> static __global__ void barrier_after_exit(data d)
{
    FL_SHARED(tile, shared);
    bool idle = threadIdx.x >= 50;
    if (idle && !right)
        return;
    shared.x[threadIdx.x] = d.in[here()];
    __syncthreads();
    if (!idle)
        d.out[here()] = shared.x[49 - threadIdx.x];
}

static bool is_reversed_in_50(const unsigned *out)
{
    return out[0] == 50 && out[49] == 1 && out[50] == 0 && out[THREADS] == THREADS + 50;
}

/* out = in, behind a barrier. The bug: each half of the block has its own. */
template <bool right> static __global__ void two_barriers(data d)
{
    if (right)
        __syncthreads();
    else if (threadIdx.x < 32)
        __syncthreads();
    else
        __syncthreads();
    d.out[here()] = d.in[here()];
}

/* out = in, behind a ballot and a barrier. The bug: one lane leaves the ballot out. */
template <bool right> static __global__ void deadlock(data d)
{
    if (threadIdx.x != 5 || right)
        __ballot_sync(0xffffffffu, 1);
    __syncthreads();
    d.out[here()] = d.in[here()];
}

/* out = in, once the first block has said so. The bug: it never does. */
template <bool right> static __global__ void wait_for_ever(data d)
{
    if (right && here() == 0)
        atomicExch(d.flags, 1);
    while (!atomicAdd(d.flags, 0))
        ;
    d.out[here()] = d.in[here()];
}

/* The same for a loop that never lets anybody else run. The bug: it looks without an atomic. */
template <bool right> static __global__ void wait_without_atomic(data d)
{
    const volatile unsigned *flag = d.flags;
    if (here() == 0)
        atomicExch(d.flags, 1);
    while (right ? !atomicAdd(d.flags, 0) : !*flag)
        ;
    d.out[here()] = d.in[here()];
}

/* out = in. The bug: the pointer is the host's, see run(). */
static __global__ void copy(const unsigned *in, unsigned *out)
{
    out[here()] = in[here()];
}

#define KERNEL(name, check)                                                                                  \
    {                                                                                                        \
#name, [](data d) { FL_LAUNCH(name<false>, BLOCKS, THREADS, NULL, d); },                             \
            [](data d) { FL_LAUNCH(name<true>, BLOCKS, THREADS, NULL, d); }, check       \
    }
static const struct {
    const char *name;
    void (*bug)(data);
    void (*right)(data);
    bool (*check)(const unsigned *out);
} kernels[] = {
    KERNEL(missing_barrier, is_reversed),
    KERNEL(write_after_read, is_reversed),
    KERNEL(plain_store, is_handed_on),
    KERNEL(missing_fence, is_added_up),
    KERNEL(plain_add, is_counted),
    KERNEL(missing_syncwarp, is_reversed_in_warps),
    KERNEL(shared_overrun, is_copied),
    KERNEL(device_overrun, is_copied),
    KERNEL(misaligned_vector, is_copied_but_for_the_last),
    KERNEL(uninitialised_shared, is_copied),
    KERNEL(partial_ballot, is_half_of_20),
    KERNEL(ballot_after_return, is_half_of_20),
    KERNEL(shuffle_outside, is_from_20_on),
    KERNEL(mixed_operations, is_reduced),
    KERNEL(barrier_after_exit, is_reversed_in_50),
    KERNEL(two_barriers, is_copied),
    KERNEL(deadlock, is_copied),
    KERNEL(wait_for_ever, is_copied),
    KERNEL(wait_without_atomic, is_copied),
};

/* Everything a kernel works with, and where its output comes back. */
struct setting {
    unsigned in[ALL], out[ALL];
    unsigned *pinned; /* ALL elements */
    data device;
    cudaStream_t streams[2];
    cudaEvent_t event;
};

static void must(cudaError_t error)
{
    if (error == cudaSuccess)
        return;
    fprintf(stderr, "planted: %s\n", cudaGetErrorString(error));
    exit(PLANTED_USAGE);
}

static void set_up(setting *s)
{
    unsigned *in;
    for (unsigned i = 0; i < ALL; i++)
        s->in[i] = i + 1;
    must(cudaMalloc(&in, sizeof s->in));
    must(cudaMalloc(&s->device.out, sizeof s->out));
    must(cudaMalloc(&s->device.flags, BLOCKS * sizeof(unsigned)));
    must(cudaMallocHost(&s->pinned, sizeof s->in));
    must(cudaMemcpy(in, s->in, sizeof s->in, cudaMemcpyHostToDevice));
    must(cudaMemset(s->device.out, 0, sizeof s->out));
    must(cudaMemset(s->device.flags, 0, BLOCKS * sizeof(unsigned)));
    must(cudaStreamCreateWithFlags(&s->streams[0], cudaStreamNonBlocking));
    must(cudaStreamCreateWithFlags(&s->streams[1], cudaStreamNonBlocking));
    must(cudaEventCreate(&s->event));
    must(cudaDeviceSynchronize());
    memset(s->pinned, 0, sizeof s->in);
    s->device.in = in;
}

static void tear_down(setting *s)
{
    must(cudaEventDestroy(s->event));
    must(cudaStreamDestroy(s->streams[0]));
    must(cudaStreamDestroy(s->streams[1]));
    must(cudaFree((void *)s->device.in));
    must(cudaFree(s->device.out));
    must(cudaFree(s->device.flags));
    must(cudaFreeHost(s->pinned));
}

static void fetch(setting *s)
{
    must(cudaMemcpy(s->out, s->device.out, sizeof s->out, cudaMemcpyDeviceToHost));
}

/* Mistakes of the host. Each leaves in s->out what should be a copy of s->in. */

static void host_pointer(setting *s, bool right)
{
    FL_LAUNCH(copy, BLOCKS, THREADS, NULL, right ? s->device.in : s->in, s->device.out);
    fetch(s);
}

static void result_before_wait(setting *s, bool right)
{
    FL_LAUNCH(copy, BLOCKS, THREADS, s->streams[0], s->device.in, s->device.out);
    must(cudaMemcpyAsync(s->pinned, s->device.out, sizeof s->out, cudaMemcpyDeviceToHost, s->streams[0]));
    if (right)
        must(cudaStreamSynchronize(s->streams[0]));
    memcpy(s->out, s->pinned, sizeof s->out);
}

static void buffer_used_again(setting *s, bool right)
{
    memcpy(s->pinned, s->in, sizeof s->in);
    must(cudaMemcpyAsync(s->device.out, s->pinned, sizeof s->in, cudaMemcpyHostToDevice, s->streams[0]));
    if (right)
        must(cudaStreamSynchronize(s->streams[0]));
    memset(s->pinned, 0, sizeof s->in);
    must(cudaStreamSynchronize(s->streams[0]));
    fetch(s);
}

static void missing_event(setting *s, bool right)
{
    FL_LAUNCH(copy, BLOCKS, THREADS, s->streams[0], s->device.in, s->device.out);
    must(cudaEventRecord(s->event, s->streams[0]));
    if (right)
        must(cudaStreamWaitEvent(s->streams[1], s->event, 0));
    must(cudaMemcpyAsync(s->pinned, s->device.out, sizeof s->out, cudaMemcpyDeviceToHost, s->streams[1]));
    must(cudaStreamSynchronize(s->streams[1]));
    memcpy(s->out, s->pinned, sizeof s->out);
}

static void use_after_free(setting *s, bool right)
{
    unsigned *more;
    must(cudaMalloc(&more, sizeof s->in));
    must(cudaMemcpy(more, s->in, sizeof s->in, cudaMemcpyHostToDevice));
    data d = s->device;
    d.in = more;
    if (!right)
        must(cudaFree(more));
    FL_LAUNCH(device_overrun<true>, BLOCKS, THREADS, NULL, d);
    fetch(s);
    if (right)
        must(cudaFree(more));
}

static void host_reads_device(setting *s, bool right)
{
    if (right)
        must(cudaMemcpy(s->out, s->device.in, sizeof s->out, cudaMemcpyDeviceToHost));
    else
        memcpy(s->out, s->device.in, sizeof s->out);
}

static const struct {
    const char *name;
    void (*run)(setting *s, bool right);
} hosts[] = {
    {"host_pointer", host_pointer},     {"result_before_wait", result_before_wait},
    {"missing_event", missing_event},   {"buffer_used_again", buffer_used_again},
    {"use_after_free", use_after_free}, {"host_reads_device", host_reads_device},
};

/* 0 or WRONG; PLANTED_USAGE when there is no such bug. */
static int run(const char *name, bool right)
{
    static setting s;
    int code = PLANTED_USAGE;
    set_up(&s);
    for (const auto &kernel : kernels) {
        if (strcmp(kernel.name, name))
            continue;
        (right ? kernel.right : kernel.bug)(s.device);
        fetch(&s);
        code = kernel.check(s.out) ? 0 : PLANTED_WRONG;
    }
    for (const auto &host : hosts) {
        if (strcmp(host.name, name))
            continue;
        host.run(&s, right);
        code = is_copied(s.out) ? 0 : PLANTED_WRONG;
    }
    tear_down(&s);
    return code;
}

int main(int count, char **arguments)
{
    bool right = count > 1 && !strcmp(arguments[1], "right");
    if (count < 3 || (!right && strcmp(arguments[1], "bug"))) {
        fprintf(stderr, "use: emu_planted bug|right NAME ...\n");
        return PLANTED_USAGE;
    }
    struct fl_emu_options options = fl_emu_defaults();
    options.patience_s = 1; /* two of them never end by themselves */
    fl_emu_configure(&options);
    for (int i = 2; i < count; i++) {
        int code = run(arguments[i], right);
        if (code) {
            fprintf(stderr, "%s: %s\n", arguments[i], code == PLANTED_WRONG ? "wrong result" : "no such bug");
            return code;
        }
    }
    return 0;
}
