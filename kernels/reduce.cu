// Sums and extrema of a block, and of a grid by atomics.
#include "cuda.h"

// sums[block] = the sum of the block's elements of x, added as a tree in shared memory: in each round thread t adds
// what thread t + half holds. The order is fixed, so the bits are too. blockDim.x is a power of two;
// dynamic shared memory: blockDim.x floats. x: n floats; elements past the end count as 0.
extern "C" __global__ void block_sum(u32 n, const float *x, float *sums) {
    extern __shared__ float partial[];
    u32 t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    partial[t] = i < n ? x[i] : 0.0f;
    __syncthreads();
    for (u32 half = blockDim.x / 2; half > 0; half /= 2) {
        if (t < half) {
            partial[t] += partial[t + half];
        }
        __syncthreads();
    }
    if (t == 0) {
        sums[blockIdx.x] = partial[0];
    }
}

// As block_sum, but each thread first adds every (threads of the grid)-th element, in order: a few blocks reduce any n.
extern "C" __global__ void grid_sum(u32 n, const float *x, float *sums) {
    extern __shared__ float partial[];
    u32 t = threadIdx.x, stride = gridDim.x * blockDim.x;
    float sum = 0.0f;
    for (u32 i = blockIdx.x * blockDim.x + t; i < n; i += stride) {
        sum += x[i];
    }
    partial[t] = sum;
    __syncthreads();
    for (u32 half = blockDim.x / 2; half > 0; half /= 2) {
        if (t < half) {
            partial[t] += partial[t + half];
        }
        __syncthreads();
    }
    if (t == 0) {
        sums[blockIdx.x] = partial[0];
    }
}

// sums[block] = the sum modulo 2^32: shuffles within each warp, then its first warp adds what the warps found.
// blockDim.x is a multiple of 32, at most 1024. x: n words.
extern "C" __global__ void warp_sum(u32 n, const u32 *x, u32 *sums) {
    __shared__ u32 of_warp[32];
    u32 t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
    u32 sum = i < n ? x[i] : 0;
    for (u32 by = 16; by > 0; by /= 2) {
        sum += shuffle_down(sum, by);
    }
    if (t % 32 == 0) {
        of_warp[t / 32] = sum;
    }
    __syncthreads();
    if (t < 32) {
        sum = t < blockDim.x / 32 ? of_warp[t] : 0;
        for (u32 by = 16; by > 0; by /= 2) {
            sum += shuffle_down(sum, by);
        }
        if (t == 0) {
            sums[blockIdx.x] = sum;
        }
    }
}

// Of all n elements of x, in any order: *total gains the sum, *greatest and *least become the maximum and (as signed
// numbers) the minimum if they beat what is there, *parity gains the exclusive or.
extern "C" __global__ void atomic_reduce(u32 n, const u32 *x, u64 *total, u32 *greatest, i32 *least, u32 *parity) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        atomicAdd(total, (u64)x[i]);
        atomicMax(greatest, x[i]);
        atomicMin(least, (i32)x[i]);
        atomicXor(parity, x[i]);
    }
}

// *total gains the sum of n floats. Atomic additions come in any order, so the last bits are the order's, unless
// every partial sum is exact.
extern "C" __global__ void atomic_sum_f32(u32 n, const float *x, float *total) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        atomicAdd(total, x[i]);
    }
}

// *count gains n, one by one, under a lock that one thread at a time holds (0 is free): the classic loop in which a
// warp must not wait for a lane of its own.
extern "C" __global__ void locked_count(u32 n, u32 *lock, volatile u32 *count) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    bool waits = i < n;
    while (waits) {
        if (atomicCAS(lock, 0, 1) == 0) {
            __threadfence();
            *count = *count + 1;
            __threadfence();
            atomicExch(lock, 0);
            waits = false;
        }
    }
}
