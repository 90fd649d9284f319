// Prefix sums modulo 2^32, of a block, of a grid in three launches, and of a grid in one.
#include "cuda.h"

// The inclusive prefix sum over the block of each thread's value (Hillis and Steele, 1986): log2 rounds, in each of
// which a thread adds what the thread `by` before it holds. `partial`: blockDim.x words of shared memory.
static __device__ u32 inclusive_in_block(u32 value, u32 *partial) {
    u32 t = threadIdx.x;
    partial[t] = value;
    __syncthreads();
    for (u32 by = 1; by < blockDim.x; by *= 2) {
        u32 before = t >= by ? partial[t - by] : 0;
        __syncthreads();
        partial[t] += before;
        __syncthreads();
    }
    return partial[t];
}

// out[i] = x[first of the block] + ... + x[i], and totals[block] = the block's sum. Dynamic shared memory: blockDim.x
// words. x, out: n words.
extern "C" __global__ void scan_blocks(u32 n, const u32 *x, u32 *out, u32 *totals) {
    extern __shared__ u32 partial[];
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    u32 sum = inclusive_in_block(i < n ? x[i] : 0, partial);
    if (i < n) {
        out[i] = sum;
    }
    if (threadIdx.x == blockDim.x - 1) {
        totals[blockIdx.x] = sum;
    }
}

// One block: totals[b] = the sum of the totals before b. count is at most blockDim.x; shared memory as above.
extern "C" __global__ void scan_totals(u32 count, u32 *totals) {
    extern __shared__ u32 partial[];
    u32 t = threadIdx.x, own = t < count ? totals[t] : 0;
    u32 sum = inclusive_in_block(own, partial);
    if (t < count) {
        totals[t] = sum - own;
    }
}

// out[i] += totals[block]: the third step.
extern "C" __global__ void scan_add(u32 n, u32 *out, const u32 *totals) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        out[i] += totals[blockIdx.x];
    }
}

// out[i] = x[0] + ... + x[i] in one launch. A block draws its number from *ticket (0 before the launch), so that every
// block before it has begun; it waits until its predecessor has published the sum of all before, in
// state[2 * block + 1], announced by 1 in state[2 * block] (0 before the launch). Shared memory as above.
// (Chained scan, after Yan, Long and Zhang: StreamScan, 2013.)
extern "C" __global__ void scan_chained(u32 n, const u32 *x, u32 *out, u32 *ticket, volatile u32 *state) {
    extern __shared__ u32 partial[];
    __shared__ u32 block, before;
    if (threadIdx.x == 0) {
        block = atomicAdd(ticket, 1);
    }
    __syncthreads();
    u32 i = block * blockDim.x + threadIdx.x;
    u32 sum = inclusive_in_block(i < n ? x[i] : 0, partial);
    if (threadIdx.x == blockDim.x - 1) {
        u32 from = 0;
        if (block > 0) {
            while (state[2 * (block - 1)] == 0) {
            }
            __threadfence();
            from = state[2 * (block - 1) + 1];
        }
        state[2 * block + 1] = from + sum;
        __threadfence();
        state[2 * block] = 1;
        before = from;
    }
    __syncthreads();
    if (i < n) {
        out[i] = before + sum;
    }
}
