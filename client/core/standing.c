/* Where the server has this client, when one of the two came from a backup (rule R13). */
#include <inttypes.h>
#include <math.h>

#include "base/log.h"
#include "client/core/state.h"

enum fl_status fl_client_encode_proof(struct fl_client *c)
{
    const struct fl_manifest *m = &c->manifest;
    struct fl_proof none = {.seq = 0};

    fl_buf_clear(&c->proof);
    return fl_proof_encode(m->receipt_count ? &m->receipts[m->receipt_count - 1] : &none, &c->proof);
}

void fl_client_adopt_epoch(struct fl_client *c, uint64_t epoch)
{
    struct fl_manifest *m = &c->manifest;

    fl_log(FL_LOG_WARN, LOG_STATE,
           "run=%s epoch=%" PRIu64 " before=%" PRIu64 ": the server was restored from a backup; going on in "
           "the new epoch with residual and outbox as they are",
           m->run, epoch, m->epoch);
    /* Number and digest say which values a version has; its epoch is only a label. */
    m->epoch = c->version.epoch = m->version.epoch = epoch;
    c->has_work = 0;
    c->must_show = 1;
}

enum fl_status fl_client_out_of_step(struct fl_client *c, uint64_t expected)
{
    const struct fl_manifest *m = &c->manifest;

    if (expected > m->next_seq)
        return fl_client_fail(
            c, FL_ERR_STATE,
            "out of step: the server has judged update %" PRIu64
            " of this client already, this state folder is "
            "at %" PRIu64
            ". Either the folder was restored from an older copy: then run `fl-client resync` with "
            "the same configuration. Or a copy of it is in use elsewhere: stop one of the two and enrol it "
            "as a "
            "client of its own in a new folder. The folder is kept as it is; see \"out of step\" in "
            "client/README.md",
            expected - 1, m->next_seq);
    return fl_client_fail(c, FL_ERR_STATE,
                          "out of step: the server expects update %" PRIu64
                          " of this client, this state folder is at %" PRIu64
                          ", and the server does not accept its receipts as proof (its receipt.key was "
                          "replaced, or this client "
                          "was enrolled anew). `fl-client resync` with the same configuration takes over the "
                          "server's count. The "
                          "folder is kept as it is; see \"out of step\" in client/README.md",
                          expected, m->next_seq);
}

enum fl_status fl_client_check_standing(struct fl_client *c, const struct fl_standing *standing)
{
    const struct fl_manifest *m = &c->manifest;
    /* An update whose verdict has not arrived, or which was damaged here, may have been judged. */
    int may_be_judged = m->outbox.name[0] || m->outbox_lost;

    if (standing->state == FL_PROOF_LOST)
        fl_log(
            FL_LOG_WARN, LOG_STATE,
            "run=%s epoch=%" PRIu64 " lost=%" PRIu64
            ": accepted updates of this client that the restored server does not hold; it has counted them",
            m->run, standing->epoch, standing->lost);
    if (standing->expected_seq == m->next_seq || (may_be_judged && standing->expected_seq == m->next_seq + 1))
        return FL_OK;
    return fl_client_out_of_step(c, standing->expected_seq);
}

enum fl_status fl_client_resync(struct fl_client *c, const struct fl_standing *standing,
                                struct fl_client_effect *effect)
{
    struct fl_manifest *m = &c->manifest;
    const struct fl_vector *waits = m->pending.name[0] ? &c->pending : &c->residual;
    double lost = sqrt(c->kernels->sum_squares(fl_vector_values(waits), (size_t)waits->elems));

    fl_log(FL_LOG_WARN, LOG_STATE,
           "run=%s seq=%" PRIu64 " before=%" PRIu64 " lost=%.4g: taking over the server's count; outbox and "
           "residual are dropped, counted as one lost update",
           m->run, standing->expected_seq, m->next_seq, lost);
    m->next_seq = standing->expected_seq;
    m->outbox = m->pending = m->residual = m->replica = (struct fl_state_file){0};
    m->codec_state = m->pending_codec_state = (struct fl_state_file){0};
    m->delta_count = 0;
    m->outbox_lost = 0;
    m->folds = 0;
    m->dropped++;
    m->dropped_norm += lost;
    fl_client_save_begin(effect);
    return fl_client_save_finish(c, effect);
}
