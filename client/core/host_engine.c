#include "client/core/engine.h"
#include "codec/feedback.h"

static enum fl_status compress(struct fl_engine *engine, const struct fl_engine_round *round,
                               const struct fl_codec_params *params, struct fl_buf *payload,
                               struct fl_engine_result *ret_result)
{
    const struct fl_host_engine *host = (struct fl_host_engine *)engine;
    const struct fl_kernels *kernels = host->kernels;
    struct fl_engine_result result = {0};
    struct fl_payload checked;
    float *delta = round->end;

    kernels->subtract(round->replica, delta, delta, round->elems);
    if (!kernels->all_finite(delta, round->elems))
        return FL_ERR_NOT_FINITE;
    result.delta_squares = kernels->sum_squares(delta, round->elems);
    if (params) {
        enum fl_status st = fl_error_feedback_step(kernels, host->threads, params, delta, round->residual,
                                                   round->elems, payload, delta, &checked);
        if (st)
            return st;
        result.count = checked.count;
    }
    result.residual_squares = kernels->sum_squares(params ? delta : round->residual, round->elems);
    *ret_result = result;
    return FL_OK;
}

static const struct fl_engine_ops ops = {.compress = compress};

void fl_host_engine_init(struct fl_host_engine *engine, const struct fl_kernels *kernels, unsigned threads)
{
    *engine = (struct fl_host_engine){.base.ops = &ops, .kernels = kernels, .threads = threads};
}
