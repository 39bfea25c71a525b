/* What is sent: the delta, its sum with the residual, and what a rule takes out of that; and the deltas that
 * come. */
#include "client/device/session.cuh"
#include "kernels/cuda/norms.h"
#include "kernels/cuda/vectors.h"
#include "kernels/exact.h"

/* Half of the gradient's place holds indices, half values: both are free until the next training. */
int fl_session_assign(struct fl_device_session *s, const uint32_t *indices, const uint32_t *words,
                      uint64_t count)
{
    if (count > s->network.elems)
        return fl_session_fail(s, "an assignment", cudaErrorInvalidValue);
    FL_TRY(s, "copying a delta",
           fl_bus_up(&s->bus, s->gradient, indices, count * sizeof *indices, s->stream));
    FL_TRY(s, "copying a delta", fl_bus_up(&s->bus, s->momentum, words, count * sizeof *words, s->stream));
    FL_TRY(s, "applying a delta",
           fl_cuda_assign(s->replica, (const uint32_t *)s->gradient, (const uint32_t *)s->momentum, count,
                          s->stream));
    return FL_DEVICE_OK;
}

int fl_session_delta(struct fl_device_session *s, double *ret_squares, uint32_t *ret_finite)
{
    size_t n = s->network.elems;
    FL_TRY(s, "the delta", cudaMemsetAsync(s->numbers, 0, sizeof *s->numbers, s->stream));
    FL_TRY(s, "the delta", fl_cuda_subtract(s->replica, s->end, s->end, n, s->stream));
    FL_TRY(s, "the delta", fl_cuda_sum_squares(s->end, n, s->workspace, &s->numbers->squares, s->stream));
    FL_TRY(s, "the delta", fl_cuda_worst(s->end, n, &s->numbers->worst, s->stream));
    int status = fl_session_read_numbers(s);
    if (status)
        return status;
    *ret_squares = s->pinned_numbers->squares;
    *ret_finite = s->pinned_numbers->worst < FL_BITS_INFINITY;
    return FL_DEVICE_OK;
}

/* Marks of the top-k are of the whole sum, which comes first. */
static cudaError_t mark_top(struct fl_device_session *s, uint64_t top)
{
    size_t n = s->network.elems;
    struct fl_numbers *numbers = s->numbers;
    cudaError_t error = fl_cuda_mark_sum(s->end, s->residual, s->end, n, 0, 1, s->workspace, &numbers->found,
                                         s->stream); /* marks zeros only, which count for nothing here */
    if (!error)
        error = fl_cuda_cut_top(s->end, n, top, s->workspace, &numbers->cut, s->stream);
    if (!error)
        error = cudaMemsetAsync(&numbers->found.count, 0, sizeof numbers->found.count, s->stream);
    if (!error)
        error = fl_cuda_mark_cut(s->end, n, &numbers->cut, s->workspace, &numbers->found, s->stream);
    return error;
}

static cudaError_t take(struct fl_device_session *s, const struct fl_device_rule *rule)
{
    size_t n = s->network.elems;
    uint32_t *indices = (uint32_t *)s->gradient, *words = (uint32_t *)s->momentum;
    struct fl_kernels_grid grid = {rule->step, rule->inverse_step, rule->level_most};
    if (rule->on_grid)
        return fl_cuda_take_levels(s->end, n, 0, n, &grid, s->workspace, &s->numbers->found, indices, words,
                                   s->stream);
    return fl_cuda_take_values(s->end, n, 0, n, s->workspace, &s->numbers->found, indices, words, s->stream);
}

int fl_session_queue_take(struct fl_device_session *s, const struct fl_device_rule *rule)
{
    FL_TRY(s, "choosing what is sent", cudaMemsetAsync(s->numbers, 0, sizeof *s->numbers, s->stream));
    FL_TRY(s, "choosing what is sent",
           rule->top ? mark_top(s, rule->top)
                     : fl_cuda_mark_sum(s->end, s->residual, s->end, s->network.elems, rule->low, rule->high,
                                        s->workspace, &s->numbers->found, s->stream));
    FL_TRY(s, "taking what is sent", take(s, rule));
    return FL_DEVICE_OK;
}

int fl_session_take(struct fl_device_session *s, const struct fl_device_rule *rule, uint64_t *ret_count,
                    uint32_t *ret_finite)
{
    int status = fl_session_queue_take(s, rule);
    if (!status)
        status = fl_session_read_numbers(s);
    if (status)
        return status;
    *ret_count = s->pinned_numbers->found.count;
    *ret_finite = !s->pinned_numbers->found.not_finite;
    return FL_DEVICE_OK;
}

int fl_session_get_taken(struct fl_device_session *s, uint32_t *ret_indices, uint32_t *ret_words)
{
    size_t bytes = s->pinned_numbers->found.count * sizeof(uint32_t);
    FL_TRY(s, "copying what is sent", fl_bus_down(&s->bus, ret_indices, s->gradient, bytes, s->stream));
    FL_TRY(s, "copying what is sent", fl_bus_down(&s->bus, ret_words, s->momentum, bytes, s->stream));
    return FL_DEVICE_OK;
}
