// One step of a radix sort of 32-bit keys by a digit of four bits: count, sum up, scatter. Stable, so eight steps with
// shift = 0, 4, .. 28 sort.
#include "cuda.h"

constexpr u32 DIGITS = 16;

static __device__ u32 digit_of(u32 key, u32 shift) { return (key >> shift) % DIGITS; }

// counts[digit * gridDim.x + block] = how many keys of the block have the digit. keys: n words.
extern "C" __global__ void radix_count(u32 n, u32 shift, const u32 *keys, u32 *counts) {
    __shared__ u32 of_block[DIGITS];
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (threadIdx.x < DIGITS) {
        of_block[threadIdx.x] = 0;
    }
    __syncthreads();
    if (i < n) {
        atomicAdd(&of_block[digit_of(keys[i], shift)], 1u);
    }
    __syncthreads();
    if (threadIdx.x < DIGITS) {
        counts[threadIdx.x * gridDim.x + blockIdx.x] = of_block[threadIdx.x];
    }
}

// One thread: counts[i] = the sum of the counts before i. count words.
extern "C" __global__ void radix_offsets(u32 count, u32 *counts) {
    if (blockIdx.x != 0 || threadIdx.x != 0) {
        return;
    }
    u32 sum = 0;
    for (u32 i = 0; i < count; i++) {
        u32 own = counts[i];
        counts[i] = sum;
        sum += own;
    }
}

// sorted = keys, ordered by the digit, equal digits in the order they had. offsets as radix_offsets leaves them, the
// same grid as radix_count. The rank of a key among the equal digits of its block: those of the warps before, which
// lie in of_warp, and those of the lanes before, by a vote per digit's bit. blockDim.x is a multiple of 32, at most
// 1024.
extern "C" __global__ void radix_scatter(u32 n, u32 shift, const u32 *keys, const u32 *offsets, u32 *sorted) {
    __shared__ u32 of_warp[32][DIGITS];
    u32 t = threadIdx.x, i = blockIdx.x * blockDim.x + t, warp = t / 32;
    bool is_key = i < n;
    u32 key = is_key ? keys[i] : 0, digit = digit_of(key, shift);
    u32 peers = ballot_warp(is_key);
    for (u32 bit = 1; bit < DIGITS; bit *= 2) {
        u32 having = ballot_warp(digit & bit);
        peers &= digit & bit ? having : ~having;
    }
    u32 rank = __popc(peers & ((1u << lane_id()) - 1));
    if (t % 32 < DIGITS) {
        of_warp[warp][t % 32] = 0;
    }
    __syncthreads();
    if (is_key && rank == 0) {
        of_warp[warp][digit] = __popc(peers);
    }
    __syncthreads();
    if (is_key) {
        u32 place = offsets[digit * gridDim.x + blockIdx.x] + rank;
        for (u32 before = 0; before < warp; before++) {
            place += of_warp[before][digit];
        }
        sorted[place] = key;
    }
}
