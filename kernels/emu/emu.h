/*
 * The CUDA emulator, for tests only: runs the project's .cu files on the CPU, so that kernels are shown
 * right and free of races where there is no card. A .cu file is compiled as C++ with kernels/emu/include
 * first on the include path; it takes FL_LAUNCH and FL_SHARED from kernels/cuda/launch.cuh and is
 * otherwise ordinary CUDA. README.md tells how to write a test.
 *
 * What it shows
 * - Results, bit by bit, under several schedules of threads and blocks (below). Threads of a block advance
 *   independently up to the next barrier, warp operation or atomic, as on Volta and newer: nothing runs in
 *   lockstep.
 * - Misuse, as a report on stderr and exit code FL_EMU_EXIT: a barrier that not all threads of a block
 *   reach, that is reached from different source lines or after a thread has returned; a warp operation
 *   whose mask names a lane that has returned, does not exist, does another operation or never comes; a
 *   shuffle from a lane outside the mask; a kernel argument that is a pointer to memory a device cannot
 *   reach; a thread that waits in a loop for ever. Stricter than CUDA, which lets barriers and masks pass
 *   over threads that have returned.
 * - Races within and between blocks, in builds with ThreadSanitizer. Order is made by __syncthreads, by
 *   __syncwarp, by the start and end of a kernel, and by a __threadfence before an atomic together with an
 *   atomic before a __threadfence; by nothing else. Shuffles, ballots and atomics alone order nothing.
 * - Overruns of shared and of device memory and use after cudaFree, in builds with AddressSanitizer: both
 *   kinds of memory have their exact size.
 * - Host code that follows a device pointer, in the same builds: device memory is open only to what runs on
 *   the device. Misaligned vectors, with UndefinedBehaviorSanitizer.
 * - Reads of memory nobody has written: shared and device memory start as garbage that differs by seed.
 * - Missing synchronisation of the host: what is queued on a stream runs only when the host waits for it,
 *   other streams in an order given by the schedule. Pageable host memory is copied like CUDA does: to the
 *   device from a snapshot, to the host before the call returns.
 *
 * What it cannot show
 * - Coalescing, bank conflicts, occupancy, registers, spills: anything about speed.
 * - Orders weaker than sequential consistency, other than as races ThreadSanitizer sees. After a
 *   __threadfence, every later atomic of that thread publishes everything before the atomic, not only what
 *   came before the fence.
 * - A kernel that reads pageable host memory through a pointer inside a struct or an array.
 * - Races through private (local) memory of another thread, dynamic shared memory, textures, cooperative
 *   groups, float atomics, dynamic parallelism: not there; what is not declared in include/cuda_runtime.h
 *   does not compile.
 * - Under ThreadSanitizer two threads of one launch may share one of its contexts, if the launch has more
 *   threads than FL_EMU_CONTEXTS; a race between just these two is then missed.
 *
 * Any thread may call; one grid runs at a time.
 */
#ifndef FL_KERNELS_EMU_EMU_H
#define FL_KERNELS_EMU_EMU_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Exit code of the process after a report. */
#define FL_EMU_EXIT 87

/* So many threads of one launch ThreadSanitizer tells apart; each costs it most of a millisecond, once. */
#define FL_EMU_CONTEXTS 256

enum fl_emu_schedule {
    FL_EMU_FORWARD, /* blocks and threads from the first to the last */
    FL_EMU_REVERSE, /* from the last to the first */
    FL_EMU_RANDOM, /* any thread of any resident block at each step, and now and then another before an atomic
                    */
};

enum fl_emu_switching {
    FL_EMU_X86_64,   /* hand-written, only on x86-64 */
    FL_EMU_UCONTEXT, /* swapcontext(): anywhere, and slower */
};

struct fl_emu_options {
    enum fl_emu_schedule schedule;
    uint64_t seed; /* of the random schedule and of the garbage in fresh memory */
    enum fl_emu_switching switching;
    unsigned resident_blocks; /* blocks that are under way at once, at least 1 */
    int devices;              /* 0: calls fail with cudaErrorNoDevice */
    size_t memory_bytes;      /* of the device */
    unsigned patience_s; /* processor seconds without any progress before a grid is given up, at least 1 */
};

/* forward, seed 1, the fastest switching there is, 4 blocks, 1 device of 4 GiB, 20 s; the schedule is that of
 * the environment's FL_EMU_SCHEDULE if set: "forward", "reverse" or "random:SEED". Anything else there is
 * reported. */
struct fl_emu_options fl_emu_defaults(void);

/* Waits for all that is queued, then takes options for everything after. Before the first call: the defaults.
 */
void fl_emu_configure(const struct fl_emu_options *options);

/* The nth cudaMalloc or cudaHostAlloc from now on fails with cudaErrorMemoryAllocation; 0: none. */
void fl_emu_fail_allocation(unsigned nth);

/* The nth launch from now on fails with cudaErrorLaunchOutOfResources and runs nothing; 0: none. */
void fl_emu_fail_launch(unsigned nth);

/* What has been asked of the device since the process began. */
struct fl_emu_counts {
    uint64_t launches, allocations, synchronisations; /* allocations of device or pinned memory */
    uint64_t bytes_to_device, bytes_to_host;          /* over the bus, by copies that have run */
    size_t device_bytes, pinned_bytes;                /* held now */
};

struct fl_emu_counts fl_emu_read_counts(void);

#ifdef __cplusplus
}
#endif

#endif
