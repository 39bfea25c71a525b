/*
 * The state of one client in one run, on disk (rule R7): STATE/runs/RUN with immutable files, each fsynced,
 * and one manifest that is renamed into place. What the files mean is the core's affair. The caller holds the
 * lock of the state folder.
 */
#ifndef FL_CLIENT_PORT_STATE_FILES_H
#define FL_CLIENT_PORT_STATE_FILES_H

#include "client/core/client.h"
#include "platform/file.h"

struct fl_state_files {
    char dir[FL_PATH_SIZE];
    struct fl_error error; /* of the last failed read */
};

/* Names STATE/runs/RUN, to read only. FL_ERR_LIMIT. */
FL_MUST_CHECK enum fl_status fl_state_files_at(struct fl_state_files *files, const char *state_dir,
                                               const char *run, struct fl_error *err);

/* Makes STATE/runs/RUN where it is missing and removes temporary files of a crash. */
FL_MUST_CHECK enum fl_status fl_state_files_open(struct fl_state_files *files, const char *state_dir,
                                                 const char *run, struct fl_error *err);

/* Whether a manifest must have been there and is gone: files of a later update than the first are left, which
 * a crash before the first manifest leaves none of. FL_ERR_CORRUPT, err says what to do. */
FL_MUST_CHECK enum fl_status fl_state_files_check(const struct fl_state_files *files, struct fl_error *err);

/* Reads for fl_client_load(); files is borrowed. */
struct fl_client_reader fl_state_files_reader(struct fl_state_files *files);

/* Carries out a FL_CLIENT_SAVE: the three steps below, in their order. */
FL_MUST_CHECK enum fl_status fl_state_files_save(const struct fl_state_files *files,
                                                 const struct fl_client *client,
                                                 const struct fl_client_effect *save, struct fl_error *err);

/* Step 1, for each file: written and fsynced; nothing refers to it yet. */
FL_MUST_CHECK enum fl_status fl_state_files_put(const struct fl_state_files *files,
                                                const struct fl_client_file *file, struct fl_error *err);
/* Step 2: folders fsynced, manifest replaced atomically. From here on the new state holds. */
FL_MUST_CHECK enum fl_status fl_state_files_publish(const struct fl_state_files *files,
                                                    const struct fl_client_effect *save,
                                                    struct fl_error *err);
/* Step 3: what the manifest no longer names is removed. */
FL_MUST_CHECK enum fl_status fl_state_files_sweep(const struct fl_state_files *files,
                                                  const struct fl_client *client, struct fl_error *err);

#endif
