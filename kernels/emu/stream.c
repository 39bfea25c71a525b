#include "kernels/emu/runtime.h"

#include <stdlib.h>
#include <time.h>

#include "kernels/emu/grid.h"

/* Tasks that wait at most; a host that queues more has the oldest run. */
#define QUEUED_MAX 4096

struct CUstream_st {
    struct CUstream_st *next; /* in the order in which they were made */
    int blocking;             /* ordered with the default stream */
    struct fl_task *first, **last;
};

struct CUevent_st {
    uint64_t recorded, completed; /* how many times */
    unsigned users;               /* tasks, and the caller until it destroys it */
    int timed;
    struct timespec time;
};

static struct CUstream_st default_stream, *streams; /* the latter without the former */
static uint64_t tickets;
static size_t queued;

void *fl_task_new(size_t bytes, void (*run)(struct fl_task *task))
{
    struct fl_task *task = calloc(1, bytes);
    if (task)
        task->run = run;
    return task;
}

static struct CUstream_st *stream_of(cudaStream_t handle)
{
    return handle ? handle : &default_stream;
}

cudaError_t fl_stream_check(cudaStream_t stream)
{
    const struct CUstream_st *known = streams;
    while (known && known != stream)
        known = known->next;
    return !stream || known ? cudaSuccess : cudaErrorInvalidResourceHandle;
}

/* Running. */

/* Tasks on the default stream come behind earlier ones of all blocking streams, and before later ones. */
static int default_may_run(void)
{
    for (const struct CUstream_st *stream = streams; stream; stream = stream->next) {
        if (stream->blocking && stream->first && stream->first->ticket < default_stream.first->ticket)
            return 0;
    }
    return 1;
}

static int may_run(const struct CUstream_st *stream)
{
    const struct fl_task *task = stream->first;
    if (!task || (task->ready && !task->ready(task)))
        return 0;
    if (stream == &default_stream)
        return default_may_run();
    return !stream->blocking || !default_stream.first || default_stream.first->ticket > task->ticket;
}

static void run_first(struct CUstream_st *stream)
{
    struct fl_task *task = stream->first;
    stream->first = task->next;
    fl_memory_open();
    task->run(task);
    fl_memory_close();
    free(task);
    queued--;
}

/* Runs one task of a stream that the schedule chooses: the oldest stream, the latest, or any. */
static void step(void)
{
    struct CUstream_st *chosen = NULL;
    uint64_t able = 0;
    for (struct CUstream_st *stream = &default_stream; stream;
         stream = stream == &default_stream ? streams : stream->next) {
        if (!may_run(stream))
            continue;
        able++;
        if (!chosen || fl_runtime.options.schedule == FL_EMU_REVERSE ||
            (fl_runtime.options.schedule == FL_EMU_RANDOM && fl_grid_random(able) == 0))
            chosen = stream;
    }
    run_first(chosen); /* there is one: of all tasks the one with the first ticket waits for nothing */
}

void fl_stream_queue(cudaStream_t handle, struct fl_task *task)
{
    struct CUstream_st *stream = stream_of(handle);
    while (queued >= QUEUED_MAX)
        step();
    if (!stream->first)
        stream->last = &stream->first;
    task->ticket = ++tickets;
    task->next = NULL;
    *stream->last = task;
    stream->last = &task->next;
    queued++;
}

void fl_stream_drain(cudaStream_t handle)
{
    struct CUstream_st *stream = stream_of(handle);
    while (stream->first)
        step();
}

void fl_stream_drain_all(void)
{
    while (queued)
        step();
}

cudaError_t cudaDeviceSynchronize(void)
{
    fl_runtime_enter();
    fl_runtime.counts.synchronisations++;
    fl_stream_drain_all();
    return fl_runtime_leave(fl_runtime_device());
}

/* Streams. */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *ret_stream, unsigned flags)
{
    fl_runtime_enter();
    cudaError_t error = fl_runtime_device();
    struct CUstream_st *stream = error ? NULL : calloc(1, sizeof *stream), **link = &streams;
    if (!stream)
        return fl_runtime_leave(error ? error : cudaErrorMemoryAllocation);
    stream->blocking = !(flags & cudaStreamNonBlocking);
    while (*link)
        link = &(*link)->next;
    *link = stream;
    *ret_stream = stream;
    return fl_runtime_leave(cudaSuccess);
}

cudaError_t cudaStreamCreate(cudaStream_t *stream)
{
    return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    fl_runtime_enter();
    cudaError_t error = stream ? fl_stream_check(stream) : cudaErrorInvalidResourceHandle;
    if (error)
        return fl_runtime_leave(error);
    struct CUstream_st **link = &streams;
    fl_stream_drain(stream);
    while (*link != stream)
        link = &(*link)->next;
    *link = stream->next;
    free(stream);
    return fl_runtime_leave(cudaSuccess);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    fl_runtime_enter();
    cudaError_t error = fl_stream_check(stream);
    fl_runtime.counts.synchronisations++;
    if (!error)
        fl_stream_drain(stream);
    return fl_runtime_leave(error);
}

/* A question moves things on a little, so that a host that asks in a loop gets its answer. It leaves no error
 * behind: "not ready" is none. */
static cudaError_t answer(cudaError_t error, int ready)
{
    if (!error && !ready)
        step();
    error = fl_runtime_leave(error);
    return error || ready ? error : cudaErrorNotReady;
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    fl_runtime_enter();
    cudaError_t error = fl_stream_check(stream);
    return answer(error, error || !stream_of(stream)->first);
}

/* Events. */

struct event_task {
    struct fl_task task;
    struct CUevent_st *event;
    uint64_t record; /* which of the event's */
};

static void leave_event(struct CUevent_st *event)
{
    if (--event->users == 0)
        free(event);
}

static void run_record(struct fl_task *task)
{
    struct event_task *self = (struct event_task *)task;
    self->event->completed = self->record;
    clock_gettime(CLOCK_MONOTONIC, &self->event->time);
    leave_event(self->event);
}

static void run_wait(struct fl_task *task)
{
    leave_event(((struct event_task *)task)->event);
}

static int has_happened(const struct fl_task *task)
{
    const struct event_task *self = (const struct event_task *)task;
    return self->event->completed >= self->record;
}

static cudaError_t queue_event(struct CUevent_st *event, cudaStream_t stream, uint64_t record,
                               void (*run)(struct fl_task *task), int (*ready)(const struct fl_task *task))
{
    cudaError_t error = event ? fl_stream_check(stream) : cudaErrorInvalidResourceHandle;
    struct event_task *self = error ? NULL : fl_task_new(sizeof *self, run);
    if (!self)
        return error ? error : cudaErrorMemoryAllocation;
    self->event = event;
    self->record = record;
    self->task.ready = ready;
    event->users++;
    fl_stream_queue(stream, &self->task);
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *ret_event, unsigned flags)
{
    fl_runtime_enter();
    cudaError_t error = fl_runtime_device();
    struct CUevent_st *event = error ? NULL : calloc(1, sizeof *event);
    if (!event)
        return fl_runtime_leave(error ? error : cudaErrorMemoryAllocation);
    event->users = 1;
    event->timed = !(flags & cudaEventDisableTiming);
    *ret_event = event;
    return fl_runtime_leave(cudaSuccess);
}

cudaError_t cudaEventCreate(cudaEvent_t *event)
{
    return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    fl_runtime_enter();
    if (!event)
        return fl_runtime_leave(cudaErrorInvalidResourceHandle);
    leave_event(event);
    return fl_runtime_leave(cudaSuccess);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    fl_runtime_enter();
    cudaError_t error = queue_event(event, stream, event ? event->recorded + 1 : 0, run_record, NULL);
    if (!error)
        event->recorded++;
    return fl_runtime_leave(error);
}

/* Waits for the latest record there is; one that comes after this call is not waited for. */
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags)
{
    (void)flags;
    fl_runtime_enter();
    return fl_runtime_leave(queue_event(event, stream, event ? event->recorded : 0, run_wait, has_happened));
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    fl_runtime_enter();
    fl_runtime.counts.synchronisations++;
    if (!event)
        return fl_runtime_leave(cudaErrorInvalidResourceHandle);
    while (event->completed < event->recorded)
        step();
    return fl_runtime_leave(cudaSuccess);
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    fl_runtime_enter();
    return event ? answer(cudaSuccess, event->completed >= event->recorded)
                 : fl_runtime_leave(cudaErrorInvalidResourceHandle);
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t end)
{
    fl_runtime_enter();
    if (!start || !end || !start->timed || !end->timed || !start->recorded || !end->recorded)
        return fl_runtime_leave(cudaErrorInvalidResourceHandle);
    if (start->completed < start->recorded || end->completed < end->recorded)
        return fl_runtime_leave(cudaErrorNotReady);
    *ms = (float)((double)(end->time.tv_sec - start->time.tv_sec) * 1e3 +
                  (double)(end->time.tv_nsec - start->time.tv_nsec) / 1e6);
    return fl_runtime_leave(cudaSuccess);
}
