// Acoustic waves in a closed box by finite differences in time and space (FDTD), as a persistent kernel: everything
// that it must know lies in device memory, so that whoever has these bytes can go on.
//
// next = 2 * now - before + k * (sum of the six neighbours - 6 * now), where k is the square of the Courant number;
// stable for k <= 1/3. Outside of the box the pressure is zero.
//
// A step is three launches, in this order on one stream: fdtd_step, fdtd_advance, fdtd_exchange. Whether the next step
// is done is decided in fdtd_advance alone, between two steps: a step is done whole or not at all.
#include "cuda.h"

// 256 bytes; the first 64 are those of every persistent kernel.
struct control_t {
    u64 steps_done;
    u64 stop_at;
    u32 running;
    u32 stop;
    u32 reserved[10];
    u32 width, height, depth;
    // The box is cut along z into slabs of so many layers (the last may have fewer), which know of each other by their
    // halos only.
    u32 slab_depth;
    u64 microphone;
    float k;
    u32 rest[41];
};

// 64 bytes, then the slots. `head` and `tail` count messages since the beginning.
struct queue_t {
    u64 head;
    u64 tail;
    u32 capacity;
    u32 slot_bytes;
    u64 dropped;
    u64 reserved[4];
};

// From the host: add `amplitude` to a cell once so many steps are done.
struct pulse_t {
    u64 at_step;
    u64 cell;
    float amplitude;
    u32 reserved[3];
};

// To the host: what the microphone heard.
struct sample_t {
    u64 step;
    float pressure;
    u32 reserved;
};

// After an even number of steps the field is in a, and that of the step before in b; after an odd one the other way
// round. One thread per cell.
extern "C" __global__ void fdtd_step(const control_t *control, float *a, float *b, const float *halos) {
    u32 width = control->width, height = control->height, depth = control->depth;
    u32 x = blockIdx.x * blockDim.x + threadIdx.x;
    u32 y = blockIdx.y * blockDim.y + threadIdx.y;
    u32 z = blockIdx.z * blockDim.z + threadIdx.z;
    if (control->running == 0 || x >= width || y >= height || z >= depth) {
        return;
    }
    bool is_odd = (control->steps_done & 1) != 0;
    const float *now = is_odd ? b : a;
    float *before = is_odd ? a : b;
    u64 layer = (u64)width * height, in_layer = (u64)y * width + x, at = z * layer + in_layer;
    u32 slab = z / control->slab_depth, in_slab = z % control->slab_depth;
    float here = now[at];
    float left = x > 0 ? now[at - 1] : 0.0f;
    float right = x + 1 < width ? now[at + 1] : 0.0f;
    float front = y > 0 ? now[at - width] : 0.0f;
    float back = y + 1 < height ? now[at + width] : 0.0f;
    float below = in_slab > 0 ? now[at - layer] : halos[2 * slab * layer + in_layer];
    bool is_last = in_slab + 1 == control->slab_depth || z + 1 == depth;
    float above = is_last ? halos[(2 * slab + 1) * layer + in_layer] : now[at + layer];
    float around = ((left + right) + (front + back)) + (below + above);
    before[at] = (2.0f * here - before[at]) + control->k * (around - 6.0f * here);
}

// Ends the step: counts it, takes the messages that are due, posts what the microphone hears, and decides whether there
// is another one. A message for a cell that is not there is taken and does nothing. One thread.
extern "C" __global__ void fdtd_advance(control_t *control, float *a, float *b, queue_t *from_host, queue_t *to_host) {
    if (control->running != 0) {
        u64 done = control->steps_done + 1;
        u64 cells = (u64)control->width * control->height * control->depth;
        float *now = (done & 1) != 0 ? b : a;
        const pulse_t *pulses = (const pulse_t *)(from_host + 1);
        while (from_host->head != from_host->tail) {
            pulse_t pulse = pulses[from_host->head % from_host->capacity];
            if (pulse.at_step > done) {
                break;
            }
            if (pulse.cell < cells) {
                now[pulse.cell] = now[pulse.cell] + pulse.amplitude;
            }
            from_host->head = from_host->head + 1;
        }
        if (to_host->tail - to_host->head < to_host->capacity) {
            sample_t *samples = (sample_t *)(to_host + 1);
            sample_t *sample = samples + to_host->tail % to_host->capacity;
            sample->step = done;
            sample->pressure = control->microphone < cells ? now[control->microphone] : 0.0f;
            sample->reserved = 0;
            to_host->tail = to_host->tail + 1;
        } else {
            to_host->dropped = to_host->dropped + 1;
        }
        control->steps_done = done;
    }
    // The host may raise it at any time; it counts from here on.
    u32 stop = *(const volatile u32 *)&control->stop;
    control->running = stop == 0 && control->steps_done < control->stop_at ? 1 : 0;
}

// Copies the first and last layer of each slab to its neighbours. One thread per cell of a layer, along z one per slab.
extern "C" __global__ void fdtd_exchange(const control_t *control, const float *a, const float *b, float *halos) {
    u32 width = control->width, height = control->height;
    u32 x = blockIdx.x * blockDim.x + threadIdx.x;
    u32 y = blockIdx.y * blockDim.y + threadIdx.y;
    u32 slab = blockIdx.z, slabs = (control->depth - 1) / control->slab_depth + 1;
    if (x >= width || y >= height || slab >= slabs) {
        return;
    }
    const float *now = (control->steps_done & 1) != 0 ? b : a;
    u64 layer = (u64)width * height, in_layer = (u64)y * width + x;
    u64 first = (u64)slab * control->slab_depth;
    if (slab > 0) {
        halos[2 * slab * layer + in_layer] = now[(first - 1) * layer + in_layer];
    }
    if (slab + 1 < slabs) {
        halos[(2 * slab + 1) * layer + in_layer] = now[(first + control->slab_depth) * layer + in_layer];
    }
}
