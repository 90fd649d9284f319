// Histograms with atomics. The counts don't depend on the order of the additions.
#include "cuda.h"

// counts[v] gains how often the byte v occurs in x, n bytes. Each block counts in shared memory, then adds its 256
// counts to the global ones. Each thread takes every (threads of the grid)-th byte.
extern "C" __global__ void histogram_bytes(u32 n, const u8 *x, u32 *counts) {
    __shared__ u32 of_block[256];
    for (u32 v = threadIdx.x; v < 256; v += blockDim.x) {
        of_block[v] = 0;
    }
    __syncthreads();
    u32 stride = gridDim.x * blockDim.x;
    for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride) {
        atomicAdd(&of_block[x[i]], 1u);
    }
    __syncthreads();
    for (u32 v = threadIdx.x; v < 256; v += blockDim.x) {
        if (of_block[v] != 0) {
            atomicAdd(&counts[v], of_block[v]);
        }
    }
}

// counts[min(floor(x[i] * bins), bins - 1)] gains 1 for each x[i] of [0, 1], straight in global memory; other values
// are counted in *outside.
extern "C" __global__ void histogram_unit(u32 n, u32 bins, const float *x, u32 *counts, u32 *outside) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) {
        return;
    }
    if (!(x[i] >= 0.0f && x[i] <= 1.0f)) {
        atomicAdd(outside, 1u);
        return;
    }
    u32 bin = (u32)float_to_int(x[i] * (float)bins);
    atomicAdd(&counts[bin < bins ? bin : bins - 1], 1u);
}
