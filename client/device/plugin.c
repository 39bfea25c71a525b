#include "client/device/plugin.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/file.h"

/* The folder of the program that runs. */
static enum fl_status program_dir(char ret_dir[FL_PATH_SIZE], struct fl_error *err)
{
    char path[FL_PATH_SIZE];
    ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
    if (size < 0)
        return fl_error_set(err, FL_ERR_IO, "/proc/self/exe: %m");
    path[size] = 0;
    return fl_path_parent(path, ret_dir, err);
}

static enum fl_status open_plugin(const char *path, const struct fl_device_ops **ret_ops,
                                  struct fl_error *err)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return fl_error_set(err, FL_ERR_FORMAT, "the plugin cannot be loaded: %s", dlerror());
    union {
        void *symbol;
        fl_device_entry_fn entry;
    } found = {dlsym(library, FL_DEVICE_ENTRY)};
    const struct fl_device_ops *ops = found.symbol ? found.entry() : NULL;
    if (!ops)
        return fl_error_set(err, FL_ERR_FORMAT,
                            "%s: it is no plugin of fl-client: it has no " FL_DEVICE_ENTRY, path);
    if (ops->abi != FL_DEVICE_ABI || ops->size != sizeof *ops)
        return fl_error_set(
            err, FL_ERR_VERSION,
            "%s: it speaks version %u of the plugin's interface in %u bytes, this fl-client version "
            "%u in %zu; install both from one build",
            path, ops->abi, ops->size, FL_DEVICE_ABI, sizeof *ops);
    *ret_ops = ops;
    return FL_OK;
}

#define PATH_BYTES (FL_PATH_SIZE + 64)

static enum fl_status find(const char *name, char ret_path[PATH_BYTES], struct fl_error *err)
{
    static const char *const places[] = {"", "/../lib/residue"};
    const char *wanted = getenv("FL_PLUGIN_DIR");
    char dir[FL_PATH_SIZE];
    enum fl_status st = FL_OK;
    if (wanted && strlen(wanted) < sizeof dir)
        strcpy(dir, wanted);
    else
        st = wanted ? fl_error_set(err, FL_ERR_LIMIT, "FL_PLUGIN_DIR: too long") : program_dir(dir, err);
    if (st)
        return st;
    for (size_t i = 0; i < (wanted ? 1 : sizeof places / sizeof places[0]); i++) {
        snprintf(ret_path, PATH_BYTES, "%s%s/fl_%s.so", dir, places[i], name);
        if (access(ret_path, F_OK) == 0)
            return FL_OK;
    }
    return fl_error_set(err, FL_ERR_NOT_FOUND, "there is no plugin fl_%s.so in %s%s", name, dir,
                        wanted ? " (FL_PLUGIN_DIR)" : " or ../lib/residue from there");
}

enum fl_status fl_plugin_load(const char *name, const char *driver, const struct fl_device_ops **ret_ops,
                              struct fl_error *err)
{
    char path[PATH_BYTES];
    enum fl_status st = find(name, path, err);
    if (st)
        return st;
    if (driver && !dlopen(driver, RTLD_LAZY | RTLD_LOCAL))
        return fl_error_set(err, FL_ERR_NOT_FOUND, "there is no driver: %s", dlerror());
    return open_plugin(path, ret_ops, err);
}

enum fl_status fl_plugin_status(int status)
{
    switch (status) {
    case FL_DEVICE_OK:
        return FL_OK;
    case FL_DEVICE_NONE:
        return FL_ERR_STATE;
    case FL_DEVICE_NOMEM:
        return FL_ERR_NOMEM;
    default:
        return FL_ERR_IO;
    }
}
