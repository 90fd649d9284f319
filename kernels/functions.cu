// Calls: functions that are not inlined, with scalars, structures and pointers as parameters, and one through a table.
#include "cuda.h"

struct Complex {
    double re, im;
};

static __device__ __noinline__ Complex square_plus(Complex z, Complex c) {
    return Complex{z.re * z.re - z.im * z.im + c.re, 2.0 * z.re * z.im + c.im};
}

static __device__ __noinline__ u32 gcd(u32 a, u32 b) {
    while (b != 0) {
        u32 rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static __device__ __noinline__ void sort_two(u32 *a, u32 *b) {
    if (*a > *b) {
        u32 greater = *a;
        *a = *b;
        *b = greater;
    }
}

static __device__ __noinline__ u32 lcm(u32 a, u32 b) { return a == 0 ? 0 : a / gcd(a, b) * b; }

// steps[i] = how many steps z = z^2 + c takes from 0 until |z|^2 > 4, at most `limit`, for c = (re[i], im[i]):
// threads of a warp leave the loop at different times. n elements each.
extern "C" __global__ void escape_time(u32 n, u32 limit, const double *re, const double *im, u32 *steps) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) {
        return;
    }
    Complex z = {0.0, 0.0}, c = {re[i], im[i]};
    u32 step = 0;
    while (step < limit && z.re * z.re + z.im * z.im <= 4.0) {
        z = square_plus(z, c);
        step++;
    }
    steps[i] = step;
}

// multiple[i] = the least common multiple of a[i] and b[i] modulo 2^32 (0 if a[i] is 0). n words each.
extern "C" __global__ void least_multiple(u32 n, const u32 *a, const u32 *b, u32 *multiple) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        multiple[i] = lcm(a[i], b[i]);
    }
}

// Each group of five words sorted by a network, in place: pointers into the thread's own memory. n groups.
extern "C" __global__ void sort_fives(u32 n, u32 *x) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) {
        return;
    }
    u32 own[5];
    for (u32 k = 0; k < 5; k++) {
        own[k] = x[i * 5 + k];
    }
    for (u32 round = 0; round < 5; round++) {
        for (u32 k = round % 2; k + 1 < 5; k += 2) {
            sort_two(&own[k], &own[k + 1]);
        }
    }
    for (u32 k = 0; k < 5; k++) {
        x[i * 5 + k] = own[k];
    }
}

static __device__ __noinline__ u32 sum_of(u32 a, u32 b) { return a + b; }
static __device__ __noinline__ u32 difference_of(u32 a, u32 b) { return a - b; }
static __device__ __noinline__ u32 product_of(u32 a, u32 b) { return a * b; }
static __device__ __noinline__ u32 mean_of(u32 a, u32 b) { return (a & b) + ((a ^ b) >> 1); }

// out[i] = the function numbered choice[i] % 4 (sum, difference, product, mean rounded down) of a[i] and b[i], called
// through a pointer: threads of a warp call different ones. n words each.
extern "C" __global__ void call_by_number(u32 n, const u32 *choice, const u32 *a, const u32 *b, u32 *out) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        u32 (*const functions[4])(u32, u32) = {sum_of, difference_of, product_of, mean_of};
        out[i] = functions[choice[i] % 4](a[i], b[i]);
    }
}
