/* What `run` computes on, and why not on the device. */
#include "client/port/doctor_parts.h"

#include "client/device/device.h"

#define MIB(bytes) ((unsigned long long)(bytes) >> 20)
#define KIB(bytes) ((unsigned long long)(bytes) >> 10)

static void say_unavailable(const struct fl_doctor *doctor, const struct fl_card_choice *choice,
                            enum fl_status st, const struct fl_error *why)
{
    /* A machine without plugin or driver is not meant to have a card. */
    int is_auto = choice->kind == FL_CARD_AUTO, is_news = !is_auto || st != FL_ERR_NOT_FOUND;
    fl_finding_add(doctor->findings,
                   !is_auto  ? FL_OUTCOME_FAIL
                   : is_news ? FL_OUTCOME_NOTE
                             : FL_OUTCOME_OK,
                   "device", is_auto ? "the CPU: %s" : "it cannot be had: %s", why->text);
    if (is_news)
        fl_finding_fix(doctor->findings,
                       "docs/gpu.md says what a card needs; with device: cpu none is looked for");
}

void fl_doctor_check_device(struct fl_doctor *doctor)
{
    struct fl_card_choice choice;
    struct fl_error err = {""};
    const struct fl_device_info *info = &doctor->card.info;

    if (fl_card_choose(doctor->config->device, &choice, &err)) {
        fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "device", "%s", err.text);
        fl_finding_fix(doctor->findings, "correct the setting device");
        return;
    }
    if (choice.kind == FL_CARD_CPU) {
        fl_finding_add(doctor->findings, FL_OUTCOME_OK, "device", "the CPU, as the setting device says");
        return;
    }
    enum fl_status st = fl_card_find(&choice, &doctor->card, &err);
    if (st) {
        say_unavailable(doctor, &choice, st, &err);
    } else {
        doctor->has_card = 1;
        fl_finding_add(
            doctor->findings, FL_OUTCOME_OK, "device",
            "%s, capability %u.%u, %llu MiB of which %llu are free, driver for CUDA %u.%u, plugin %s; it "
            "computes what this CPU does",
            info->name, info->capability / 10, info->capability % 10, MIB(info->memory_bytes),
            MIB(info->free_bytes), info->driver / 1000, info->driver % 1000 / 10, doctor->card.ops->name);
    }
}

void fl_doctor_check_device_memory(const struct fl_doctor *doctor, const struct fl_model_spec *spec,
                                   const struct fl_data *data)
{
    struct fl_device_options options = {.spec = *spec,
                                        .train = &data->train,
                                        .test = &data->test,
                                        .env = doctor->env,
                                        .kernels = fl_kernels_pick(),
                                        .threads = 1,
                                        .memory_bytes = doctor->config->device_memory};
    struct fl_device *device;
    struct fl_device_use use;
    struct fl_error err = {""};
    if (!doctor->has_card)
        return;
    if (fl_device_new(&doctor->card, &options, &device, &err)) {
        fl_finding_add(doctor->findings, FL_OUTCOME_WARN, "device memory", "the run's model does not fit: %s",
                       err.text);
        fl_finding_fix(doctor->findings,
                       "free the card's memory (nvidia-smi), raise device_memory, or set device: cpu");
        return;
    }
    fl_device_use(device, &use);
    fl_finding_add(doctor->findings, FL_OUTCOME_OK, "device memory",
                   "the run takes %llu KiB, and %llu KiB of pinned memory; the data is %s",
                   KIB(use.device_bytes), KIB(use.pinned_bytes),
                   use.train_resident ? "there for good" : "streamed, as it does not fit");
    fl_device_free(device);
}
