/* A table of settings as text: the reference page and a YAML file. */
#include "platform/settings.h"

#include <inttypes.h>
#include <string.h>

#define INDENT 2

void fl_settings_print_reference(const struct fl_setting *rows, size_t count, FILE *out)
{
    fprintf(out, "| key | allowed | default | meaning |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < count; i++) {
        char allowed[FL_SETTING_ALLOWED_SIZE];
        const char *def = rows[i].def ? rows[i].def : "";
        fl_setting_allowed(&rows[i], allowed, sizeof(allowed));
        fprintf(out, "| `%s` | %s | %s%s%s | %s |\n", rows[i].key, allowed, *def ? "`" : "",
                rows[i].required ? "required" : def, *def ? "`" : "", rows[i].help);
    }
}

static void print_string(const char *text, FILE *out)
{
    fputc('"', out);
    for (; *text; text++)
        fprintf(out, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    fputc('"', out);
}

static void print_list(const struct fl_setting_list *list, FILE *out)
{
    fputc('[', out);
    for (size_t i = 0; i < list->count; i++)
        fprintf(out, "%s%" PRIu64, i ? ", " : "", list->items[i]);
    fputc(']', out);
}

static void print_value(const struct fl_setting *row, const void *values, FILE *out)
{
    const void *field = (const char *)values + row->offset;

    switch (row->type) {
    case FL_SETTING_U64:
    case FL_SETTING_SIZE:
        fprintf(out, "%" PRIu64, *(const uint64_t *)field);
        break;
    case FL_SETTING_I64:
        fprintf(out, "%" PRId64, *(const int64_t *)field);
        break;
    case FL_SETTING_DOUBLE: {
        double value = *(const double *)field;
        char text[32];
        for (int digits = 6; digits <= 17; digits++) { /* the shortest that reads back the same */
            double back;
            snprintf(text, sizeof(text), "%.*g", digits, value);
            if (sscanf(text, "%lf", &back) == 1 && back == value)
                break;
        }
        fputs(text, out);
        break;
    }
    case FL_SETTING_BOOL:
        fputs(*(const bool *)field ? "true" : "false", out);
        break;
    case FL_SETTING_STRING:
        print_string(field, out);
        break;
    case FL_SETTING_CHOICE:
        fputs(row->choices[*(const int *)field], out);
        break;
    case FL_SETTING_U64_LIST:
        print_list(field, out);
        break;
    }
}

/* Opens the sections of key that are not open from the row before, and returns its last word; how deep it
 * stands goes to *ret_depth. */
static const char *print_sections(const char *before, const char *key, FILE *out, int *ret_depth)
{
    int depth = 0;
    bool open = true; /* all sections so far are those of before */

    for (;;) {
        const char *dot = strchr(key, '.');
        if (!dot)
            break;
        size_t size = (size_t)(dot - key) + 1;
        open = open && strncmp(before, key, size) == 0;
        if (open)
            before += size;
        else
            fprintf(out, "%*s%.*s:\n", depth * INDENT, "", (int)size - 1, key);
        key = dot + 1;
        depth++;
    }
    *ret_depth = depth;
    return key;
}

void fl_settings_print_yaml(const struct fl_settings *settings, FILE *out)
{
    const char *before = "";

    for (size_t i = 0; i < settings->count; i++) {
        const struct fl_setting *row = &settings->rows[i];
        bool left_open = row->required && !settings->given[i];
        char allowed[FL_SETTING_ALLOWED_SIZE];
        int depth;
        const char *word = print_sections(before, row->key, out, &depth);

        fl_setting_allowed(row, allowed, sizeof(allowed));
        fprintf(out, "%*s# %s; %s\n%*s%s%s: ", depth * INDENT, "", row->help, allowed, depth * INDENT, "",
                left_open ? "# " : "", word);
        if (left_open)
            fputs("(required)", out);
        else
            print_value(row, settings->values, out);
        fputc('\n', out);
        before = row->key;
    }
}
