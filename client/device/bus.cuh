/*
 * The bus between the host's memory and the device's: whole vectors through two pinned buffers of fixed size,
 * so that one is copied by the host while the other is on the bus. Private to the plugin.
 */
#ifndef FL_CLIENT_DEVICE_BUS_CUH
#define FL_CLIENT_DEVICE_BUS_CUH

#include <cuda_runtime.h>
#include <stddef.h>

/* Bytes of each buffer: some 0.3 ms on a bus of 16 GB/s, so that a copy's fixed cost does not count. */
#ifndef FL_BUS_BYTES
#define FL_BUS_BYTES ((size_t)4 << 20)
#endif

/* All zero is none. */
struct fl_bus {
    unsigned char *pinned[2];
    cudaEvent_t done[2]; /* the buffer's newest copy */
    unsigned next;
};

cudaError_t fl_bus_init(struct fl_bus *bus);
void fl_bus_done(struct fl_bus *bus);

/* Queues values for the device on stream; they may change once the call has returned. */
cudaError_t fl_bus_up(struct fl_bus *bus, void *device, const void *values, size_t bytes,
                      cudaStream_t stream);

/* Copies what device holds once all that is queued on stream is done, and waits for it. */
cudaError_t fl_bus_down(struct fl_bus *bus, void *ret_values, const void *device, size_t bytes,
                        cudaStream_t stream);

#endif
