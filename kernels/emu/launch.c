#include <string.h>

#include "kernels/emu/grid.h"
#include "kernels/emu/report.h"
#include "kernels/emu/runtime.h"

struct launch {
    struct fl_task task;
    struct fl_grid_work work;
    _Alignas(16) char arguments[];
};

static void run_launch(struct fl_task *task)
{
    struct launch *launch = (struct launch *)task;
    fl_grid_run(&launch->work, &fl_runtime.options);
}

static cudaError_t check_size(const struct fl_emu_index *blocks, const struct fl_emu_index *threads)
{
    const unsigned most = FL_EMU_WARP * FL_EMU_WARPS_MAX;
    if (!blocks->x || !blocks->y || !blocks->z || !threads->x || !threads->y || !threads->z)
        return cudaErrorInvalidConfiguration;
    if (blocks->x > INT32_MAX || blocks->y > 65535 || blocks->z > 65535)
        return cudaErrorInvalidConfiguration;
    if (threads->x > most || threads->y > most || threads->z > 64 || threads->x * threads->y > most ||
        threads->x * threads->y * threads->z > most)
        return cudaErrorInvalidConfiguration;
    return cudaSuccess;
}

static cudaError_t queue_launch(const struct fl_grid_work *work, cudaStream_t stream, size_t bytes)
{
    cudaError_t error = fl_runtime_device();
    if (!error)
        error = fl_stream_check(stream);
    if (!error)
        error = check_size(&work->blocks, &work->threads);
    if (!error && fl_runtime_fails(&fl_runtime.fail_launch))
        error = cudaErrorLaunchOutOfResources;
    struct launch *launch = error ? NULL : fl_task_new(sizeof *launch + bytes, run_launch);
    if (!launch)
        return error ? error : cudaErrorMemoryAllocation;
    launch->work = *work;
    launch->work.arguments = launch->arguments;
    memcpy(launch->arguments, work->arguments, bytes);
    fl_stream_queue(stream, &launch->task);
    fl_runtime.counts.launches++;
    return cudaSuccess;
}

void fl_emu_launch(const char *kernel, struct fl_emu_index blocks, struct fl_emu_index threads, void *stream,
                   void (*call)(const void *arguments), const void *arguments, size_t bytes)
{
    struct fl_grid_work work = {kernel, blocks, threads, call, arguments};
    fl_runtime_enter();
    fl_runtime_leave(queue_launch(&work, stream, bytes));
}

void fl_emu_check_pointer(const char *kernel, unsigned number, const void *pointer)
{
    fl_runtime_enter();
    if (pointer && !fl_memory_reachable(pointer, 0) && !fl_memory_ends(pointer))
        fl_report_kernel(
            kernel, "argument %u is a pointer to memory of the host that is not pinned, or to none", number);
    fl_runtime_leave(cudaSuccess);
}
