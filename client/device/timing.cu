/* Timing on the device, for fl-bench. */
#include "client/device/session.cuh"
#include "kernels/cuda/norms.h"
#include "kernels/cuda/vectors.h"

static int queue(struct fl_device_session *s, uint32_t what, const struct fl_device_rule *rule)
{
    size_t n = s->network.elems;
    switch (what) {
    case FL_DEVICE_TIMED_COPY:
        FL_TRY(s, "a copy",
               cudaMemcpyAsync(s->end, s->replica, n * sizeof(float), cudaMemcpyDeviceToDevice, s->stream));
        return FL_DEVICE_OK;
    case FL_DEVICE_TIMED_SUBTRACT:
        FL_TRY(s, "a difference", fl_cuda_subtract(s->replica, s->end, s->end, n, s->stream));
        return FL_DEVICE_OK;
    case FL_DEVICE_TIMED_SQUARES:
        FL_TRY(s, "a sum of squares",
               fl_cuda_sum_squares(s->replica, n, s->workspace, &s->numbers->squares, s->stream));
        return FL_DEVICE_OK;
    case FL_DEVICE_TIMED_WORST:
        FL_TRY(s, "a largest magnitude", fl_cuda_worst(s->replica, n, &s->numbers->worst, s->stream));
        return FL_DEVICE_OK;
    case FL_DEVICE_TIMED_DESCEND:
        FL_TRY(s, "a step down the gradient",
               fl_cuda_descend(&s->descent, s->gradient, s->momentum, s->end, n, s->stream));
        return FL_DEVICE_OK;
    case FL_DEVICE_TIMED_TAKE:
        return fl_session_queue_take(s, rule);
    default:
        return fl_session_fail(s, "something unknown to be timed", cudaErrorInvalidValue);
    }
}

int fl_session_time(struct fl_device_session *s, uint32_t what, const struct fl_device_rule *rule,
                    double *ret_seconds)
{
    size_t bytes = s->network.elems * sizeof(float);
    float ms;
    if (!s->began)
        FL_TRY(s, "making an event", cudaEventCreate(&s->began));
    if (!s->ended)
        FL_TRY(s, "making an event", cudaEventCreate(&s->ended));
    FL_TRY(s, "getting ready",
           cudaMemcpyAsync(s->end, s->replica, bytes, cudaMemcpyDeviceToDevice, s->stream));
    FL_TRY(s, "getting ready", cudaMemsetAsync(s->gradient, 0, bytes, s->stream));
    FL_TRY(s, "getting ready", cudaMemsetAsync(s->momentum, 0, bytes, s->stream));
    FL_TRY(s, "timing", cudaEventRecord(s->began, s->stream));
    int status = queue(s, what, rule);
    if (status)
        return status;
    FL_TRY(s, "timing", cudaEventRecord(s->ended, s->stream));
    FL_TRY(s, "timing", cudaEventSynchronize(s->ended));
    FL_TRY(s, "timing", cudaEventElapsedTime(&ms, s->began, s->ended));
    *ret_seconds = (double)ms / 1e3;
    return FL_DEVICE_OK;
}
