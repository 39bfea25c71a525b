#include "server/core/cohort.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/random.h"

/* --- work --- */

/* Order of clients in a draw. */
static uint64_t client_draw(const struct fl_run *run, const struct fl_client *client, uint64_t round)
{
    return fl_mix64(fl_mix64(run->spec.plan.seed, round), client->hash);
}

/* Seed of a client's mini-batches. It follows from the client's name where it has one, since ids are random:
 * the same clients enrolled again take the same steps. */
static uint64_t plan_seed(const struct fl_run *run, const struct fl_client *client, uint64_t round)
{
    uint64_t who = client->row.name[0] ? 0 : client->hash;
    for (const char *at = client->row.name; *at; at++)
        who = fl_mix64(who, (unsigned char)*at);
    return fl_mix64(fl_mix64(run->spec.plan.seed, round), who);
}

static enum fl_status reply_work(struct fl_server *server, struct fl_run *run, const struct fl_client *client,
                                 uint64_t round, uint64_t ticket)
{
    uint64_t now = fl_server_now(server);
    struct fl_member *member;
    struct fl_work work;
    struct fl_buf body;
    enum fl_status st = fl_run_member(run, client, &member);

    if (st)
        return st;
    memset(&work, 0, sizeof work);
    work.kind = round == 0 ? FL_WORK_CALIBRATE : FL_WORK_TRAIN;
    work.round = round;
    work.base = fl_run_base(run, round);
    work.seq = member->position + 1;
    work.deadline_ms = run->spec.deadline_ms;
    if (run->row.phase == FL_PHASE_OPEN)
        work.deadline_ms = run->deadline_ms > now ? run->deadline_ms - now : 0;
    work.plan = run->spec.plan;
    work.plan.seed = plan_seed(run, client, round);
    work.codec = fl_run_codec_spec(run, round);
    fl_buf_init(&body, FL_LIMIT_SMALL_BODY_BYTES);
    st = fl_work_encode(&work, &body);
    if (!st)
        st = fl_server_reply_body(server, ticket, run, 200, &body);
    fl_buf_done(&body);
    return st;
}

/* An unfinished assignment that still makes sense (rule R14): of the open round; else of a late one that
 * would still count, if the client holds the version it starts from. */
static int find_assignment(const struct fl_run *run, const struct fl_member *member,
                           const struct fl_request *request, uint64_t *ret_round)
{
    uint64_t newest = fl_run_intake_round(run);

    for (uint64_t late = 0; late <= run->spec.max_late && late <= newest; late++) {
        uint64_t round = newest - late;
        if (fl_member_assignment(run, member, round) != FL_ASSIGNED)
            continue;
        if (round == run->row.round && run->row.phase == FL_PHASE_OPEN) {
            *ret_round = round;
            return 1;
        }
        struct fl_version base = fl_run_base(run, round);
        if (round > 0 && request->has_have && fl_version_equal(&request->have, &base)) {
            *ret_round = round;
            return 1;
        }
    }
    return 0;
}

enum fl_status fl_cohort_work(struct fl_server *server, struct fl_run *run, struct fl_client *client,
                              const struct fl_request *request)
{
    struct fl_member *member;
    uint64_t now = fl_server_now(server), round;
    enum fl_status st;

    if (run->row.phase == FL_PHASE_ENDED)
        return fl_server_reply_info(server, request->ticket, run, 410);
    st = fl_run_member(run, client, &member);
    if (st)
        return st;
    if (!run->row.stopping && !run->row.last && find_assignment(run, member, request, &round))
        return reply_work(server, run, client, round, request->ticket);
    uint64_t expires = request->wait_ms < UINT64_MAX - now ? now + request->wait_ms : UINT64_MAX;
    return fl_server_park(server, request->ticket, client, run, expires);
}

/* --- the cohort --- */

struct candidate {
    uint64_t draw;
    struct fl_client *client;
};

static int compare_candidates(const void *a, const void *b)
{
    const struct candidate *left = a, *right = b;

    if (left->draw != right->draw)
        return left->draw < right->draw ? -1 : 1;
    return strcmp(left->client->row.id, right->client->row.id);
}

static int may_join(const struct fl_run *run, const struct fl_client *client)
{
    const struct fl_member *member = client->slot < run->member_slots ? run->members[client->slot] : NULL;

    return !member || fl_member_assignment(run, member, run->row.round) == FL_ASSIGNED_NOT;
}

/* Clients that wait for the run and have no part in its round yet, in order of the draw. */
static enum fl_status collect(const struct fl_server *server, const struct fl_run *run,
                              struct candidate **ret_candidates, size_t *ret_count)
{
    struct candidate *candidates = malloc((server->parked_count + 1) * sizeof *candidates);
    size_t count = 0;

    if (!candidates)
        return FL_ERR_NOMEM;
    for (size_t i = 0; i < server->parked_count; i++)
        if (server->parked[i].run == run && may_join(run, server->parked[i].client)) {
            struct fl_client *client = server->parked[i].client;
            candidates[count++] = (struct candidate){client_draw(run, client, run->row.round), client};
        }
    qsort(candidates, count, sizeof *candidates, compare_candidates);
    *ret_candidates = candidates;
    *ret_count = count;
    return FL_OK;
}

static enum fl_status assign(struct fl_server *server, struct fl_run *run, struct fl_client *client)
{
    struct fl_assignment_row row = {.round = run->row.round};
    struct fl_member *member;
    enum fl_status st = fl_run_member(run, client, &member);

    memcpy(row.client, client->row.id, sizeof row.client);
    if (!st)
        st = server->store->assignment_put(server->store, fl_run_key(run), &row);
    if (st)
        return st;
    fl_member_assign(run, member, run->row.round, FL_ASSIGNED);
    run->cohort++;
    for (size_t i = 0; i < server->parked_count; i++)
        if (server->parked[i].run == run && server->parked[i].client == client) {
            struct fl_parked parked = fl_server_unpark(server, i);
            return reply_work(server, run, client, run->row.round, parked.ticket);
        }
    return FL_OK;
}

static enum fl_status assign_first(struct fl_server *server, struct fl_run *run,
                                   const struct candidate *candidates, size_t count)
{
    uint64_t size = run->spec.target + run->spec.over_select;
    enum fl_status st = FL_OK;

    for (size_t i = 0; i < count && run->cohort < size && !st; i++)
        st = assign(server, run, candidates[i].client);
    return st;
}

static enum fl_status open_round(struct fl_server *server, struct fl_run *run,
                                 const struct candidate *candidates, size_t count)
{
    run->row.phase = FL_PHASE_OPEN;
    run->deadline_ms = fl_server_now(server) + run->spec.deadline_ms;
    run->gather_ms = UINT64_MAX;
    run->cohort = 0;
    fl_log(FL_LOG_DEBUG, "server.round", "run=%s round=%llu waiting=%zu; open", run->row.name,
           (unsigned long long)run->row.round, count);
    enum fl_status st = server->store->run_update(server->store, &run->row);
    return st ? st : assign_first(server, run, candidates, count);
}

enum fl_status fl_cohort_gather(struct fl_server *server, struct fl_run *run, uint64_t *ret_next)
{
    struct candidate *candidates;
    size_t count;
    uint64_t now = fl_server_now(server);
    enum fl_status st = collect(server, run, &candidates, &count);

    if (st)
        return st;
    if (count == 0)
        run->gather_ms = UINT64_MAX;
    else if (run->gather_ms == UINT64_MAX)
        run->gather_ms = now;
    *ret_next = UINT64_MAX;
    int enough = count >= run->spec.minimum;
    int over = count > 0 && now - run->gather_ms >= run->spec.gather_ms;
    if (count >= run->spec.target + run->spec.over_select || (enough && over)) {
        st = open_round(server, run, candidates, count);
        *ret_next = run->deadline_ms;
    } else if (enough) {
        *ret_next = run->gather_ms + run->spec.gather_ms;
    }
    free(candidates);
    return st;
}

enum fl_status fl_cohort_fill(struct fl_server *server, struct fl_run *run)
{
    struct candidate *candidates;
    size_t count;
    enum fl_status st;

    if (run->cohort >= run->spec.target + run->spec.over_select)
        return FL_OK;
    st = collect(server, run, &candidates, &count);
    if (st)
        return st;
    st = assign_first(server, run, candidates, count);
    free(candidates);
    return st;
}

enum fl_status fl_cohort_forgive(struct fl_server *server, struct fl_run *run)
{
    uint64_t round = run->row.round;
    enum fl_status st = FL_OK;

    for (size_t i = 0; i < run->member_slots; i++)
        if (run->members[i] && fl_member_assignment(run, run->members[i], round) == FL_ASSIGNED_REFUSED)
            fl_member_assign(run, run->members[i], round, FL_ASSIGNED);
    for (size_t i = server->parked_count; i-- > 0 && !st;) {
        struct fl_parked parked = server->parked[i];
        const struct fl_member *member =
            parked.client->slot < run->member_slots ? run->members[parked.client->slot] : NULL;
        if (parked.run != run || !member || fl_member_assignment(run, member, round) != FL_ASSIGNED)
            continue;
        fl_server_unpark(server, i);
        st = reply_work(server, run, parked.client, round, parked.ticket);
    }
    return st;
}
