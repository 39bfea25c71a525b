/* Reads configuration with libyaml, by its events, because they carry line numbers. */
#include "platform/settings.h"

#include <string.h>

#include <yaml.h>

#include "platform/file.h"

#define DEPTH_MAX 8   /* sections within sections */
#define KEY_MAX   256 /* bytes of a dotted key, with its zero */
#define WHERE_MAX 160 /* bytes of "file:line" */
#define ITEMS_MAX 1024

struct loader {
    struct fl_settings *settings;
    const char *name;
    yaml_parser_t parser;
    char key[KEY_MAX]; /* dotted, of the value that is being read */
    bool seen[FL_SETTINGS_MAX];
    struct fl_error *err;
};

/* "name:line" of a mark. */
static void where_text(const struct loader *loader, yaml_mark_t mark, char ret_where[WHERE_MAX])
{
    snprintf(ret_where, WHERE_MAX, "%.120s:%zu", loader->name, mark.line + 1);
}

/* Reports "name:line: key: reason"; without a key at the top level. */
static enum fl_status refuse(struct loader *loader, yaml_mark_t mark, const char *reason)
{
    char where[WHERE_MAX];

    where_text(loader, mark, where);
    return fl_error_set(loader->err, FL_ERR_CONFIG, "%s: %s%s%s", where, loader->key,
                        loader->key[0] ? ": " : "", reason);
}

static enum fl_status refuse_key(struct loader *loader, yaml_mark_t mark)
{
    char where[WHERE_MAX];
    const char *meant = fl_settings_suggest(loader->settings, loader->key);

    where_text(loader, mark, where);
    if (!meant)
        return fl_error_set(loader->err, FL_ERR_CONFIG, "%s: %s: unknown key", where, loader->key);
    return fl_error_set(loader->err, FL_ERR_CONFIG, "%s: %s: unknown key; did you mean %s?", where,
                        loader->key, meant);
}

/* What the project's files leave out of YAML, or NULL. */
static const char *unwanted(const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;

    if (event->type == YAML_ALIAS_EVENT)
        return "aliases (*) are not supported";
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    }
    if (anchor)
        return "anchors (&) are not supported";
    return tag ? "tags (!) are not supported" : NULL;
}

/* The next event; the caller deletes it, unless this fails. */
static enum fl_status next(struct loader *loader, yaml_event_t *ret_event)
{
    const char *reason;

    if (!yaml_parser_parse(&loader->parser, ret_event)) {
        const yaml_parser_t *parser = &loader->parser;
        char text[128];
        if (parser->error == YAML_MEMORY_ERROR)
            return fl_error_nomem(loader->err);
        snprintf(text, sizeof(text), "not valid YAML: %s", parser->problem ? parser->problem : "damaged");
        loader->key[0] = 0;
        return refuse(loader, parser->error == YAML_READER_ERROR ? parser->mark : parser->problem_mark, text);
    }
    reason = unwanted(ret_event);
    if (!reason)
        return FL_OK;
    enum fl_status st = refuse(loader, ret_event->start_mark, reason);
    yaml_event_delete(ret_event);
    return st;
}

/* The scalar's text, or NULL when a zero byte is in it. */
static const char *scalar_text(const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    return strlen(text) == event->data.scalar.length ? text : NULL;
}

/* True for "key:" with nothing behind it. */
static bool scalar_missing(const yaml_event_t *event)
{
    return event->data.scalar.length == 0 && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

/* True when some known key stands below the section loader->key. */
static bool section_known(const struct loader *loader)
{
    size_t size = strlen(loader->key);

    for (size_t i = 0; i < loader->settings->count; i++)
        if (strncmp(loader->settings->rows[i].key, loader->key, size) == 0 &&
            loader->settings->rows[i].key[size] == '.')
            return true;
    return false;
}

/* Sets the row of loader->key, which this file has not set yet, from text. */
static enum fl_status set_value(struct loader *loader, size_t row, yaml_mark_t mark, const char *text)
{
    char where[WHERE_MAX];

    if (loader->seen[row])
        return refuse(loader, mark, "given twice");
    loader->seen[row] = true;
    where_text(loader, mark, where);
    return fl_settings_set(loader->settings, where, row, text, loader->err);
}

static enum fl_status take_scalar(struct loader *loader, size_t row, const yaml_event_t *event)
{
    const char *text = scalar_text(event);

    if (row == loader->settings->count) {
        if (!section_known(loader))
            return refuse_key(loader, event->start_mark);
        if (scalar_missing(event))
            return FL_OK; /* a section whose keys are all commented out */
        return refuse(loader, event->start_mark, "is a section; its keys stand indented below it");
    }
    if (scalar_missing(event))
        return refuse(loader, event->start_mark, "has no value");
    if (!text)
        return refuse(loader, event->start_mark, "a zero byte is not allowed");
    return set_value(loader, row, event->start_mark, text);
}

/* The items of a list, joined by commas as fl_settings_set takes them; its start event has been read. */
static enum fl_status take_list(struct loader *loader, size_t row, yaml_mark_t mark)
{
    enum fl_status st;
    struct fl_buf items;
    yaml_event_t event;

    if (row == loader->settings->count)
        return refuse_key(loader, mark);
    if (loader->settings->rows[row].type != FL_SETTING_U64_LIST)
        return refuse(loader, mark, "is one value, not a list");
    fl_buf_init(&items, ITEMS_MAX);
    for (;;) {
        st = next(loader, &event);
        if (st)
            goto out;
        if (event.type == YAML_SEQUENCE_END_EVENT)
            break;
        const char *text = event.type == YAML_SCALAR_EVENT ? scalar_text(&event) : NULL;
        if (!text || !*text || strpbrk(text, ", "))
            st = refuse(loader, event.start_mark, "holds an item that is not a whole number");
        else
            st = fl_buf_printf(&items, "%s%s", items.size ? "," : "", text);
        if (st == FL_ERR_LIMIT)
            st = refuse(loader, event.start_mark, "the list is too long");
        yaml_event_delete(&event);
        if (st)
            goto out;
    }
    yaml_event_delete(&event);
    st = fl_buf_append(&items, "", 1);
    if (!st)
        st = set_value(loader, row, mark, (const char *)items.data);
out:
    if (st == FL_ERR_NOMEM)
        st = fl_error_nomem(loader->err);
    fl_buf_done(&items);
    return st;
}

static enum fl_status take_mapping(struct loader *loader, size_t depth);

/* The value that follows the key loader->key. */
static enum fl_status take_value(struct loader *loader, size_t depth)
{
    enum fl_status st;
    yaml_event_t event;
    size_t row = fl_settings_find(loader->settings, loader->key);

    st = next(loader, &event);
    if (st)
        return st;
    switch (event.type) {
    case YAML_SCALAR_EVENT:
        st = take_scalar(loader, row, &event);
        break;
    case YAML_SEQUENCE_START_EVENT:
        st = take_list(loader, row, event.start_mark);
        break;
    default: /* only a mapping is left */
        if (row < loader->settings->count)
            st = refuse(loader, event.start_mark, "is one value, not a section");
        else if (!section_known(loader))
            st = refuse_key(loader, event.start_mark);
        else if (depth == DEPTH_MAX)
            st = refuse(loader, event.start_mark, "sections are nested too deep");
        else
            st = take_mapping(loader, depth + 1);
        break;
    }
    yaml_event_delete(&event);
    return st;
}

/* Adds ".key" to loader->key. */
static enum fl_status push_key(struct loader *loader, const yaml_event_t *event)
{
    size_t size = strlen(loader->key);
    const char *text = event->type == YAML_SCALAR_EVENT ? scalar_text(event) : NULL;

    if (!text || !*text)
        return refuse(loader, event->start_mark, "a key must be one word");
    for (const char *at = text; *at; at++)
        if (*at <= ' ' || *at > '~')
            return refuse(loader, event->start_mark, "a key must be one word");
    if (size + strlen(text) + 2 > KEY_MAX)
        return refuse(loader, event->start_mark, "a key is too long");
    snprintf(loader->key + size, KEY_MAX - size, "%s%s", size ? "." : "", text);
    return FL_OK;
}

/* Keys and values up to the mapping's end; its start event has been read. */
static enum fl_status take_mapping(struct loader *loader, size_t depth)
{
    size_t size = strlen(loader->key);

    for (;;) {
        enum fl_status st;
        yaml_event_t event;

        st = next(loader, &event);
        if (st)
            return st;
        bool ended = event.type == YAML_MAPPING_END_EVENT;
        if (!ended)
            st = push_key(loader, &event);
        yaml_event_delete(&event);
        if (ended || st)
            return st;
        st = take_value(loader, depth);
        if (st)
            return st;
        loader->key[size] = 0;
    }
}

static enum fl_status take_document(struct loader *loader)
{
    enum fl_status st;
    yaml_event_t event;

    st = next(loader, &event);
    if (st)
        return st;
    if (event.type == YAML_MAPPING_START_EVENT)
        st = take_mapping(loader, 1);
    else if (event.type != YAML_SCALAR_EVENT || !scalar_missing(&event))
        st = refuse(loader, event.start_mark, "the file must hold keys and values");
    yaml_event_delete(&event);
    return st;
}

static enum fl_status take_stream(struct loader *loader)
{
    bool loaded = false;

    for (;;) {
        enum fl_status st;
        yaml_event_t event;

        st = next(loader, &event);
        if (st)
            return st;
        bool ended = event.type == YAML_STREAM_END_EVENT;
        if (event.type == YAML_DOCUMENT_START_EVENT) {
            st = loaded ? refuse(loader, event.start_mark, "a second document is not allowed")
                        : take_document(loader);
            loaded = true;
        }
        yaml_event_delete(&event);
        if (ended || st)
            return st;
    }
}

enum fl_status fl_settings_load_text(struct fl_settings *settings, const char *name, struct fl_bytes text,
                                     struct fl_error *err)
{
    enum fl_status st;
    struct loader loader = {.settings = settings, .name = name, .err = err};

    if (text.size > FL_SETTINGS_FILE_MAX)
        return fl_error_set(err, FL_ERR_LIMIT, "%.120s: larger than %zu bytes", name, FL_SETTINGS_FILE_MAX);
    if (!yaml_parser_initialize(&loader.parser))
        return fl_error_nomem(err);
    yaml_parser_set_encoding(&loader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&loader.parser, text.size ? text.data : (const uint8_t *)"", text.size);
    st = take_stream(&loader);
    yaml_parser_delete(&loader.parser);
    return st;
}

enum fl_status fl_settings_load_file(struct fl_settings *settings, const char *path, struct fl_error *err)
{
    enum fl_status st;
    struct fl_buf text;

    fl_buf_init(&text, FL_SETTINGS_FILE_MAX);
    st = fl_file_read(path, &text, err);
    if (!st)
        st = fl_settings_load_text(settings, path, fl_buf_view(&text), err);
    fl_buf_done(&text);
    return st;
}
