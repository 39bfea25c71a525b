/* This client's examples: whether they can be read, and whether they fit the run's model. */
#include "client/port/doctor_parts.h"

#include "client/trainer/builtin.h"

static void say_unreadable(const struct fl_doctor *doctor, enum fl_status st, const struct fl_error *err)
{
    fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "data", "%s", err->text);
    fl_finding_fix(
        doctor->findings, "%s%s",
        st == FL_ERR_NOT_FOUND ? "put the file there, or correct data.path"
        : st == FL_ERR_IO      ? "let this user read the file: ls -l, chmod; or correct data.path"
        : st == FL_ERR_LIMIT   ? "raise data.max_bytes, or give this client fewer rows"
        : st == FL_ERR_NOMEM   ? "make memory free, or give this client fewer rows"
        : st == FL_ERR_CONFIG || st == FL_ERR_RANGE
            ? "correct the settings under data (data.clients, data.index, data.classes, data.label_map, "
              "data.partition)"
            : "correct the file there, or say what it is: data.format, data.header, data.label_column, "
              "data.features",
        doctor->config_path ? " in the configuration" : "");
}

static void check_fit(const struct fl_doctor *doctor, const struct fl_data *data)
{
    struct fl_run_info info;
    struct fl_trainer *trainer = NULL;
    struct fl_error err = {""};
    if (!doctor->run.size || fl_run_info_decode(fl_buf_view(&doctor->run), &info))
        return;
    enum fl_status st =
        fl_trainer_new_builtin(&info.model, &data->train, &data->test, doctor->env, &trainer, &err);
    fl_trainer_free(trainer);
    if (!st) {
        fl_finding_add(doctor->findings, FL_OUTCOME_OK, "data and model", "fit: %u inputs, %u outputs",
                       info.model.inputs, info.model.outputs);
        fl_doctor_check_device_memory(doctor, &info.model, data);
        return;
    }
    fl_finding_add(doctor->findings, FL_OUTCOME_FAIL, "data and model", "run %s and the data do not fit: %s",
                   info.name, err.text);
    fl_finding_fix(
        doctor->findings,
        "give the data of this run (data.path), or say how to read them: data.label_column, data.features, "
        "data.label_map; or name the run for these data in `run`");
}

void fl_doctor_check_data(struct fl_doctor *doctor)
{
    struct fl_data_config config;
    struct fl_data data = {0};
    struct fl_error err = {""};

    if (!doctor->config->data.path.text[0])
        return;
    enum fl_status st = fl_config_data(&doctor->config->data, &config, &err);
    if (!st)
        st = fl_data_load(&config, &data, &err);
    if (st) {
        say_unreadable(doctor, st, &err);
    } else {
        fl_finding_add(doctor->findings, data.test.rows ? FL_OUTCOME_OK : FL_OUTCOME_NOTE, "data",
                       "%zu examples to train on, %zu to test on, %zu features, %u classes", data.train.rows,
                       data.test.rows, data.train.features, data.train.classes);
        if (!data.test.rows)
            fl_finding_fix(doctor->findings,
                           "data.test_fraction or data.test_path, if this client should help to judge "
                           "the model");
        check_fit(doctor, &data);
    }
    fl_data_done(&data);
}
