#include "server/core/restore.h"

#include <string.h>

#include "base/log.h"
#include "server/core/receipt.h"

#define LOG "server.restore"

enum fl_status fl_restore_begin(struct fl_server *server, uint64_t above, const char *why)
{
    enum fl_status st = fl_registry_void_tokens(&server->registry, server->store);

    for (size_t i = 0; i < server->run_count && !st; i++) {
        struct fl_run_row *row = &server->runs[i]->row;
        uint64_t before = row->epoch;
        row->epoch = fl_epoch_new(server->env, before > above ? before : above);
        row->restores++;
        st = server->store->run_update(server->store, row);
        fl_log(FL_LOG_WARN, LOG,
               "run=%s epoch=%llu before=%llu version=%llu round=%llu; a new epoch begins: %s", row->name,
               (unsigned long long)row->epoch, (unsigned long long)before, (unsigned long long)row->version,
               (unsigned long long)row->round, why);
    }
    if (!st)
        st = fl_server_stamp(server);
    if (st)
        return st;
    fl_log(FL_LOG_WARN, LOG, "runs=%zu tokens=%zu; every token made so far is void: %s", server->run_count,
           server->registry.token_count, why);
    server->restored = 1;
    return FL_OK;
}

enum fl_status fl_restore_check(struct fl_server *server)
{
    uint64_t marked;
    enum fl_status st = server->store->stamp(server->store, &server->stamp, &marked);

    if (st || marked <= server->stamp)
        return st;
    server->restored_at_start = 1;
    server->stamp = marked; /* it grows from there, so that this restore is noticed once */
    st = fl_server_begin(server);
    if (!st)
        server->failed = fl_restore_begin(server, 0, "the mark beside the database is ahead of it");
    return st ? st : fl_server_commit(server);
}

/* --- receipts shown back --- */

/* Whether this server made the receipt for this client and run; the row it was made of. */
static int is_ours(const struct fl_server *server, const struct fl_run *run, const struct fl_client *client,
                   const struct fl_proof *proof, struct fl_receipt_row *ret_row)
{
    uint8_t receipt[FL_DIGEST_SIZE], differ = 0;

    memset(ret_row, 0, sizeof *ret_row);
    memcpy(ret_row->client, client->row.id, sizeof ret_row->client);
    memcpy(ret_row->digest, proof->digest, sizeof ret_row->digest);
    ret_row->seq = proof->seq;
    ret_row->epoch = proof->epoch;
    ret_row->total = proof->total;
    ret_row->verdict = proof->kind;
    ret_row->round = proof->round;
    ret_row->weight = proof->weight;
    if (proof->seq == 0)
        return 0;
    fl_receipt_make(server->env, server->mac_key, fl_run_key(run), ret_row, receipt);
    for (int i = 0; i < FL_DIGEST_SIZE; i++)
        differ |= receipt[i] ^ proof->receipt[i];
    return !differ;
}

/* Whether the update that it is about is in the rows. */
static enum fl_status is_known(const struct fl_server *server, const struct fl_run *run,
                               const struct fl_member *member, const struct fl_receipt_row *row,
                               int *ret_known)
{
    uint8_t digest[FL_DIGEST_SIZE];
    enum fl_status st = FL_OK;

    if (row->seq == member->last.seq)
        memcpy(digest, member->last.digest, sizeof digest);
    else
        st = server->store->receipt_find(server->store, fl_run_key(run), row->client, row->seq, digest);
    if (st && st != FL_ERR_NOT_FOUND)
        return st;
    *ret_known = !st && !memcmp(digest, row->digest, sizeof digest);
    return FL_OK;
}

/* What goes between the place where the rows have the client and the one that it has proven. */
static enum fl_status count_loss(struct fl_server *server, struct fl_run *run, struct fl_member *member,
                                 const struct fl_receipt_row *row)
{
    struct fl_loss_row loss = {.first_seq = member->position + 1,
                               .last_seq = row->seq,
                               .updates = row->total > member->total ? row->total - member->total : 0,
                               .total = row->total > member->total ? row->total : member->total,
                               .epoch = row->epoch};
    enum fl_status st;

    if (row->seq <= member->position)
        return FL_OK;
    memcpy(loss.client, row->client, sizeof loss.client);
    st = server->store->loss_put(server->store, fl_run_key(run), &loss);
    if (st)
        return st;
    fl_member_add_loss(member, &loss);
    fl_log(FL_LOG_WARN, LOG, "run=%s client=%.8s lost=%llu seq=%llu..%llu; accepted once, not in this state",
           run->row.name, row->client, (unsigned long long)loss.updates, (unsigned long long)loss.first_seq,
           (unsigned long long)loss.last_seq);
    return FL_OK;
}

static enum fl_status judge(struct fl_server *server, struct fl_run *run, struct fl_client *client,
                            struct fl_member *member, const struct fl_proof *proof,
                            enum fl_proof_state *ret_state)
{
    struct fl_receipt_row row;
    int known;
    enum fl_status st;

    *ret_state = FL_PROOF_UNPROVEN;
    if (!is_ours(server, run, client, proof, &row))
        return FL_OK;
    st = is_known(server, run, member, &row, &known);
    if (st)
        return st;
    *ret_state = known ? FL_PROOF_KNOWN : FL_PROOF_LOST;
    if (known)
        return FL_OK;
    /* Answers leave after the commit, so a receipt of this epoch without its row, or one of a newer epoch,
     * can only be of a life that this state has forgotten. Of an older epoch it is news of an old loss. */
    if (proof->epoch >= run->row.epoch)
        st = fl_restore_begin(server, proof->epoch, "a client has a receipt that this state does not hold");
    return st ? st : count_loss(server, run, member, &row);
}

enum fl_status fl_restore_show(struct fl_server *server, struct fl_run *run, struct fl_client *client,
                               const struct fl_request *request)
{
    struct fl_member *member;
    struct fl_proof proof;
    struct fl_standing standing;
    struct fl_buf body;
    enum fl_status st = fl_proof_decode(request->body, &proof);

    if (st) {
        fl_server_reply_error(server, request->ticket, 400, st, "the body is not a receipt",
                              "see the receipt message in protocol/README.md");
        return FL_OK;
    }
    memset(&standing, 0, sizeof standing);
    st = fl_run_member(run, client, &member);
    if (!st)
        st = judge(server, run, client, member, &proof, &standing.state);
    if (st)
        return st;
    standing.epoch = run->row.epoch;
    standing.expected_seq = member->position + 1;
    standing.lost = member->lost;
    fl_buf_init(&body, FL_LIMIT_SMALL_BODY_BYTES);
    st = fl_standing_encode(&standing, &body);
    if (!st)
        st = fl_server_reply_body(server, request->ticket, run, 200, &body);
    fl_buf_done(&body);
    return st;
}
