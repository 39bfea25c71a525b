#include "kernels/emu/grid.h"
#include "kernels/emu/report.h"
#include "kernels/emu/sanitizers.h"

static const char *const names[] = {
    [FL_EMU_SYNCWARP] = "__syncwarp",
    [FL_EMU_BALLOT] = "__ballot_sync",
    [FL_EMU_SHFL] = "__shfl_sync",
    [FL_EMU_SHFL_UP] = "__shfl_up_sync",
    [FL_EMU_SHFL_DOWN] = "__shfl_down_sync",
    [FL_EMU_SHFL_XOR] = "__shfl_xor_sync",
    [FL_EMU_REDUCE_ADD] = "__reduce_add_sync",
    [FL_EMU_REDUCE_AND] = "__reduce_and_sync",
    [FL_EMU_REDUCE_OR] = "__reduce_or_sync",
    [FL_EMU_REDUCE_XOR] = "__reduce_xor_sync",
    [FL_EMU_REDUCE_MIN] = "__reduce_min_sync",
    [FL_EMU_REDUCE_MAX] = "__reduce_max_sync",
    [FL_EMU_REDUCE_MIN_SIGNED] = "__reduce_min_sync",
    [FL_EMU_REDUCE_MAX_SIGNED] = "__reduce_max_sync",
};

const char *fl_warp_operation_name(enum fl_emu_warp_operation operation)
{
    return names[operation];
}

static unsigned lane_of(const struct fl_thread *thread)
{
    return thread->number % FL_EMU_WARP;
}

static struct fl_thread *lanes_of(const struct fl_thread *thread)
{
    return &thread->block->threads[thread->number - lane_of(thread)];
}

static void check_call(const struct fl_thread *self, const char *file, int line)
{
    const struct fl_lane_call *call = &self->lane_call;
    const char *name = names[call->operation];
    unsigned lane = lane_of(self), width = (unsigned)call->width;
    uint32_t gone = call->mask & self->block->gone[self->number / FL_EMU_WARP];
    if (!(call->mask >> lane & 1))
        fl_report_thread(self, file, line, "%s with mask 0x%08x, in which its own lane %u is missing", name,
                         call->mask, lane);
    if (gone)
        fl_report_thread(self, file, line,
                         "%s with mask 0x%08x, but lanes 0x%08x have returned or do not exist", name,
                         call->mask, gone);
    if (width < 1 || width > FL_EMU_WARP || (width & (width - 1)))
        fl_report_thread(self, file, line, "%s with width %d, which must be a power of two up to %u", name,
                         call->width, FL_EMU_WARP);
}

/* The lane a shuffle reads from, by the rules of the CUDA C++ Programming Guide, "Warp Shuffle Functions". */
static unsigned source_lane(unsigned lane, const struct fl_lane_call *call)
{
    unsigned width = (unsigned)call->width, first = lane & ~(width - 1), last = first + width - 1;
    int64_t source = lane;
    switch (call->operation) {
    case FL_EMU_SHFL:
        return first + ((unsigned)call->source & (width - 1));
    case FL_EMU_SHFL_UP:
        source -= (unsigned)call->source;
        return source < first ? lane : (unsigned)source;
    case FL_EMU_SHFL_DOWN:
        source += (unsigned)call->source;
        break;
    default:
        source ^= call->source;
        break;
    }
    return source < 0 || source > last ? lane : (unsigned)source;
}

static void shuffle(struct fl_thread *lanes, uint32_t mask)
{
    for (uint32_t left = mask; left; left &= left - 1) {
        unsigned lane = (unsigned)__builtin_ctz(left);
        struct fl_thread *thread = &lanes[lane];
        unsigned source = source_lane(lane, &thread->lane_call);
        if (!(mask >> source & 1))
            fl_report_thread(thread, thread->file, thread->line,
                             "%s from lane %u, which is not in mask 0x%08x",
                             names[thread->lane_call.operation], source, mask);
        thread->lane_result = lanes[source].lane_call.value;
    }
}

static uint32_t ballot(const struct fl_thread *lanes, uint32_t mask)
{
    uint32_t votes = 0;
    for (uint32_t left = mask; left; left &= left - 1) {
        unsigned lane = (unsigned)__builtin_ctz(left);
        votes |= (uint32_t)(lanes[lane].lane_call.value != 0) << lane;
    }
    return votes;
}

static uint32_t combine(enum fl_emu_warp_operation operation, uint32_t a, uint32_t b)
{
    switch (operation) {
    case FL_EMU_REDUCE_ADD:
        return a + b;
    case FL_EMU_REDUCE_AND:
        return a & b;
    case FL_EMU_REDUCE_OR:
        return a | b;
    case FL_EMU_REDUCE_XOR:
        return a ^ b;
    case FL_EMU_REDUCE_MIN:
        return a < b ? a : b;
    case FL_EMU_REDUCE_MAX:
        return a > b ? a : b;
    case FL_EMU_REDUCE_MIN_SIGNED:
        return (int32_t)a < (int32_t)b ? a : b;
    default:
        return (int32_t)a > (int32_t)b ? a : b;
    }
}

static uint32_t reduce(const struct fl_thread *lanes, uint32_t mask, enum fl_emu_warp_operation operation)
{
    uint32_t result = (uint32_t)lanes[__builtin_ctz(mask)].lane_call.value;
    for (uint32_t left = mask & (mask - 1); left; left &= left - 1)
        result = combine(operation, result, (uint32_t)lanes[__builtin_ctz(left)].lane_call.value);
    return result;
}

static void give_results(struct fl_thread *lanes, uint32_t mask, enum fl_emu_warp_operation operation)
{
    uint64_t result = 0;
    if (operation >= FL_EMU_SHFL && operation <= FL_EMU_SHFL_XOR) {
        shuffle(lanes, mask);
        return;
    }
    if (operation == FL_EMU_BALLOT)
        result = ballot(lanes, mask);
    else if (operation != FL_EMU_SYNCWARP)
        result = reduce(lanes, mask, operation);
    for (uint32_t left = mask; left; left &= left - 1)
        lanes[__builtin_ctz(left)].lane_result = result;
}

/* The group of mask in the warp, or a new one. */
static struct fl_warp_group *group_of(struct fl_thread *self, uint32_t mask)
{
    struct fl_block *block = self->block;
    struct fl_warp_group *groups = block->groups[self->number / FL_EMU_WARP], *unused = NULL;
    for (unsigned i = 0; i < block->group_count; i++) {
        if (groups[i].mask == mask)
            return &groups[i];
        if (!groups[i].mask && !unused)
            unused = &groups[i];
    }
    if (!unused)
        unused =
            &groups[block->group_count++]; /* each open group has a lane that is in no other: at most 32 */
    unused->mask = mask;
    unused->arrived = 0;
    return unused;
}

static char *order_of(const struct fl_thread *self, const struct fl_warp_group *group)
{
    const struct fl_block *block = self->block;
    unsigned warp = self->number / FL_EMU_WARP;
    return &block->order->warp[warp][group - block->groups[warp]][group->completions % 2];
}

static void complete(struct fl_thread *lanes, struct fl_warp_group *group)
{
    uint32_t mask = group->mask;
    give_results(lanes, mask, group->operation);
    group->mask = 0;
    group->completions++;
    fl_grid_progress();
    fl_lanes_wake(lanes, mask);
}

uint64_t fl_emu_warp(enum fl_emu_warp_operation operation, uint32_t mask, uint64_t value, int source,
                     int width, const char *file, int line)
{
    struct fl_thread *self = fl_thread_self();
    self->lane_call = (struct fl_lane_call){operation, mask, value, source, width};
    self->file = file;
    self->line = line;
    check_call(self, file, line);
    struct fl_warp_group *group = group_of(self, mask);
    if (!group->arrived) {
        group->operation = operation;
        group->file = file;
        group->line = line;
    } else if (group->operation != operation) {
        fl_report_thread(self, file, line, "%s with mask 0x%08x, while lanes 0x%08x of it do %s at %s:%d",
                         names[operation], mask, group->arrived, names[group->operation], group->file,
                         group->line);
    }
    group->arrived |= 1u << lane_of(self);
    char *order = order_of(self, group);
    if (operation == FL_EMU_SYNCWARP)
        fl_tsan_release(order);
    if (group->arrived == mask) {
        complete(lanes_of(self), group);
        fl_thread_pass();
    } else {
        fl_thread_wait(FL_THREAD_IN_WARP, file, line);
    }
    if (operation == FL_EMU_SYNCWARP)
        fl_tsan_acquire(order);
    return self->lane_result;
}

void fl_warp_check_return(const struct fl_thread *thread)
{
    const struct fl_warp_group *groups = thread->block->groups[thread->number / FL_EMU_WARP];
    for (unsigned i = 0; i < thread->block->group_count; i++) {
        if (groups[i].mask >> lane_of(thread) & 1)
            fl_report_thread(thread, NULL, 0,
                             "returns, while lanes 0x%08x wait for its lane %u in %s with mask "
                             "0x%08x at %s:%d",
                             groups[i].arrived, lane_of(thread), names[groups[i].operation], groups[i].mask,
                             groups[i].file, groups[i].line);
    }
}
