#include "client/device/card.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/device/check.h"
#include "client/device/plugin.h"

#ifdef FL_DEVICE_EMULATED
#define ALLOWED "auto, cpu, cuda:N or emu"
#else
#define ALLOWED "auto, cpu or cuda:N"
#endif

enum fl_status fl_card_choose(const char *text, struct fl_card_choice *ret_choice, struct fl_error *err)
{
    static const struct {
        const char *text;
        enum fl_card_kind kind;
    } words[] = {
        {"auto", FL_CARD_AUTO},
        {"cpu", FL_CARD_CPU},
#ifdef FL_DEVICE_EMULATED
        {"emu", FL_CARD_EMU},
#endif
    };
    unsigned index;
    int end = 0;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(text, words[i].text) == 0) {
            *ret_choice = (struct fl_card_choice){.kind = words[i].kind};
            return FL_OK;
        }
    if (sscanf(text, "cuda:%3u%n", &index, &end) != 1 || text[end] || text[5] < '0' || text[5] > '9')
        return fl_error_set(err, FL_ERR_CONFIG, "device: %s is none; " ALLOWED " is wanted, N from 0", text);
    *ret_choice = (struct fl_card_choice){.kind = FL_CARD_CUDA, .index = index};
    return FL_OK;
}

enum fl_status fl_card_find(const struct fl_card_choice *choice, struct fl_card *ret_card,
                            struct fl_error *err)
{
    struct fl_card card = {.index = choice->index};
    struct fl_device_text text = {""};
    enum fl_status st = choice->kind == FL_CARD_EMU ? fl_plugin_load("emu", NULL, &card.ops, err)
                                                    : fl_plugin_load("cuda", "libcuda.so.1", &card.ops, err);
    if (st)
        return st;
    int status = card.ops->describe(card.index, &card.info, &text);
    if (status)
        return fl_error_set(err, fl_plugin_status(status), "%s", text.text);
    st = fl_card_check(&card, err);
    if (!st)
        *ret_card = card;
    return st;
}
