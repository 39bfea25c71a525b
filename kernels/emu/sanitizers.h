/*
 * What the two sanitizers must be told about fibres; nothing in other builds. The emulator itself is built
 * without ThreadSanitizer (its own state is touched by all fibres), so "tsan" here is what the kernels are
 * built with.
 */
#ifndef FL_KERNELS_EMU_SANITIZERS_H
#define FL_KERNELS_EMU_SANITIZERS_H

#include <stddef.h>

#ifdef FL_EMU_TSAN
#include <sanitizer/tsan_interface.h>

void AnnotateBenignRaceSized(const char *file, int line, const volatile void *memory, size_t size,
                             const char *why);

#define FL_TSAN_NO_ORDER          __tsan_switch_to_fiber_no_sync
#define fl_tsan_context_new()     __tsan_create_fiber(0)
#define fl_tsan_context_current() __tsan_get_current_fiber()
#define fl_tsan_switch(context)   __tsan_switch_to_fiber(context, FL_TSAN_NO_ORDER)
#define fl_tsan_release(place)    __tsan_release(place)
#define fl_tsan_acquire(place)    __tsan_acquire(place)
#define fl_tsan_private_memory(at, bytes)                                                                    \
    AnnotateBenignRaceSized(__FILE__, __LINE__, at, bytes, "stack of a fibre")
#else
#define fl_tsan_context_new()             NULL
#define fl_tsan_context_current()         NULL
#define fl_tsan_switch(context)           ((void)(context))
#define fl_tsan_release(place)            ((void)(place))
#define fl_tsan_acquire(place)            ((void)(place))
#define fl_tsan_private_memory(at, bytes) ((void)(at), (void)(bytes))
#endif

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define fl_asan_open(at, bytes)        __asan_unpoison_memory_region(at, bytes)
#define fl_asan_close(at, bytes)       __asan_poison_memory_region(at, bytes)
#define fl_asan_leave(save, at, bytes) __sanitizer_start_switch_fiber(save, at, bytes)
#define fl_asan_arrive(saved, ret_bottom, ret_bytes)                                                         \
    __sanitizer_finish_switch_fiber(saved, ret_bottom, ret_bytes)
#else
#define fl_asan_open(at, bytes)                      ((void)(at), (void)(bytes))
#define fl_asan_close(at, bytes)                     ((void)(at), (void)(bytes))
#define fl_asan_leave(save, at, bytes)               ((void)(save), (void)(at), (void)(bytes))
#define fl_asan_arrive(saved, ret_bottom, ret_bytes) ((void)(saved), (void)(ret_bottom), (void)(ret_bytes))
#endif

#endif
