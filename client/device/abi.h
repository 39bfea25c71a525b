/*
 * What fl-client and a device plugin (fl_cuda.so) agree about: plain C, no type of the project and none of
 * CUDA, so that either side may be built alone. The plugin exports one symbol, FL_DEVICE_ENTRY. A change here
 * that an older plugin would misread raises FL_DEVICE_ABI; sizes are checked besides.
 *
 * A session holds on the device the vectors of one client, float32, shape (elems):
 *     replica   x_start                     residual  e_old
 *     end       x_end; after delta() x_start - x_end; after take() e_new
 * Calls of one session come from one thread at a time. Every call returns an enum fl_device_status; after a
 * failure error() has the sentence, and of the session only close() is of use. What is queued is queued in
 * order, and only the calls that return something from the device wait for it.
 */
#ifndef FL_CLIENT_DEVICE_ABI_H
#define FL_CLIENT_DEVICE_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FL_DEVICE_ABI        1u
#define FL_DEVICE_ENTRY      "fl_device_plugin"
#define FL_DEVICE_TEXT_BYTES 256
#define FL_DEVICE_LAYERS_MAX 9

enum fl_device_status {
    FL_DEVICE_OK,
    FL_DEVICE_NONE,   /* no driver, or no such device */
    FL_DEVICE_NOMEM,  /* not enough memory, of the device or pinned */
    FL_DEVICE_FAILED, /* anything else */
};

struct fl_device_text {
    char text[FL_DEVICE_TEXT_BYTES];
};

struct fl_device_info {
    char name[128];                    /* of the model of card */
    uint32_t capability;               /* 10 * major + minor */
    uint32_t driver, runtime;          /* 1000 * major + 10 * minor, as CUDA counts */
    uint64_t memory_bytes, free_bytes; /* of the device */
};

/* Dense layers; layer i takes sizes[i] inputs to sizes[i + 1] outputs, ReLU between layers. */
struct fl_device_network {
    uint32_t layers;      /* 1 to FL_DEVICE_LAYERS_MAX */
    uint32_t is_logistic; /* 1: one output, log-loss of its sigmoid; 0: softmax */
    uint32_t sizes[FL_DEVICE_LAYERS_MAX + 1];
    uint64_t weights[FL_DEVICE_LAYERS_MAX]; /* offset of each layer's weight, shape (outputs, inputs) */
    uint64_t biases[FL_DEVICE_LAYERS_MAX];  /* and of its bias, shape (outputs) */
    uint64_t elems;
};

/* Examples in the memory of the host, borrowed for the life of the session. */
struct fl_device_data {
    const float *x;         /* shape (rows, sizes[0]) */
    const uint32_t *labels; /* shape (rows) */
    uint64_t rows;          /* may be 0 */
};

struct fl_device_job {
    uint32_t size; /* sizeof(struct fl_device_job) */
    uint32_t device;
    struct fl_device_network network;
    struct fl_device_data train, test;
    uint64_t memory_bytes;   /* of the device to take at most; 0: what is free */
    uint32_t evaluate_batch; /* rows that are judged at a time */
};

/* What a session has taken. */
struct fl_device_use {
    uint64_t device_bytes, pinned_bytes;
    uint32_t train_resident, test_resident; /* 0: streamed from the host batch by batch */
};

struct fl_device_descent {
    float learning_rate, momentum, weight_decay;
    uint32_t batch; /* most rows of a step */
};

struct fl_device_metrics {
    uint64_t examples, correct;
    double loss_sum; /* nats */
};

/* What take() takes out of p: low <= bits of |p| < high as integers, low >= 1; or, with top > 0, the top
 * largest magnitudes but zeros, ties by smallest index. */
struct fl_device_rule {
    uint64_t top;
    uint32_t low, high;
    uint32_t on_grid; /* 1: levels as int32 instead of values; p loses level * step. Not with top. */
    float step, inverse_step, level_most;
};

/* What fl-bench times: one pass of each over the vectors of a session. */
enum fl_device_timed {
    FL_DEVICE_TIMED_COPY, /* from vector to vector, by the runtime: what the others are held against */
    FL_DEVICE_TIMED_SUBTRACT,
    FL_DEVICE_TIMED_SQUARES,
    FL_DEVICE_TIMED_WORST,
    FL_DEVICE_TIMED_DESCEND,
    FL_DEVICE_TIMED_TAKE, /* the sum with the residual, and what a rule takes out of it */
    FL_DEVICE_TIMED_COUNT,
};

struct fl_device_session;

struct fl_device_ops {
    uint32_t abi, size; /* FL_DEVICE_ABI, sizeof(struct fl_device_ops) */
    const char *name;   /* of the plugin with its version, static */

    /* Without a session; text gets the sentence of a failure. */
    int (*describe)(uint32_t device, struct fl_device_info *ret_info, struct fl_device_text *text);
    int (*open)(const struct fl_device_job *job, struct fl_device_session **ret_session,
                struct fl_device_text *text);
    void (*close)(struct fl_device_session *session);
    const char *(*error)(const struct fl_device_session *session);
    void (*use)(const struct fl_device_session *session, struct fl_device_use *ret_use);

    /* The host's values go to the device; they may change once the call has returned. */
    int (*put_replica)(struct fl_device_session *session, const float *values);
    int (*put_residual)(struct fl_device_session *session, const float *values);
    /* replica[indices[i]] = the float with bits words[i]; indices differ from each other. */
    int (*assign)(struct fl_device_session *session, const uint32_t *indices, const uint32_t *words,
                  uint64_t count);

    /* Training: end = replica and no momentum; then a step for each batch of rows of train; then the sum over
     * the steps of each batch's mean loss. ret_finite: 1 when that sum and end are finite. */
    int (*train_begin)(struct fl_device_session *session, const struct fl_device_descent *descent);
    int (*train_step)(struct fl_device_session *session, const uint32_t *rows, uint32_t count);
    int (*train_end)(struct fl_device_session *session, double *ret_loss_sum, uint32_t *ret_finite);
    int (*get_end)(struct fl_device_session *session, float *ret_values);

    /* The replica on all rows of test. */
    int (*evaluate)(struct fl_device_session *session, struct fl_device_metrics *ret_metrics);

    /* end = replica - end, and its sum of squares as fl_kernels.sum_squares; ret_finite: 1 when all of it is.
     */
    int (*delta)(struct fl_device_session *session, double *ret_squares, uint32_t *ret_finite);

    /* end = end + residual without what rule takes out of it; ret_finite: 1 when the sum was finite, else the
     * rest means nothing. get_taken copies the ret_count indices, increasing, and bits or levels to the host.
     */
    int (*take)(struct fl_device_session *session, const struct fl_device_rule *rule, uint64_t *ret_count,
                uint32_t *ret_finite);
    int (*get_taken)(struct fl_device_session *session, uint32_t *ret_indices, uint32_t *ret_words);

    /* The residual is what take() left in end. */
    int (*commit)(struct fl_device_session *session);

    /* Seconds on the device, of one pass from replica (TAKE: from residual + replica by rule). end, gradient
     * and momentum mean nothing afterwards. */
    int (*time)(struct fl_device_session *session, uint32_t what, const struct fl_device_rule *rule,
                double *ret_seconds);
};

typedef const struct fl_device_ops *(*fl_device_entry_fn)(void);

#ifdef __cplusplus
}
#endif

#endif
