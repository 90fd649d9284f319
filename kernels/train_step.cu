// The training step of the cookbook: small, deterministic, and able to tell when a step was left out or done twice.
#include "cuda.h"

// Mixes byte i of `state` with the step and its place: b = (b * 5 + low byte of ((step + 1) * 0x9E3779B97F4A7C15 + i * 29
// rotated by 23)) modulo 256. The first `output_len` bytes of `state` are updated, each from itself alone, by any
// grid: thread t of all T takes the bytes t, t + T, ...
extern "C" __global__ void train_step(u64 step, u32 output_len, u8 *state) {
    u32 stride = gridDim.x * blockDim.x;
    for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < output_len; i += stride) {
        u64 mixed = (step + 1) * 0x9E3779B97F4A7C15 + (u64)i * 29;
        mixed = mixed << 23 | mixed >> 41;
        state[i] = (u8)(state[i] * 5 + (u8)mixed);
    }
}
