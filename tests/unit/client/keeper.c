#include "keeper.h"

#include <stdlib.h>
#include <string.h>

#include "codec/downlink.h"
#include "test.h"

static enum fl_status compress(struct fl_engine *engine, const struct fl_engine_round *round,
                               const struct fl_codec_params *params, struct fl_buf *payload,
                               struct fl_engine_result *ret_result)
{
    struct keeper *k = (struct keeper *)engine;
    size_t bytes = k->elems * sizeof(float);
    enum fl_status fails = k->fails;

    k->fails = FL_OK;
    if (fails)
        return fails;
    assert_int_equal(round->elems, k->elems);
    assert_memory_equal(round->replica, k->replica, bytes);
    if (!k->has_residual)
        memcpy(k->residual, round->residual, bytes);
    k->has_residual = 1;
    assert_memory_equal(round->residual, k->residual, bytes);
    struct fl_engine_round own = {k->replica, k->residual, k->end, k->elems};
    enum fl_status st = fl_engine_compress(&k->host.base, &own, params, payload, ret_result);
    if (st || !params)
        return st;
    memcpy(k->pending, k->end, bytes);
    k->has_pending = 1;
    memcpy(round->end, k->end, bytes);
    return FL_OK;
}

static void replica_replaced(struct fl_engine *engine, const float *values)
{
    struct keeper *k = (struct keeper *)engine;
    memcpy(k->replica, values, k->elems * sizeof(float));
    k->replaced++;
}

static void replica_assigned(struct fl_engine *engine, const float *values, struct fl_bytes delta)
{
    struct keeper *k = (struct keeper *)engine;
    assert_ok(fl_sparse_apply(delta, k->replica, k->elems));
    assert_memory_equal(values, k->replica, k->elems * sizeof(float));
    k->assigned++;
}

static void residual_replaced(struct fl_engine *engine)
{
    struct keeper *k = (struct keeper *)engine;
    k->has_residual = k->has_pending = 0;
    k->folded++;
}

static void residual_committed(struct fl_engine *engine)
{
    struct keeper *k = (struct keeper *)engine;
    float *residual = k->residual;
    k->residual = k->pending;
    k->pending = residual;
    k->has_residual = k->has_pending;
    k->has_pending = 0;
    k->committed++;
}

static const struct fl_engine_ops ops = {
    1, compress, replica_replaced, replica_assigned, residual_replaced, residual_committed};

void keeper_init(struct keeper *k, size_t elems)
{
    *k = (struct keeper){.base.ops = &ops, .elems = elems};
    fl_host_engine_init(&k->host, fl_kernels_pick(), 1);
    float **vectors[] = {&k->replica, &k->residual, &k->end, &k->pending};
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        assert_non_null(*vectors[i] = calloc(elems, sizeof(float)));
}

void keeper_done(struct keeper *k)
{
    free(k->replica);
    free(k->residual);
    free(k->end);
    free(k->pending);
}

void keeper_use(struct keeper *k, struct fl_client *client)
{
    k->in_use = 1;
    fl_client_use_engine(client, &k->base);
    k->replaced--; /* every engine is told of both at first */
    k->folded--;
}
