/* What the parts of the plugin share: one client's vectors, data and streams on a device. Private to the
 * plugin. */
#ifndef FL_CLIENT_DEVICE_SESSION_CUH
#define FL_CLIENT_DEVICE_SESSION_CUH

#include <cublas_v2.h>
#include <cuda_runtime.h>

#include "client/device/abi.h"
#include "client/device/bus.cuh"
#include "client/device/losses.cuh"
#include "kernels/cuda/cut.h"
#include "kernels/cuda/network.h"
#include "kernels/cuda/taken.h"

/* What the host reads at the end of a piece of work; on the device, and pinned. */
struct fl_numbers {
    double loss_sum, squares;
    struct fl_cuda_measure measure;
    struct fl_cuda_found found; /* what take() takes */
    struct fl_cuda_cut cut;
    uint32_t worst, pad; /* bits of the largest magnitude of a vector */
};

/* A batch on its way: filled by the host in pinned memory, copied by the copier, used by the stream. */
struct fl_slot {
    unsigned char *pinned, *device; /* rows, or labels and then x */
    cudaEvent_t copied, used;
};

struct fl_rows {
    struct fl_device_data host;
    float *x; /* on the device; NULL: streamed */
    uint32_t *labels;
};

struct fl_device_session {
    struct fl_device_text text;
    struct fl_device_network network;
    struct fl_loss_kind kind;
    cudaStream_t stream, copier; /* all work; batches on their way */
    cublasHandle_t blas;
    struct fl_bus bus;
    uint64_t budget, device_bytes, pinned_bytes; /* of the device at most; taken */
    uint32_t evaluate_batch;

    float *replica, *residual, *end; /* shape (elems) each */
    float *gradient, *momentum;      /* shape (elems); after take() they hold what it took */
    void *workspace;                 /* of kernels/cuda */
    struct fl_numbers *numbers, *pinned_numbers;

    struct fl_rows train, test;
    struct fl_kernels_descent descent;
    uint32_t capacity;                            /* rows that the following have room for */
    float *activations[FL_DEVICE_LAYERS_MAX + 1]; /* [0]: a gathered batch */
    float *errors[2];
    uint32_t *labels, *right;
    double *losses;
    unsigned char *batch_block; /* holds them all */
    struct fl_slot slots[2];
    unsigned next_slot;
    cudaEvent_t began, ended; /* of what is timed; NULL until then */
};

/* Writes the sentence of a failure; returns its status. */
int fl_session_fail(struct fl_device_session *s, const char *what, cudaError_t error);
int fl_session_fail_blas(struct fl_device_session *s, const char *what, cublasStatus_t status);

/* session.cu: memory within the budget. *ret_memory is NULL on failure. */
int fl_session_device_alloc(struct fl_device_session *s, void **ret_memory, uint64_t bytes);
int fl_session_pinned_alloc(struct fl_device_session *s, void **ret_memory, uint64_t bytes);
/* NULL is accepted. */
void fl_session_device_free(struct fl_device_session *s, void *memory, uint64_t bytes);
void fl_session_pinned_free(struct fl_device_session *s, void *memory, uint64_t bytes);

/* Numbers to the host, once all that is queued is done. */
int fl_session_read_numbers(struct fl_device_session *s);

/* batches.cu: room for batches of so many rows; keeps what is large enough. */
int fl_batches_make_room(struct fl_device_session *s, uint32_t rows);
void fl_batches_done(struct fl_device_session *s);
/* Bytes of device memory for that many rows. */
uint64_t fl_batches_bytes(const struct fl_device_session *s, uint32_t rows);

/* Queues a batch: *ret_x and *ret_labels are on the device once the stream comes to them, until the next
 * batch but one. order: indices of count rows of data; NULL: the count rows from first on. */
int fl_batches_put(struct fl_device_session *s, const struct fl_rows *rows, const uint32_t *order,
                   uint64_t first, uint32_t count, const float **ret_x, const uint32_t **ret_labels);
/* All that uses the newest batch is queued. */
int fl_batches_used(struct fl_device_session *s);

/* The operations of struct fl_device_ops, by file. */
int fl_session_train_begin(struct fl_device_session *s, const struct fl_device_descent *descent);
int fl_session_train_step(struct fl_device_session *s, const uint32_t *rows, uint32_t count);
int fl_session_train_end(struct fl_device_session *s, double *ret_loss_sum, uint32_t *ret_finite);
int fl_session_evaluate(struct fl_device_session *s, struct fl_device_metrics *ret_metrics);
int fl_session_assign(struct fl_device_session *s, const uint32_t *indices, const uint32_t *words,
                      uint64_t count);
int fl_session_delta(struct fl_device_session *s, double *ret_squares, uint32_t *ret_finite);
int fl_session_take(struct fl_device_session *s, const struct fl_device_rule *rule, uint64_t *ret_count,
                    uint32_t *ret_finite);
/* The part of take() before the numbers come to the host. */
int fl_session_queue_take(struct fl_device_session *s, const struct fl_device_rule *rule);
int fl_session_time(struct fl_device_session *s, uint32_t what, const struct fl_device_rule *rule,
                    double *ret_seconds);
int fl_session_get_taken(struct fl_device_session *s, uint32_t *ret_indices, uint32_t *ret_words);

#define FL_TRY(s, what, call)                                                                                \
    do {                                                                                                     \
        cudaError_t fl_try_error = (call);                                                                   \
        if (fl_try_error)                                                                                    \
            return fl_session_fail(s, what, fl_try_error);                                                   \
    } while (0)

#endif
