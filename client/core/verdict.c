/* What becomes of an update once its verdict is proven (rules R3, R4, R6). */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "client/core/state.h"

enum outcome { OUTCOME_COMMITTED, OUTCOME_FOLDED, OUTCOME_DROPPED, OUTCOME_NOTHING };
static const char *const outcome_names[] = {"committed", "folded", "dropped", "nothing"};

int fl_client_verdict_matches(struct fl_client *c, struct fl_bytes body, struct fl_verdict *ret_verdict)
{
    struct fl_verdict verdict;
    struct fl_update update;
    if (fl_verdict_decode(body, &verdict) || fl_update_decode(fl_buf_view(&c->outbox), &update))
        return 0;
    /* When the run has begun a new epoch (rule R13), it may have been judged before or after; a conflict may
     * name any epoch. */
    if (verdict.seq != c->manifest.next_seq ||
        (verdict.epoch != c->manifest.epoch && verdict.epoch != update.base.epoch &&
         verdict.kind != FL_VERDICT_CONFLICT) ||
        memcmp(verdict.digest, c->manifest.outbox.sha256, sizeof verdict.digest) != 0)
        return 0;
    *ret_verdict = verdict;
    return 1;
}

/* scratch = p = q + e_new, exactly (rule R8). */
static enum fl_status recover_sum(struct fl_client *c)
{
    struct fl_update update;
    struct fl_codec_params params;
    struct fl_payload payload;
    enum fl_status st = fl_update_decode(fl_buf_view(&c->outbox), &update);
    if (!st)
        st = fl_client_allocate_scratch(c);
    if (!st)
        st = fl_client_codec_params(c, &c->manifest.codec, &params);
    if (!st)
        st = fl_payload_check(&params, (size_t)c->manifest.elems, update.payload, &payload);
    if (st)
        return st;
    float *sum = fl_vector_values(&c->scratch);
    memcpy(sum, fl_vector_values(&c->pending), (size_t)c->manifest.elems * sizeof *sum);
    fl_payload_fold(&payload, sum);
    return FL_OK;
}

static enum outcome decide(const struct fl_client *c)
{
    if (!c->manifest.pending.name[0])
        return OUTCOME_NOTHING;
    if (c->verdict.kind == FL_VERDICT_ACCEPTED)
        return OUTCOME_COMMITTED;
    return c->manifest.folds == 0 ? OUTCOME_FOLDED : OUTCOME_DROPPED;
}

/* Files history/SEQ.*; e_new is what the residual is from now on. */
static enum fl_status add_history(struct fl_client *c, struct fl_client_effect *effect, enum outcome outcome,
                                  const struct fl_vector *e_new)
{
    uint64_t seq = c->manifest.next_seq;
    char digest[2 * FL_DIGEST_SIZE + 1], receipt[2 * FL_DIGEST_SIZE + 1];
    fl_hex_encode(c->verdict.digest, FL_DIGEST_SIZE, digest);
    fl_hex_encode(c->verdict.receipt, FL_DIGEST_SIZE, receipt);
    fl_buf_clear(&c->verdict_text);
    enum fl_status st =
        fl_buf_printf(&c->verdict_text,
                      "seq %" PRIu64 "\nepoch %" PRIu64 "\nround %" PRIu64
                      "\nverdict %s\noutcome %s\ndigest %s\nreceipt %s\n",
                      seq, c->verdict.epoch, c->verdict.round, fl_verdict_name(c->verdict.kind),
                      outcome_names[outcome], digest, receipt);
    if (st)
        return st;
    if (outcome != OUTCOME_NOTHING) {
        fl_client_save_add(c, effect, fl_vector_file(&c->scratch), "history/%" PRIu64 ".p", seq);
        fl_client_save_add(c, effect, fl_vector_file(&c->residual), "history/%" PRIu64 ".e_old", seq);
        fl_client_save_add(c, effect, fl_vector_file(e_new), "history/%" PRIu64 ".e_new", seq);
    }
    fl_client_save_add(c, effect, fl_buf_view(&c->verdict_text), "history/%" PRIu64 ".verdict", seq);
    return FL_OK;
}

enum fl_status fl_client_apply_verdict(struct fl_client *c, struct fl_client_effect *effect)
{
    struct fl_manifest *m = &c->manifest;
    enum outcome outcome = decide(c);
    struct fl_vector *e_new = &c->residual;
    double lost = 0;
    enum fl_status st = FL_OK;

    fl_client_save_begin(effect);
    if (outcome == OUTCOME_FOLDED || outcome == OUTCOME_DROPPED ||
        (outcome == OUTCOME_COMMITTED && c->options.keep_history))
        st = recover_sum(c);
    if (st)
        return st;
    if (outcome == OUTCOME_COMMITTED) {
        e_new = &c->pending;
        m->residual = m->pending;
        m->codec_state = m->pending_codec_state;
        fl_buf_done(&c->codec_state);
        c->codec_state = c->pending_codec_state;
        fl_buf_init(&c->pending_codec_state, 0);
        m->folds = 0;
    } else if (outcome == OUTCOME_FOLDED) {
        e_new = &c->scratch;
        m->residual =
            fl_client_save_add(c, effect, fl_vector_file(e_new), "residual.%" PRIu64 ".folded", m->next_seq);
        m->folds = 1;
    } else if (outcome == OUTCOME_DROPPED) {
        float *difference = fl_vector_values(&c->pending);
        c->kernels->subtract(fl_vector_values(&c->scratch), fl_vector_values(&c->residual), difference,
                             (size_t)m->elems);
        lost = sqrt(c->kernels->sum_squares(difference, (size_t)m->elems));
        m->dropped++;
        m->dropped_norm += lost;
    }
    if (c->options.keep_history)
        st = add_history(c, effect, outcome, e_new);
    if (st)
        return st;

    struct fl_update update;
    st = fl_update_decode(fl_buf_view(&c->outbox), &update);
    if (st)
        return st;
    struct fl_proof receipt = {.kind = c->verdict.kind,
                               .epoch = c->verdict.epoch,
                               .seq = c->verdict.seq,
                               .round = c->verdict.round,
                               .total = c->verdict.total,
                               .weight = update.weight};
    memcpy(receipt.digest, c->verdict.digest, sizeof receipt.digest);
    memcpy(receipt.receipt, c->verdict.receipt, sizeof receipt.receipt);
    fl_manifest_add_receipt(m, &receipt);
    fl_log(c->verdict.kind == FL_VERDICT_ACCEPTED ? FL_LOG_INFO : FL_LOG_WARN, LOG_ROUND,
           "run=%s round=%" PRIu64 " seq=%" PRIu64 " verdict=%s outcome=%s lost=%.4g%s%s", m->run,
           c->verdict.round, m->next_seq, fl_verdict_name(c->verdict.kind), outcome_names[outcome], lost,
           c->verdict.reason[0] ? "; " : "", c->verdict.reason);
    m->outbox = (struct fl_state_file){0};
    m->pending = m->pending_codec_state = (struct fl_state_file){0};
    m->next_seq++;
    /* The views in effect stay valid: swapping moves owners, not values. */
    if (e_new != &c->residual)
        fl_vector_swap(&c->residual, e_new);
    if (outcome == OUTCOME_COMMITTED)
        fl_engine_residual_committed(c->engine);
    else if (outcome == OUTCOME_FOLDED)
        fl_engine_residual_replaced(c->engine);
    return fl_client_save_finish(c, effect);
}
