/* From trained weights to an update in the outbox (rules R2, R7, R8). */
#include <inttypes.h>
#include <math.h>

#include "base/log.h"
#include "client/core/state.h"
#include "codec/feedback.h"

enum fl_status fl_client_codec_params(const struct fl_client *c, const struct fl_codec_spec *spec,
                                      struct fl_codec_params *ret_params)
{
    const struct fl_codec *codec = fl_codec_find(spec->name);
    if (!codec)
        return FL_ERR_NOT_FOUND;
    struct fl_codec_params params = {
        .id = codec->id,
        .lambda = codec->uses_lambda ? spec->lambda : 0,
        .step_log2 = codec->on_grid ? spec->step_log2 : 0,
        .ratio = codec->uses_ratio ? (double)spec->ratio : 0,
        .bits = spec->bits,
        .bucket = spec->bucket,
        .rank = spec->rank,
        .seed = c->work.plan.seed, /* its own for each client and round */
    };
    if (codec->uses_tensors) {
        params.tensors = c->tensors;
        params.tensor_count = c->tensor_count;
    }
    enum fl_status st = fl_codec_params_check(&params, (size_t)c->manifest.elems);
    if (!st)
        *ret_params = params;
    return st;
}

/* p = delta + residual into payload; scratch goes from delta to what the payload leaves. ret_count:
 * coordinates sent. */
static enum fl_status compress(struct fl_client *c, struct fl_buf *payload, size_t *ret_count)
{
    struct fl_codec_params params;
    struct fl_payload checked;
    float *values = fl_vector_values(&c->scratch);
    enum fl_status st = fl_client_codec_params(c, &c->work.codec, &params);
    if (!st)
        st = fl_error_feedback_step(c->kernels, &params, values, fl_vector_values(&c->residual),
                                    (size_t)c->manifest.elems, payload, values, &checked);
    if (!st)
        *ret_count = checked.count;
    return st;
}

static double norm(const struct fl_client *c, const struct fl_vector *vector)
{
    return sqrt(c->kernels->sum_squares(fl_vector_values(vector), (size_t)vector->elems));
}

enum fl_status fl_client_build_update(struct fl_client *c, const struct fl_client_event *trained,
                                      struct fl_client_effect *effect)
{
    struct fl_manifest *m = &c->manifest;
    size_t elems = (size_t)m->elems, count = 0;
    int trains = c->work.kind == FL_WORK_TRAIN;
    float *delta = fl_vector_values(&c->scratch);
    struct fl_buf payload;
    fl_buf_init(&payload, fl_limit_model_body_bytes(m->elems));

    c->kernels->subtract(fl_vector_values(&c->replica), delta, delta, elems);
    enum fl_status st = c->kernels->all_finite(delta, elems) ? FL_OK : FL_ERR_NOT_FINITE;
    double delta_squares = c->kernels->sum_squares(delta, elems);
    if (!st && trains)
        st = compress(c, &payload, &count);
    if (st)
        goto out;

    struct fl_update update = {
        .kind = c->work.kind,
        .round = c->work.round,
        .base = c->work.base,
        .weight = trained->report.examples < FL_LIMIT_WEIGHT ? trained->report.examples : FL_LIMIT_WEIGHT,
        .steps = trained->report.steps,
        .train_loss = trained->report.mean_loss,
        .delta_squares = delta_squares,
        .residual_norm = (float)norm(c, trains ? &c->scratch : &c->residual),
        .dropped = m->dropped,
        .metrics = trained->metrics,
        .payload = fl_buf_view(&payload),
    };
    fl_buf_done(&c->outbox);
    fl_buf_init(&c->outbox, payload.size + FL_LIMIT_UPDATE_HEAD_BYTES);
    st = fl_update_encode(&update, &c->outbox);
    if (st)
        goto out;
    if (trains)
        fl_vector_swap(&c->pending, &c->scratch);
    fl_vector_done(&c->scratch);

    fl_client_save_begin(effect);
    m->outbox = fl_client_save_add(c, effect, fl_buf_view(&c->outbox), "update.%" PRIu64, m->next_seq);
    m->pending = (struct fl_state_file){0};
    if (trains)
        m->pending =
            fl_client_save_add(c, effect, fl_vector_file(&c->pending), "residual.%" PRIu64, m->next_seq);
    m->codec = c->work.codec;
    m->outbox_lost = 0;
    st = fl_client_save_finish(c, effect);
    fl_log(FL_LOG_INFO, LOG_ROUND,
           "run=%s round=%" PRIu64 " base=%" PRIu64 " seq=%" PRIu64 " kind=%s steps=%" PRIu32
           " loss=%.4f density=%.5f bytes=%zu residual=%.4g: trained",
           c->options.run, update.round, update.base.number, m->next_seq, trains ? "train" : "calibrate",
           update.steps, update.train_loss, (double)count / (double)elems, c->outbox.size,
           (double)update.residual_norm);
out:
    fl_buf_done(&payload);
    return st;
}
