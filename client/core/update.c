/* From trained weights to an update in the outbox (rules R2, R7, R8). */
#include <inttypes.h>
#include <math.h>

#include "base/log.h"
#include "client/core/state.h"
#include "codec/state.h"

enum fl_status fl_client_codec_params(const struct fl_client *c, const struct fl_codec_spec *spec,
                                      struct fl_codec_params *ret_params)
{
    const struct fl_codec *codec = fl_codec_find(fl_codec_spec_name(spec));
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
        .dense_below = spec->dense_below,
        .seed = c->work.plan.seed, /* its own for each client and round */
    };
    if (fl_codec_needs_tensors(codec, spec->dense_below)) {
        params.tensors = c->tensors;
        params.tensor_count = c->tensor_count;
    }
    enum fl_status st = fl_codec_params_check(&params, (size_t)c->manifest.elems);
    if (!st)
        *ret_params = params;
    return st;
}

/* The codec's state for the payload that is made now, where it keeps one; what does not fit is told. */
static void attach_state(struct fl_client *c, struct fl_codec_state *state, struct fl_codec_params *params)
{
    if (!fl_codec_keeps_state(fl_codec_find_id(params->id)))
        return;
    fl_buf_init(&c->pending_codec_state, fl_codec_state_limit(params, (size_t)c->manifest.elems));
    *state = (struct fl_codec_state){fl_buf_view(&c->codec_state), &c->pending_codec_state};
    params->state = state;
    if (state->kept.size && !fl_codec_state_fits(params, (size_t)c->manifest.elems, state->kept))
        fl_log(
            FL_LOG_WARN, LOG_STATE,
            "run=%s file=%s: what the codec kept is of another codec, setting or model than the run's %s; it "
            "starts afresh, nothing is lost",
            c->options.run, c->manifest.codec_state.name, fl_codec_spec_name(&c->work.codec));
}

/* Scratch goes from x_end to what the payload leaves; calibration only measures. */
static enum fl_status compress(struct fl_client *c, struct fl_buf *payload,
                               struct fl_engine_result *ret_result)
{
    struct fl_codec_params params;
    struct fl_codec_state state;
    int trains = c->work.kind == FL_WORK_TRAIN;
    enum fl_status st = fl_client_allocate_scratch(c);
    if (!st && trains)
        st = fl_client_codec_params(c, &c->work.codec, &params);
    if (st)
        return st;
    fl_buf_done(&c->pending_codec_state);
    if (trains)
        attach_state(c, &state, &params);
    struct fl_engine_round round = {.replica = fl_vector_values(&c->replica),
                                    .residual = fl_vector_values(&c->residual),
                                    .end = fl_vector_values(&c->scratch),
                                    .elems = (size_t)c->manifest.elems};
    return fl_engine_compress(c->engine, &round, trains ? &params : NULL, payload, ret_result);
}

enum fl_status fl_client_build_update(struct fl_client *c, const struct fl_client_event *trained,
                                      struct fl_client_effect *effect)
{
    struct fl_manifest *m = &c->manifest;
    int trains = c->work.kind == FL_WORK_TRAIN;
    struct fl_engine_result result;
    struct fl_buf payload;
    fl_buf_init(&payload, fl_limit_model_body_bytes(m->elems));

    enum fl_status st = compress(c, &payload, &result);
    if (st)
        goto out;

    struct fl_update update = {
        .kind = c->work.kind,
        .round = c->work.round,
        .base = c->work.base,
        .weight = trained->report.examples < FL_LIMIT_WEIGHT ? trained->report.examples : FL_LIMIT_WEIGHT,
        .steps = trained->report.steps,
        .train_loss = trained->report.mean_loss,
        .delta_squares = result.delta_squares,
        .residual_norm = (float)sqrt(result.residual_squares),
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
    m->pending = m->pending_codec_state = (struct fl_state_file){0};
    if (trains)
        m->pending =
            fl_client_save_add(c, effect, fl_vector_file(&c->pending), "residual.%" PRIu64, m->next_seq);
    if (trains && c->pending_codec_state.size)
        m->pending_codec_state = fl_client_save_add(c, effect, fl_buf_view(&c->pending_codec_state),
                                                    "codec-state.%" PRIu64, m->next_seq);
    m->codec = c->work.codec;
    m->outbox_lost = 0;
    st = fl_client_save_finish(c, effect);
    fl_log(FL_LOG_INFO, LOG_ROUND,
           "run=%s round=%" PRIu64 " base=%" PRIu64 " seq=%" PRIu64 " kind=%s steps=%" PRIu32
           " loss=%.4f density=%.5f bytes=%zu residual=%.4g: trained",
           c->options.run, update.round, update.base.number, m->next_seq, trains ? "train" : "calibrate",
           update.steps, update.train_loss, (double)result.count / (double)m->elems, c->outbox.size,
           (double)update.residual_norm);
out:
    fl_buf_done(&payload);
    return st;
}
