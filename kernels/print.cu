// printf and assert on the device.
#include "cuda.h"

// Thread 0 of each block prints one line of its numbers: a decimal, a hexadecimal, 64 bits, a double, a string, a
// character and a percent sign.
extern "C" __global__ void greet(u32 number, u64 large, double real) {
    if (threadIdx.x == 0) {
        printf("block %u of %u: %d %#x %llu %.3f %5.1e [%-6s] [%4s] %c 100%%\n", blockIdx.x, gridDim.x,
               -(i32)number, number, large, real, real, "left", "r", 'A' + (i32)(number % 26));
    }
}

// Every x[i] must be below the limit: else the assertion stops the launch. n words.
extern "C" __global__ void require_below(u32 n, u32 limit, const u32 *x) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        assert(x[i] < limit);
    }
}
