/* Putting together what one effect writes. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client/core/state.h"

void fl_client_save_begin(struct fl_client_effect *effect)
{
    *effect = (struct fl_client_effect){.kind = FL_CLIENT_SAVE};
}

struct fl_state_file fl_client_save_add(struct fl_client *c, struct fl_client_effect *effect,
                                        struct fl_bytes bytes, const char *format, ...)
{
    struct fl_client_file *file = &effect->files[effect->file_count++];
    struct fl_state_file ret_file = {.bytes = bytes.size};
    va_list args;
    va_start(args, format);
    vsnprintf(file->name, sizeof file->name, format, args);
    va_end(args);
    file->bytes = bytes;
    memcpy(ret_file.name, file->name, sizeof ret_file.name);
    c->env->sha256(c->env->user, bytes, ret_file.sha256);
    return ret_file;
}

enum fl_status fl_client_save_finish(struct fl_client *c, struct fl_client_effect *effect)
{
    fl_buf_clear(&c->manifest_text);
    enum fl_status st = fl_manifest_encode(&c->manifest, c->env, &c->manifest_text);
    effect->manifest = fl_buf_view(&c->manifest_text);
    c->saving = *effect;
    return st;
}
