/* Batches: from rows that lie on the device, or over the bus while the batch before is worked on. */
#include <string.h>

#include "client/device/session.cuh"

static uint64_t features(const struct fl_device_session *s)
{
    return s->network.sizes[0];
}

static int is_streamed(const struct fl_rows *rows)
{
    return rows->host.rows && !rows->x;
}

static uint64_t widest(const struct fl_device_network *network)
{
    uint32_t most = 0;
    for (uint32_t i = 1; i <= network->layers; i++)
        most = network->sizes[i] > most ? network->sizes[i] : most;
    return most;
}

/* Of one slot: indices of rows, or labels and x. */
static uint64_t slot_bytes(const struct fl_device_session *s, uint32_t rows)
{
    int streams = is_streamed(&s->train) || is_streamed(&s->test);
    return rows * (sizeof(uint32_t) + (streams ? features(s) * sizeof(float) : 0));
}

#define ALIGNMENT 256u /* of cudaMalloc, and what cuBLAS likes best */

static void *carve(uint64_t *at, unsigned char *block, uint64_t bytes)
{
    void *place = block ? block + *at : NULL;
    *at += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return place;
}

/* Shares block out over what a batch of so many rows needs; how many bytes that takes. block may be NULL. */
static uint64_t share_out(struct fl_device_session *s, uint32_t rows, unsigned char *block)
{
    uint64_t at = 0;
    s->losses = (double *)carve(&at, block, rows * sizeof(double));
    for (uint32_t i = 0; i <= s->network.layers; i++)
        s->activations[i] = (float *)carve(&at, block, rows * (uint64_t)s->network.sizes[i] * sizeof(float));
    for (int i = 0; i < 2; i++)
        s->errors[i] = (float *)carve(&at, block, rows * widest(&s->network) * sizeof(float));
    s->labels = (uint32_t *)carve(&at, block, rows * sizeof(uint32_t));
    s->right = (uint32_t *)carve(&at, block, rows * sizeof(uint32_t));
    for (int i = 0; i < 2; i++)
        s->slots[i].device = (unsigned char *)carve(&at, block, slot_bytes(s, rows));
    return at;
}

uint64_t fl_batches_bytes(const struct fl_device_session *s, uint32_t rows)
{
    struct fl_device_session imagined = *s;
    return share_out(&imagined, rows, NULL);
}

void fl_batches_done(struct fl_device_session *s)
{
    for (int i = 0; i < 2; i++) {
        if (s->slots[i].copied)
            (void)cudaEventDestroy(s->slots[i].copied);
        if (s->slots[i].used)
            (void)cudaEventDestroy(s->slots[i].used);
        fl_session_pinned_free(s, s->slots[i].pinned, slot_bytes(s, s->capacity));
        s->slots[i] = fl_slot();
    }
    fl_session_device_free(s, s->batch_block, fl_batches_bytes(s, s->capacity));
    s->batch_block = NULL;
    s->capacity = 0;
}

int fl_batches_make_room(struct fl_device_session *s, uint32_t rows)
{
    if (rows <= s->capacity)
        return FL_DEVICE_OK;
    FL_TRY(s, "waiting for the device", cudaStreamSynchronize(s->stream));
    fl_batches_done(s);
    void *block;
    int status = fl_session_device_alloc(s, &block, fl_batches_bytes(s, rows));
    if (status)
        return status;
    s->batch_block = (unsigned char *)block;
    s->capacity = rows;
    for (int i = 0; i < 2 && !status; i++) {
        void *pinned;
        status = fl_session_pinned_alloc(s, &pinned, slot_bytes(s, rows));
        s->slots[i].pinned = (unsigned char *)pinned;
    }
    if (status)
        return status;
    (void)share_out(s, rows, s->batch_block);
    for (int i = 0; i < 2; i++) {
        FL_TRY(s, "making an event", cudaEventCreateWithFlags(&s->slots[i].copied, cudaEventDisableTiming));
        FL_TRY(s, "making an event", cudaEventCreateWithFlags(&s->slots[i].used, cudaEventDisableTiming));
    }
    return FL_DEVICE_OK;
}

/* Labels and x as the batch wants them, in the order of their copy: x first, which is what must be aligned.
 */
static uint64_t fill(const struct fl_device_session *s, const struct fl_rows *rows, const uint32_t *order,
                     uint64_t first, uint32_t count, unsigned char *pinned)
{
    uint64_t width = features(s), bytes = count * width * sizeof(float);
    float *x = (float *)pinned;
    uint32_t *labels = (uint32_t *)(pinned + bytes);
    if (rows->x) {
        memcpy(pinned, order, count * sizeof *order);
        return count * sizeof *order;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint64_t row = order ? order[i] : first + i;
        memcpy(x + i * width, rows->host.x + row * width, width * sizeof(float));
        labels[i] = rows->host.labels[row];
    }
    return bytes + count * sizeof *labels;
}

int fl_batches_put(struct fl_device_session *s, const struct fl_rows *rows, const uint32_t *order,
                   uint64_t first, uint32_t count, const float **ret_x, const uint32_t **ret_labels)
{
    if (rows->x && !order) {
        *ret_x = rows->x + first * features(s);
        *ret_labels = rows->labels + first;
        return FL_DEVICE_OK;
    }
    struct fl_slot *slot = &s->slots[++s->next_slot % 2];
    /* The host fills the buffer again once its last copy is over; the copier, once its last use is. */
    FL_TRY(s, "waiting for a batch", cudaEventSynchronize(slot->copied));
    uint64_t bytes = fill(s, rows, order, first, count, slot->pinned);
    FL_TRY(s, "queueing a batch", cudaStreamWaitEvent(s->copier, slot->used, 0));
    FL_TRY(s, "copying a batch",
           cudaMemcpyAsync(slot->device, slot->pinned, bytes, cudaMemcpyHostToDevice, s->copier));
    FL_TRY(s, "queueing a batch", cudaEventRecord(slot->copied, s->copier));
    FL_TRY(s, "queueing a batch", cudaStreamWaitEvent(s->stream, slot->copied, 0));
    if (rows->x) {
        FL_TRY(s, "gathering a batch",
               fl_cuda_gather(rows->x, rows->labels, (const uint32_t *)slot->device, count,
                              (uint32_t)features(s), s->activations[0], s->labels, s->stream));
        *ret_x = s->activations[0];
        *ret_labels = s->labels;
        return FL_DEVICE_OK;
    }
    *ret_x = (const float *)slot->device;
    *ret_labels = (const uint32_t *)(slot->device + count * features(s) * sizeof(float));
    return FL_DEVICE_OK;
}

int fl_batches_used(struct fl_device_session *s)
{
    FL_TRY(s, "queueing a batch", cudaEventRecord(s->slots[s->next_slot % 2].used, s->stream));
    return FL_DEVICE_OK;
}
