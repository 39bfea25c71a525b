/*
 * A fl_cuda.so for tests: the emulator's plugin with one fault, which the environment's FL_TEST_PLUGIN names:
 * "abi", "size" (of another build), "none" (no driver), "wrong" (computes something else), "fails:N" (the Nth
 * training step fails, and so does all after it); anything else: no fault.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/device/abi.h"

static struct fl_device_ops ops, emulated;
static int steps_left = -1;

static int no_driver(uint32_t device, struct fl_device_info *ret_info, struct fl_device_text *text)
{
    (void)device;
    (void)ret_info;
    snprintf(text->text, sizeof text->text, "asking for the device: CUDA driver version is insufficient");
    return FL_DEVICE_NONE;
}

static int wrong_take(struct fl_device_session *session, uint32_t *ret_indices, uint32_t *ret_words)
{
    int status = emulated.get_taken(session, ret_indices, ret_words);
    ret_words[0] ^= 1;
    return status;
}

static const char *broken(const struct fl_device_session *session)
{
    return steps_left == 0 ? "the bus: broken for a test" : emulated.error(session);
}

static int failing_step(struct fl_device_session *session, const uint32_t *rows, uint32_t count)
{
    if (steps_left > 0 && --steps_left > 0)
        return emulated.train_step(session, rows, count);
    return FL_DEVICE_FAILED;
}

const struct fl_device_ops *fl_device_plugin(void);

const struct fl_device_ops *fl_device_plugin(void)
{
    const char *fault = getenv("FL_TEST_PLUGIN");
    void *library = dlopen(FL_EMU_PLUGIN, RTLD_NOW | RTLD_LOCAL);
    union {
        void *symbol;
        fl_device_entry_fn entry;
    } found = {library ? dlsym(library, FL_DEVICE_ENTRY) : NULL};
    if (!found.symbol)
        return NULL;
    ops = emulated = *found.entry();
    if (!fault)
        return &ops;
    ops.abi += strcmp(fault, "abi") == 0;
    ops.size += strcmp(fault, "size") == 0;
    if (strcmp(fault, "none") == 0)
        ops.describe = no_driver;
    if (strcmp(fault, "wrong") == 0)
        ops.get_taken = wrong_take;
    if (sscanf(fault, "fails:%d", &steps_left) == 1) {
        ops.train_step = failing_step;
        ops.error = broken;
    }
    return &ops;
}
