/*
 * Finding and loading a device plugin, a shared library of its own so that fl-client depends on no CUDA.
 * Looked for in $FL_PLUGIN_DIR when that is set, else beside the program and in ../lib/residue from there. A
 * plugin that was loaded stays for the life of the process.
 */
#ifndef FL_CLIENT_DEVICE_PLUGIN_H
#define FL_CLIENT_DEVICE_PLUGIN_H

#include "client/device/abi.h"
#include "platform/error.h"

/*
 * Loads fl_NAME.so. driver: library without which it is of no use, "libcuda.so.1", looked for first because a
 * plugin brings large libraries with it; NULL: none. FL_ERR_NOT_FOUND: there is no plugin, or no driver;
 * FL_ERR_VERSION: it speaks another FL_DEVICE_ABI; FL_ERR_FORMAT: it is no plugin, or a library that it needs
 * is missing.
 */
FL_MUST_CHECK enum fl_status fl_plugin_load(const char *name, const char *driver,
                                            const struct fl_device_ops **ret_ops, struct fl_error *err);

/* FL_OK, FL_ERR_STATE (none), FL_ERR_NOMEM or FL_ERR_IO for an enum fl_device_status. */
enum fl_status fl_plugin_status(int status);

#endif
