/* Opening a session: what fits on the device, and the memory for it. */
#include "client/device/session.cuh"

#include <stdio.h>
#include <stdlib.h>

#include "client/device/plugin.cuh"

/* Of what is free, this much is taken at most: the rest is for cuBLAS, the context and whoever else is there.
 */
#define FREE_SHARE(bytes) ((bytes) / 10 * 9)

int fl_session_fail(struct fl_device_session *s, const char *what, cudaError_t error)
{
    return fl_plugin_fail(&s->text, what, error);
}

int fl_session_fail_blas(struct fl_device_session *s, const char *what, cublasStatus_t status)
{
    snprintf(s->text.text, sizeof s->text.text, "%s: cuBLAS says status %d", what, (int)status);
    return status == CUBLAS_STATUS_ALLOC_FAILED ? FL_DEVICE_NOMEM : FL_DEVICE_FAILED;
}

int fl_session_device_alloc(struct fl_device_session *s, void **ret_memory, uint64_t bytes)
{
    *ret_memory = NULL;
    if (bytes > s->budget - s->device_bytes) {
        snprintf(s->text.text, sizeof s->text.text,
                 "%llu bytes of device memory are wanted, %llu may be taken",
                 (unsigned long long)(s->device_bytes + bytes), (unsigned long long)s->budget);
        return FL_DEVICE_NOMEM;
    }
    FL_TRY(s, "taking device memory", cudaMalloc(ret_memory, bytes));
    s->device_bytes += bytes;
    return FL_DEVICE_OK;
}

int fl_session_pinned_alloc(struct fl_device_session *s, void **ret_memory, uint64_t bytes)
{
    *ret_memory = NULL;
    FL_TRY(s, "taking pinned memory", cudaHostAlloc(ret_memory, bytes, cudaHostAllocDefault));
    s->pinned_bytes += bytes;
    return FL_DEVICE_OK;
}

void fl_session_device_free(struct fl_device_session *s, void *memory, uint64_t bytes)
{
    if (!memory)
        return;
    (void)cudaFree(memory);
    s->device_bytes -= bytes;
}

void fl_session_pinned_free(struct fl_device_session *s, void *memory, uint64_t bytes)
{
    if (!memory)
        return;
    (void)cudaFreeHost(memory);
    s->pinned_bytes -= bytes;
}

int fl_session_read_numbers(struct fl_device_session *s)
{
    FL_TRY(s, "reading numbers",
           cudaMemcpyAsync(s->pinned_numbers, s->numbers, sizeof *s->numbers, cudaMemcpyDeviceToHost,
                           s->stream));
    FL_TRY(s, "waiting for the device", cudaStreamSynchronize(s->stream));
    return FL_DEVICE_OK;
}

static int take_vectors(struct fl_device_session *s)
{
    float **vectors[] = {&s->replica, &s->residual, &s->end, &s->gradient, &s->momentum};
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        void *memory;
        int status = fl_session_device_alloc(s, &memory, s->network.elems * sizeof(float));
        if (status)
            return status;
        *vectors[i] = (float *)memory;
    }
    return fl_session_device_alloc(s, &s->workspace, fl_cuda_workspace_bytes(s->network.elems));
}

static int take_numbers(struct fl_device_session *s)
{
    void *device, *pinned;
    int status = fl_session_device_alloc(s, &device, sizeof *s->numbers);
    s->numbers = (struct fl_numbers *)device;
    if (!status)
        status = fl_session_pinned_alloc(s, &pinned, sizeof *s->numbers);
    if (!status)
        s->pinned_numbers = (struct fl_numbers *)pinned;
    return status;
}

static uint64_t rows_bytes(const struct fl_device_session *s, const struct fl_rows *rows,
                           uint64_t *ret_x_bytes)
{
    *ret_x_bytes = rows->host.rows * s->network.sizes[0] * sizeof(float);
    return *ret_x_bytes + rows->host.rows * sizeof(uint32_t);
}

/* Rows go to the device for good when there is room for them and, besides, for streaming others. */
static int settle(struct fl_device_session *s, struct fl_rows *rows, uint64_t reserve)
{
    uint64_t x_bytes, bytes = rows_bytes(s, rows, &x_bytes);
    if (!rows->host.rows || s->device_bytes + reserve + bytes > s->budget)
        return FL_DEVICE_OK;
    void *memory;
    int status = fl_session_device_alloc(s, &memory, bytes);
    if (status == FL_DEVICE_NOMEM) /* in pieces too small: then they are streamed */
        (void)cudaGetLastError();
    if (status)
        return status == FL_DEVICE_NOMEM ? FL_DEVICE_OK : status;
    rows->x = (float *)memory;
    rows->labels = (uint32_t *)((unsigned char *)memory + x_bytes);
    FL_TRY(s, "copying the data", fl_bus_up(&s->bus, rows->x, rows->host.x, x_bytes, s->stream));
    FL_TRY(s, "copying the data",
           fl_bus_up(&s->bus, rows->labels, rows->host.labels, bytes - x_bytes, s->stream));
    return FL_DEVICE_OK;
}

static int set_budget(struct fl_device_session *s, uint64_t limit)
{
    size_t free_bytes, total_bytes;
    FL_TRY(s, "asking for free memory", cudaMemGetInfo(&free_bytes, &total_bytes));
    s->budget = FREE_SHARE((uint64_t)free_bytes);
    if (limit && limit < s->budget)
        s->budget = limit;
    return FL_DEVICE_OK;
}

static int open_streams(struct fl_device_session *s, uint32_t device)
{
    FL_TRY(s, "choosing the device", cudaSetDevice((int)device));
    FL_TRY(s, "making a stream", cudaStreamCreateWithFlags(&s->stream, cudaStreamNonBlocking));
    FL_TRY(s, "making a stream", cudaStreamCreateWithFlags(&s->copier, cudaStreamNonBlocking));
    cublasStatus_t status = cublasCreate(&s->blas);
    if (!status)
        status = cublasSetStream(s->blas, s->stream);
    if (status)
        return fl_session_fail_blas(s, "starting cuBLAS", status);
    FL_TRY(s, "taking pinned memory", fl_bus_init(&s->bus));
    s->pinned_bytes += 2 * FL_BUS_BYTES;
    return FL_DEVICE_OK;
}

static int open(struct fl_device_session *s, const struct fl_device_job *job)
{
    s->network = job->network;
    s->kind.is_logistic = job->network.is_logistic;
    s->kind.count = job->network.sizes[job->network.layers];
    s->train.host = job->train;
    s->test.host = job->test;
    s->evaluate_batch = job->evaluate_batch;
    int status = open_streams(s, job->device);
    if (!status)
        status = set_budget(s, job->memory_bytes);
    if (!status)
        status = take_numbers(s);
    if (!status)
        status = take_vectors(s);
    uint64_t reserve = fl_batches_bytes(s, job->evaluate_batch);
    if (!status)
        status = settle(s, &s->train, reserve);
    if (!status)
        status = settle(s, &s->test, reserve);
    if (!status)
        status = fl_batches_make_room(s, job->evaluate_batch);
    return status;
}

int fl_session_open(const struct fl_device_job *job, struct fl_device_session **ret_session,
                    struct fl_device_text *text)
{
    if (job->size != sizeof *job) {
        snprintf(text->text, sizeof text->text, "a job of %u bytes, this plugin has %zu", job->size,
                 sizeof *job);
        return FL_DEVICE_FAILED;
    }
    struct fl_device_session *s = (struct fl_device_session *)calloc(1, sizeof *s);
    if (!s) {
        snprintf(text->text, sizeof text->text, "out of memory");
        return FL_DEVICE_NOMEM;
    }
    int status = open(s, job);
    if (status) {
        *text = s->text;
        fl_session_close(s);
        return status;
    }
    *ret_session = s;
    return FL_DEVICE_OK;
}

void fl_session_close(struct fl_device_session *s)
{
    if (!s)
        return;
    if (s->copier)
        (void)cudaStreamSynchronize(s->copier);
    if (s->stream)
        (void)cudaStreamSynchronize(s->stream);
    fl_batches_done(s);
    fl_bus_done(&s->bus);
    void *const memory[] = {s->replica,   s->residual, s->end,     s->gradient, s->momentum,
                            s->workspace, s->numbers,  s->train.x, s->test.x};
    for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++)
        if (memory[i])
            (void)cudaFree(memory[i]);
    if (s->pinned_numbers)
        (void)cudaFreeHost(s->pinned_numbers);
    if (s->began)
        (void)cudaEventDestroy(s->began);
    if (s->ended)
        (void)cudaEventDestroy(s->ended);
    if (s->blas)
        (void)cublasDestroy(s->blas);
    if (s->copier)
        (void)cudaStreamDestroy(s->copier);
    if (s->stream)
        (void)cudaStreamDestroy(s->stream);
    free(s);
}
