/*
 * What a person may set: one table of rows each for the connection, the data and the training, shared by the
 * commands that need them. Reading files and command lines is platform/settings.h.
 */
#ifndef FL_CLIENT_PORT_CONFIG_H
#define FL_CLIENT_PORT_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "client/data/load.h"
#include "platform/file.h"
#include "platform/settings.h"
#include "protocol/messages.h"

#define FL_CONFIG_PATHS_MAX 16 /* files of one kind, parted by commas */

/* Files of one kind as given, and cut at the commas by fl_config_data(). */
struct fl_config_paths {
    char text[FL_PATH_SIZE];
    const char *items[FL_CONFIG_PATHS_MAX];
    size_t count;
};

struct fl_config_data {
    struct fl_config_paths path, labels, test_path, test_labels;
    enum fl_data_format format;
    enum fl_csv_header header;
    int64_t label_column; /* from 0; -1: last */
    enum fl_label_map label_map;
    uint64_t features, classes; /* 0: as the file has */
    uint64_t max_bytes;
    double scale;
    bool scale_columns;
    double test_fraction;
    enum fl_partition_kind partition;
    uint64_t clients, index, seed, min_samples;
    char groups[FL_PATH_SIZE];
    uint64_t group_column;
    double alpha;
};

/* Of central training, and of the model to evaluate. */
struct fl_config_model {
    enum fl_model_kind kind;
    struct fl_setting_list hidden;
    char file[FL_PATH_SIZE];
    uint64_t seed, steps, epochs, batch;
    double learning_rate, momentum, weight_decay;
};

/* The values of every command's rows. */
struct fl_client_config {
    char server_url[512];
    char run[FL_LIMIT_NAME_BYTES + 1];
    char state[FL_PATH_SIZE];
    char name[FL_LIMIT_NAME_BYTES + 1];
    char token[FL_LIMIT_TOKEN_BYTES + 1];
    char token_file[FL_PATH_SIZE];
    char fingerprint[128];
    uint64_t time_budget_ms, poll_ms, threads;
    char device[16];        /* auto, cpu, cuda:N: client/device/card.h */
    uint64_t device_memory; /* bytes at most; 0: what is free */
    bool keep_history, json;
    bool resync; /* set by `fl-client resync`, which has the rows of run */
    enum fl_log_level log_level;
    struct fl_config_data data;
    struct fl_config_model model;
};

/* Rows of each command, for struct fl_client_config. */
extern const struct fl_setting *const fl_config_run_rows,
    *const fl_config_enroll_rows, *const fl_config_train_rows, *const fl_config_evaluate_rows;
extern const size_t fl_config_run_count, fl_config_enroll_count, fl_config_train_count,
    fl_config_evaluate_count;

/* The rows of doctor: those of run, none of them required, and json. */
const struct fl_setting *fl_config_doctor_rows(size_t *ret_count);

/* Fills token from token_file, of which one first line counts, when that is given. FL_ERR_CONFIG: both or
 * none given, or the file holds no token; failures of fl_file_read. */
FL_MUST_CHECK enum fl_status fl_config_token(struct fl_client_config *config, struct fl_error *err);

/* The data settings for fl_data_load(); borrows from data, whose paths it cuts at the commas. FL_ERR_CONFIG
 * for more than FL_CONFIG_PATHS_MAX files. */
FL_MUST_CHECK enum fl_status fl_config_data(struct fl_config_data *data, struct fl_data_config *ret_config,
                                            struct fl_error *err);

/* The model for data of that many features and classes, checked. FL_ERR_CONFIG. */
FL_MUST_CHECK enum fl_status fl_config_model(const struct fl_config_model *model, size_t features,
                                             uint32_t classes, struct fl_model_spec *ret_spec,
                                             struct fl_error *err);

#endif
