/* `fl-server codecs`: the table of codec/codec.h for who writes a run spec. */
#include <string.h>

#include "codec/codec.h"
#include "server/port/commands.h"
#include "server/port/json.h"

#define SETTINGS_MOST 8
#define JSON_BYTES    (64 << 10)

/* The settings of a run spec, below `codec:`, that matter to a codec; returns how many. */
static size_t settings_of(const struct fl_codec *codec, const char *ret_names[SETTINGS_MOST])
{
    const struct {
        int matters;
        const char *name;
    } settings[] = {
        {codec->uses_lambda, "lambda"}, {codec->id == FL_CODEC_INT_THRESHOLD, "step_shift"},
        {codec->uses_ratio, "ratio"},   {codec->uses_bits, "bits"},
        {codec->uses_bucket, "bucket"}, {codec->uses_rank, "rank"},
    };
    size_t count = 0;
    _Static_assert(sizeof settings / sizeof settings[0] <= SETTINGS_MOST, "all may matter");
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (settings[i].matters)
            ret_names[count++] = settings[i].name;
    }
    return count;
}

static void put_line(const struct fl_codec *codec, FILE *out)
{
    const char *names[SETTINGS_MOST];
    char settings[64] = "-";
    size_t count = settings_of(codec, names), at = 0;
    for (size_t i = 0; i < count; i++)
        at += (size_t)snprintf(settings + at, sizeof settings - at, "%s%s", i ? "," : "", names[i]);
    fprintf(out, "%-18s %-12s %-18s %s\n", codec->name, fl_codec_class_name(codec->class), settings,
            codec->summary);
}

static void put_json(const struct fl_codec *codec, struct fl_json_writer *writer)
{
    const char *names[SETTINGS_MOST];
    size_t count = settings_of(codec, names);
    fl_json_begin_object(writer, NULL);
    fl_json_put_text(writer, "name", codec->name);
    fl_json_put_text(writer, "class", fl_codec_class_name(codec->class));
    fl_json_begin_array(writer, "settings");
    for (size_t i = 0; i < count; i++)
        fl_json_put_text(writer, NULL, names[i]);
    fl_json_end(writer);
    fl_json_put_text(writer, "summary", codec->summary);
    fl_json_end(writer);
}

int fl_command_codecs(const struct fl_command_call *call)
{
    const struct fl_admin_options *options = call->values;
    struct fl_json_writer writer;
    struct fl_buf json;
    size_t count;
    const struct fl_codec *codecs = fl_codec_table(&count);
    if (!options->json) {
        fprintf(call->out, "%-18s %-12s %-18s %s\n", "codec.name", "class", "settings", "what is sent");
        for (size_t i = 0; i < count; i++)
            put_line(&codecs[i], call->out);
        return FL_EXIT_OK;
    }
    fl_buf_init(&json, JSON_BYTES);
    fl_json_writer_init(&writer, &json);
    fl_json_begin_array(&writer, NULL);
    for (size_t i = 0; i < count; i++)
        put_json(&codecs[i], &writer);
    fl_json_end(&writer);
    enum fl_status st = writer.status;
    if (!st)
        fprintf(call->out, "%.*s\n", (int)json.size, (const char *)json.data);
    else
        fprintf(call->err, "fl-server codecs: %s\n", fl_status_text(st));
    fl_buf_done(&json);
    return (int)fl_exit_code_from_status(st);
}
