#include "client/device/bus.cuh"

#include <string.h>

cudaError_t fl_bus_init(struct fl_bus *bus)
{
    cudaError_t error = cudaSuccess;
    for (int i = 0; i < 2 && !error; i++) {
        error = cudaHostAlloc(&bus->pinned[i], FL_BUS_BYTES, cudaHostAllocDefault);
        if (!error)
            error = cudaEventCreateWithFlags(&bus->done[i], cudaEventDisableTiming);
    }
    return error;
}

void fl_bus_done(struct fl_bus *bus)
{
    for (int i = 0; i < 2; i++) {
        if (bus->done[i])
            (void)cudaEventDestroy(bus->done[i]);
        if (bus->pinned[i])
            (void)cudaFreeHost(bus->pinned[i]);
    }
    *bus = fl_bus();
}

static size_t part(size_t bytes, size_t at)
{
    return bytes - at < FL_BUS_BYTES ? bytes - at : FL_BUS_BYTES;
}

cudaError_t fl_bus_up(struct fl_bus *bus, void *device, const void *values, size_t bytes, cudaStream_t stream)
{
    cudaError_t error = cudaSuccess;
    for (size_t at = 0; at < bytes && !error; at += FL_BUS_BYTES) {
        unsigned slot = bus->next++ % 2;
        error = cudaEventSynchronize(bus->done[slot]);
        if (error)
            break;
        memcpy(bus->pinned[slot], (const unsigned char *)values + at, part(bytes, at));
        error = cudaMemcpyAsync((unsigned char *)device + at, bus->pinned[slot], part(bytes, at),
                                cudaMemcpyHostToDevice, stream);
        if (!error)
            error = cudaEventRecord(bus->done[slot], stream);
    }
    return error;
}

/* Waits for the part at `at`, which is in the buffer slot, and hands it over. */
static cudaError_t land(struct fl_bus *bus, unsigned slot, void *ret_values, size_t bytes, size_t at)
{
    cudaError_t error = cudaEventSynchronize(bus->done[slot]);
    if (!error)
        memcpy((unsigned char *)ret_values + at, bus->pinned[slot], part(bytes, at));
    return error;
}

cudaError_t fl_bus_down(struct fl_bus *bus, void *ret_values, const void *device, size_t bytes,
                        cudaStream_t stream)
{
    cudaError_t error = cudaSuccess;
    unsigned slot = 0;
    for (size_t at = 0; at < bytes && !error; at += FL_BUS_BYTES) {
        slot = bus->next++ % 2;
        error = cudaMemcpyAsync(bus->pinned[slot], (const unsigned char *)device + at, part(bytes, at),
                                cudaMemcpyDeviceToHost, stream);
        if (!error)
            error = cudaEventRecord(bus->done[slot], stream);
        if (!error && at)
            error = land(bus, slot ^ 1, ret_values, bytes, at - FL_BUS_BYTES);
    }
    size_t last = bytes ? (bytes - 1) / FL_BUS_BYTES * FL_BUS_BYTES : 0;
    return error || !bytes ? error : land(bus, slot, ret_values, bytes, last);
}
