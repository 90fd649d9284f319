// What the lanes of a warp tell each other. blockDim.x is a multiple of 32 in all of these, and no thread leaves early.
#include "cuda.h"

// The prefix sum within each warp, by shuffles upwards. x, out: one word per thread of the grid.
extern "C" __global__ void warp_scan(const u32 *x, u32 *out) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    u32 sum = x[i];
    for (u32 by = 1; by < 32; by *= 2) {
        u32 before = shuffle_up(sum, by);
        if (lane_id() >= by) {
            sum += before;
        }
    }
    out[i] = sum;
}

// out[i] = the value of the lane that from[i] % 32 names. One word per thread of the grid each.
extern "C" __global__ void warp_gather(const u32 *x, const u32 *from, u32 *out) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    out[i] = shuffle_idx(x[i], from[i] % 32);
}

// votes[i] = the lanes with an odd x; peers[i] = the lanes with the same x; ranks[i] = how many of these come before.
extern "C" __global__ void warp_votes(const u32 *x, u32 *votes, u32 *peers, u32 *ranks) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    votes[i] = ballot_warp(x[i] & 1);
    u32 same = match_any(x[i]);
    peers[i] = same;
    ranks[i] = __popc(same & ((1u << lane_id()) - 1));
}

// sums[i] = the sum, lowest[i] = the minimum of the warp's x: by redux from compute capability 8.0 on, by shuffles before.
extern "C" __global__ void warp_reduce(const u32 *x, u32 *sums, u32 *lowest) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    u32 sum, low;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm volatile("redux.sync.add.u32 %0, %1, 0xffffffff;" : "=r"(sum) : "r"(x[i]));
    asm volatile("redux.sync.min.u32 %0, %1, 0xffffffff;" : "=r"(low) : "r"(x[i]));
#else
    sum = low = x[i];
    for (u32 by = 16; by > 0; by /= 2) {
        sum += shuffle_bfly(sum, by);
        u32 other = shuffle_bfly(low, by);
        low = other < low ? other : low;
    }
#endif
    sums[i] = sum;
    lowest[i] = low;
}

// The bits of x, several ways. counts[i] = ones + 100 * leading zeros; reversed[i] = from the other end;
// rotated[i] = to the left by i % 32; bytes[i] = its bytes from the other end; high[i] = the upper half of x * x.
extern "C" __global__ void bits(const u32 *x, u32 *counts, u32 *reversed, u32 *rotated, u32 *bytes, u32 *high) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    u32 v = x[i], by = i % 32;
    counts[i] = __popc(v) + 100 * __clz(v);
    reversed[i] = __brev(v);
    rotated[i] = v << by | v >> ((32 - by) % 32);
    bytes[i] = v << 24 | (v & 0xff00) << 8 | (v >> 8 & 0xff00) | v >> 24;
    high[i] = __umulhi(v, v);
}
