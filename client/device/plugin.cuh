/* The plugin's outside: its operations, and sentences for what CUDA says. Private to the plugin. */
#ifndef FL_CLIENT_DEVICE_PLUGIN_CUH
#define FL_CLIENT_DEVICE_PLUGIN_CUH

#include <cuda_runtime.h>

#include "client/device/abi.h"

/* "WHAT: what CUDA says"; the status of error. */
int fl_plugin_fail(struct fl_device_text *text, const char *what, cudaError_t error);

int fl_session_open(const struct fl_device_job *job, struct fl_device_session **ret_session,
                    struct fl_device_text *text);
/* NULL is accepted. */
void fl_session_close(struct fl_device_session *s);

#endif
