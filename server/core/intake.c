#include "server/core/intake.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "codec/payload.h"
#include "server/core/receipt.h"

/* A verdict in the making. */
struct judgement {
    enum fl_verdict_kind kind;
    const char *reason; /* static */
    uint64_t sent;      /* coordinates in the payload */
};

static struct judgement refuse(enum fl_verdict_kind kind, const char *reason)
{
    return (struct judgement){kind, reason, 0};
}

static struct judgement invalid(const char *reason)
{
    return refuse(FL_VERDICT_INVALID, reason);
}

/* Of a delta whose values are all within FL_INTAKE_VALUE_MAX. */
static double value_squares_max(const struct fl_run *run)
{
    return FL_INTAKE_VALUE_MAX * FL_INTAKE_VALUE_MAX * (double)run->elems;
}

/* The payload and numbers of an update that is otherwise welcome. */
static struct judgement judge_content(const struct fl_run *run, const struct fl_update *update)
{
    struct fl_codec_params params = fl_run_codec_params(run);
    struct fl_payload payload;
    double limit = run->spec.norm_limit;

    if (update->weight < 1 || update->weight > FL_LIMIT_WEIGHT)
        return invalid("weight must be from 1 to 16777216");
    if (!(update->delta_squares >= 0) || !isfinite(update->delta_squares) || !isfinite(update->train_loss) ||
        !isfinite(update->residual_norm) || !isfinite(update->metrics.loss_sum))
        return invalid("a reported number is negative or not finite");
    if (update->kind == FL_WORK_CALIBRATE) {
        if (update->payload.size > 0)
            return invalid("a calibration update carries no payload");
        if (update->delta_squares > (limit > 0 ? limit * limit : value_squares_max(run)))
            return invalid("the update's norm is above the run's limit");
        return (struct judgement){FL_VERDICT_ACCEPTED, "", 0};
    }
    if (update->payload.size > fl_limit_model_body_bytes(run->elems))
        return invalid("the payload is larger than the model");
    switch (fl_payload_check(&params, run->elems, update->payload, &payload)) {
    case FL_OK:
        break;
    case FL_ERR_TRUNCATED:
        return invalid("the payload ends early");
    case FL_ERR_SHAPE:
        return invalid("the payload is for another number of parameters");
    case FL_ERR_RANGE:
        return invalid("the payload's codec parameters, counts or values are out of range");
    case FL_ERR_NOT_FINITE:
        return invalid("the payload has a NaN or infinite value");
    default:
        return invalid("the payload does not follow the codec's format");
    }
    if ((double)payload.max_abs > FL_INTAKE_VALUE_MAX)
        return invalid("a value is larger than 1e30");
    if (limit > 0 && payload.sum_squares > limit * limit)
        return invalid("the update's norm is above the run's limit");
    return (struct judgement){FL_VERDICT_ACCEPTED, "", payload.count};
}

static struct judgement judge(const struct fl_run *run, const struct fl_member *member,
                              const struct fl_update *update)
{
    uint64_t newest = fl_run_intake_round(run);
    struct fl_version base;

    if (run->row.phase == FL_PHASE_ENDED || (run->row.phase == FL_PHASE_PUBLISHING && run->row.last))
        return refuse(FL_VERDICT_ENDED, "the run has ended");
    if (update->base.epoch != run->row.epoch)
        return refuse(FL_VERDICT_LATE, "made before the server was restored from a backup");
    if (update->round > newest)
        return invalid("the round has not begun");
    if (newest - update->round > run->spec.max_late)
        return refuse(FL_VERDICT_LATE, "the round closed too long ago");
    if (update->kind == FL_WORK_CALIBRATE && newest > 0)
        return refuse(FL_VERDICT_LATE, "calibration is over");
    switch (fl_member_assignment(run, member, update->round)) {
    case FL_ASSIGNED_NOT:
        return invalid("the client was not selected for this round");
    case FL_ASSIGNED_ACCEPTED:
    case FL_ASSIGNED_REFUSED:
        return invalid("the client has already sent an update for this round");
    case FL_ASSIGNED:
        break;
    }
    if (update->kind != (update->round == 0 ? FL_WORK_CALIBRATE : FL_WORK_TRAIN))
        return invalid("the update is of another kind than the work");
    base = fl_run_base(run, update->round);
    if (!fl_version_equal(&update->base, &base))
        return invalid("the update starts from another version than the work");
    if (run->open.count >= FL_LIMIT_COHORT)
        return refuse(FL_VERDICT_LATE, "the round is full");
    return judge_content(run, update);
}

static enum fl_status reply_verdict(struct fl_server *server, struct fl_run *run, uint64_t ticket,
                                    int http_status, const struct fl_verdict *verdict)
{
    struct fl_buf body;
    enum fl_status st;

    fl_buf_init(&body, FL_LIMIT_SMALL_BODY_BYTES);
    st = fl_verdict_encode(verdict, &body);
    if (!st)
        st = fl_server_reply_body(server, ticket, run, http_status, &body);
    fl_buf_done(&body);
    return st;
}

/* The verdict stored as the member's newest: the same bytes each time it is told (rule R2). */
static enum fl_status reply_stored(struct fl_server *server, struct fl_run *run, uint64_t ticket,
                                   const struct fl_member *member, int repeated)
{
    const struct fl_receipt_row *row = &member->last;
    struct fl_verdict verdict;
    int http_status = fl_verdict_http_status(row->verdict);

    memset(&verdict, 0, sizeof verdict);
    verdict.kind = row->verdict;
    verdict.epoch = row->epoch;
    verdict.seq = row->seq;
    memcpy(verdict.digest, row->digest, sizeof verdict.digest);
    verdict.round = row->round;
    verdict.expected_seq = row->seq + 1;
    verdict.total = row->total;
    fl_receipt_make(server->env, server->mac_key, fl_run_key(run), row, verdict.receipt);
    memcpy(verdict.reason, member->reason, sizeof verdict.reason);
    if (repeated && row->verdict == FL_VERDICT_ACCEPTED)
        http_status = 200;
    return reply_verdict(server, run, ticket, http_status, &verdict);
}

static enum fl_status reply_conflict(struct fl_server *server, struct fl_run *run,
                                     const struct fl_request *request, const struct fl_member *member,
                                     const uint8_t digest[FL_DIGEST_SIZE], const char *reason)
{
    struct fl_verdict verdict;

    memset(&verdict, 0, sizeof verdict);
    verdict.kind = FL_VERDICT_CONFLICT;
    verdict.epoch = run->row.epoch;
    verdict.seq = request->seq;
    memcpy(verdict.digest, digest, FL_DIGEST_SIZE);
    verdict.round = run->row.round;
    verdict.expected_seq = member->position + 1;
    snprintf(verdict.reason, sizeof verdict.reason, "%s", reason);
    fl_log(FL_LOG_WARN, "server.intake", "run=%s client=%.8s seq=%llu expected=%llu; conflict: %s",
           run->row.name, member->last.client, (unsigned long long)request->seq,
           (unsigned long long)verdict.expected_seq, reason);
    return reply_verdict(server, run, request->ticket, 412, &verdict);
}

static void count_verdict(struct fl_run *run, const struct fl_receipt_row *row)
{
    run->accepted += row->verdict == FL_VERDICT_ACCEPTED;
    run->late += row->verdict == FL_VERDICT_LATE;
    run->invalid += row->verdict == FL_VERDICT_INVALID;
    run->ended += row->verdict == FL_VERDICT_ENDED;
    if (row->kind == FL_WORK_TRAIN)
        run->row.bytes.uplink_dense += 4 * (uint64_t)run->elems;
}

/* What is stored of a reported number, which may be anything in an update that is refused. */
static double finite_or_zero(double value)
{
    return isfinite(value) ? value : 0;
}

/* Makes the judgement durable (with the turn's commit) and known. */
static enum fl_status record(struct fl_server *server, struct fl_run *run, struct fl_member *member,
                             const struct fl_request *request, const uint8_t digest[FL_DIGEST_SIZE],
                             const struct fl_update *update, const struct judgement *judgement)
{
    int accepted = judgement->kind == FL_VERDICT_ACCEPTED;
    struct fl_receipt_row row = {.seq = request->seq,
                                 .epoch = run->row.epoch,
                                 .total = member->total + (accepted != 0),
                                 .verdict = judgement->kind,
                                 .reason = judgement->reason,
                                 .kind = update->kind,
                                 .round = update->round,
                                 .weight = update->weight,
                                 .body_bytes = request->body.size,
                                 .sent = judgement->sent,
                                 .train_loss = finite_or_zero(update->train_loss),
                                 .delta_squares = finite_or_zero(update->delta_squares),
                                 .residual_norm = finite_or_zero((double)update->residual_norm),
                                 .dropped = update->dropped,
                                 .metrics = update->metrics};
    enum fl_status st;

    memcpy(row.client, member->last.client, sizeof row.client);
    memcpy(row.digest, digest, FL_DIGEST_SIZE);
    row.metrics.loss_sum = finite_or_zero(row.metrics.loss_sum);
    st = server->store->receipt_put(server->store, fl_run_key(run), &row,
                                    accepted ? update->payload : (struct fl_bytes){NULL, 0});
    if (!st && accepted)
        st = fl_run_add_entry(run, &row);
    if (st)
        return st;
    member->last = row;
    snprintf(member->reason, sizeof member->reason, "%s", judgement->reason);
    member->last.reason = member->reason;
    member->position = row.seq;
    member->total = row.total;
    /* Late says nothing of the work that the client has now: of a round gone by, or an earlier epoch. */
    if (row.verdict != FL_VERDICT_LATE && fl_member_assignment(run, member, row.round) == FL_ASSIGNED) {
        fl_member_assign(run, member, row.round, accepted ? FL_ASSIGNED_ACCEPTED : FL_ASSIGNED_REFUSED);
        if (!accepted && row.round == run->row.round && run->cohort > 0)
            run->cohort--;
    }
    count_verdict(run, &row);
    if (!accepted)
        fl_log(FL_LOG_WARN, "server.intake", "run=%s client=%.8s seq=%llu round=%llu verdict=%s; %s",
               run->row.name, row.client, (unsigned long long)row.seq, (unsigned long long)row.round,
               fl_verdict_name(row.verdict), judgement->reason);
    return FL_OK;
}

enum fl_status fl_intake_update(struct fl_server *server, struct fl_run *run, struct fl_client *client,
                                const struct fl_request *request)
{
    uint8_t digest[FL_DIGEST_SIZE];
    struct fl_update update;
    struct fl_member *member;
    struct judgement judgement;
    enum fl_status st;

    run->row.bytes.uplink += request->body.size;
    st = fl_run_member(run, client, &member);
    if (st)
        return st;
    server->env->sha256(server->env->user, request->body, digest);
    int same = !memcmp(digest, member->last.digest, FL_DIGEST_SIZE);
    if (request->seq > 0 && request->seq == member->last.seq && same)
        return reply_stored(server, run, request->ticket, member, 1);
    st = fl_update_decode(request->body, &update);
    if (st) {
        fl_server_reply_error(server, request->ticket, 400, st, "the body is not an update message",
                              st == FL_ERR_VERSION
                                  ? "this server speaks major version 1 of the protocol: upgrade the client"
                                  : "see the update message in protocol/README.md");
        return FL_OK;
    }
    if ((request->has_epoch ? request->epoch : update.base.epoch) != run->row.epoch)
        return reply_conflict(server, run, request, member, digest,
                              "the run is in another epoch: the server was restored from a backup");
    if (request->seq == member->last.seq)
        return reply_conflict(server, run, request, member, digest,
                              "another update was judged under this sequence number");
    if (request->seq != member->position + 1)
        return reply_conflict(server, run, request, member, digest,
                              "the sequence number is not the next one");
    judgement = judge(run, member, &update);
    st = record(server, run, member, request, digest, &update, &judgement);
    return st ? st : reply_stored(server, run, request->ticket, member, 0);
}
