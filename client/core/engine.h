/*
 * Where the arithmetic of a round is done, and where the vectors that it needs live. The core's own vectors
 * (replica, residual) are on the host, since they are what is digested and stored (rules R7, R19). The host's
 * engine works on them; an engine on a device keeps copies of its own and is told when the host's change, so
 * that in a round only what is sent and the new residual come over the bus. Not for training: a device's
 * engine and its trainer (client/trainer/trainer.h) are two faces of one object. An engine belongs to one
 * client and, with it, to one thread at a time.
 */
#ifndef FL_CLIENT_CORE_ENGINE_H
#define FL_CLIENT_CORE_ENGINE_H

#include "codec/codec.h"
#include "kernels/kernels.h"

/* What a trained round works on: the host's vectors, shape (elems), parameter units. */
struct fl_engine_round {
    const float *replica;  /* x_start */
    const float *residual; /* e_old */
    float *end;            /* before: x_end, unless the engine keeps that; after: e_new */
    size_t elems;
};

struct fl_engine_result {
    size_t count;            /* coordinates sent */
    double delta_squares;    /* sum of squares of x_start - x_end */
    double residual_squares; /* the same of e_new; of e_old without params */
};

struct fl_engine;

struct fl_engine_ops {
    /* 1: replica, residual and x_end are the engine's; training gets no vectors of the host. */
    int keeps_vectors;

    enum fl_status (*compress)(struct fl_engine *engine, const struct fl_engine_round *round,
                               const struct fl_codec_params *params, struct fl_buf *payload,
                               struct fl_engine_result *ret_result);

    /* The host's vectors changed; NULL where nothing is kept. What goes wrong shows in the next training or
     * compress(). */
    void (*replica_replaced)(struct fl_engine *engine, const float *values);
    void (*replica_assigned)(struct fl_engine *engine, const float *values, struct fl_bytes delta);
    void (*residual_replaced)(struct fl_engine *engine);
    void (*residual_committed)(struct fl_engine *engine);
};

/* First member of every engine. */
struct fl_engine {
    const struct fl_engine_ops *ops;
};

/* On the host, with its kernels. Caller storage. */
struct fl_host_engine {
    struct fl_engine base;
    const struct fl_kernels *kernels;
    unsigned threads;
};

/* threads: for large vectors, 1 to FL_PARALLEL_MAX (base/parallel.h). */
void fl_host_engine_init(struct fl_host_engine *engine, const struct fl_kernels *kernels, unsigned threads);

/*
 * delta = x_start - x_end; p = delta + e_old; appends the payload of p by params to payload, and what it does
 * not carry becomes e_new in round->end. The same bits on every engine. Without params (NULL) nothing is sent
 * and nothing of e_old changes; round->end is unspecified then, as it is after a failure. FL_ERR_NOT_FINITE
 * when delta or p has a NaN or infinity, FL_ERR_IO when a device fails (the engine is then of no more use),
 * else the failures of fl_error_feedback_step(); payload is unchanged on failure.
 */
FL_MUST_CHECK static inline enum fl_status fl_engine_compress(struct fl_engine *engine,
                                                              const struct fl_engine_round *round,
                                                              const struct fl_codec_params *params,
                                                              struct fl_buf *payload,
                                                              struct fl_engine_result *ret_result)
{
    return engine->ops->compress(engine, round, params, payload, ret_result);
}

/* The replica is other values altogether, shape (elems), borrowed until the next call about the replica or
 * the engine's end. */
static inline void fl_engine_replica_replaced(struct fl_engine *engine, const float *values)
{
    if (engine->ops->replica_replaced)
        engine->ops->replica_replaced(engine, values);
}

/* The replica changed by exactly this payload of kind FL_PAYLOAD_ASSIGN; values, borrowed likewise, are those
 * after. */
static inline void fl_engine_replica_assigned(struct fl_engine *engine, const float *values,
                                              struct fl_bytes delta)
{
    if (engine->ops->replica_assigned)
        engine->ops->replica_assigned(engine, values, delta);
}

/* The residual is other values altogether. */
static inline void fl_engine_residual_replaced(struct fl_engine *engine)
{
    if (engine->ops->residual_replaced)
        engine->ops->residual_replaced(engine);
}

/* The residual is now that of the newest update: what compress() left, unless an earlier process made it. */
static inline void fl_engine_residual_committed(struct fl_engine *engine)
{
    if (engine->ops->residual_committed)
        engine->ops->residual_committed(engine);
}

#endif
