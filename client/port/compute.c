#include "client/port/compute.h"

#include "base/log.h"

#define LOG_DEVICE "client.device"

/* With `auto` said in the log; else the error. */
static enum fl_status without_device(const struct fl_compute *compute, const struct fl_error *why,
                                     struct fl_error *err)
{
    if (compute->choice.kind == FL_CARD_AUTO) {
        fl_log(FL_LOG_INFO, LOG_DEVICE, "device=cpu: %s", why->text);
        return FL_OK;
    }
    return fl_error_set(err, FL_ERR_CONFIG,
                        "device: %s cannot be had: %s; see docs/gpu.md, or set device to auto or cpu",
                        compute->config->device, why->text);
}

enum fl_status fl_compute_init(struct fl_compute *compute, const struct fl_client_config *config,
                               struct fl_error *err)
{
    struct fl_error why = {""};
    *compute = (struct fl_compute){.config = config};
    enum fl_status st = fl_card_choose(config->device, &compute->choice, err);
    if (st || compute->choice.kind == FL_CARD_CPU)
        return st;
    if (fl_card_find(&compute->choice, &compute->card, &why))
        return without_device(compute, &why, err);
    compute->has_card = 1;
    return FL_OK;
}

enum fl_status fl_compute_begin(struct fl_compute *compute, const struct fl_model_spec *spec,
                                const struct fl_data *data, const struct fl_env *env,
                                struct fl_client *client, struct fl_error *err)
{
    struct fl_device_options options = {.spec = *spec,
                                        .train = &data->train,
                                        .test = &data->test,
                                        .env = env,
                                        .kernels = fl_kernels_pick(),
                                        .threads = (unsigned)compute->config->threads,
                                        .memory_bytes = compute->config->device_memory};
    struct fl_device_use use;
    struct fl_error why = {""};
    if (!compute->has_card)
        return FL_OK;
    if (fl_device_new(&compute->card, &options, &compute->device, &why))
        return without_device(compute, &why, err);
    fl_device_use(compute->device, &use);
    fl_log(FL_LOG_INFO, LOG_DEVICE,
           "device=%s name=\"%s\" plugin=\"%s\" memory=%llu KiB pinned=%llu KiB train=%s test=%s: in use",
           compute->config->device, compute->card.info.name, compute->card.ops->name,
           (unsigned long long)(use.device_bytes >> 10), (unsigned long long)(use.pinned_bytes >> 10),
           use.train_resident ? "resident" : "streamed",
           !data->test.rows    ? "none"
           : use.test_resident ? "resident"
                               : "streamed");
    fl_client_use_engine(client, fl_device_engine(compute->device));
    return FL_OK;
}

int fl_compute_falls_back(struct fl_compute *compute, struct fl_error *err)
{
    const char *failure = compute->device ? fl_device_failure(compute->device) : NULL;
    if (!failure)
        return 0;
    if (compute->choice.kind != FL_CARD_AUTO) {
        fl_error_write(
            err,
            "device: %s failed: %s; the state folder is whole: start again, or set device to auto or cpu",
            compute->config->device, failure);
        return 0;
    }
    fl_log(FL_LOG_ERROR, LOG_DEVICE, "device=%s failed: %s; going on from the state folder with device=cpu",
           compute->card.info.name, failure);
    fl_compute_done(compute);
    compute->has_card = 0;
    return 1;
}

void fl_compute_done(struct fl_compute *compute)
{
    fl_device_free(compute->device);
    compute->device = NULL;
}
