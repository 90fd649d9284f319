// Matrix products, c = a * b, all row-major.
#include "cuda.h"

constexpr u32 TILE = 16;

// a: rows x inner, b: inner x columns, c: rows x columns, floats. A block of 16 x 16 threads computes one tile of c,
// over tiles of a and b in shared memory; elements past the edges count as 0. Products are added in the order of the
// inner index, each operation rounded (so the zeros past the end don't change a bit, but for the sign of a zero).
// Grid: ceil(columns / 16) x ceil(rows / 16).
extern "C" __global__ void matmul(u32 rows, u32 inner, u32 columns, const float *a, const float *b, float *c) {
    __shared__ float tile_a[TILE][TILE], tile_b[TILE][TILE];
    u32 x = threadIdx.x, y = threadIdx.y;
    u32 row = blockIdx.y * TILE + y, column = blockIdx.x * TILE + x;
    float sum = 0.0f;
    for (u32 first = 0; first < inner; first += TILE) {
        tile_a[y][x] = row < rows && first + x < inner ? a[row * inner + first + x] : 0.0f;
        tile_b[y][x] = first + y < inner && column < columns ? b[(first + y) * columns + column] : 0.0f;
        __syncthreads();
        for (u32 k = 0; k < TILE; k++) {
            sum += tile_a[y][k] * tile_b[k][x];
        }
        __syncthreads();
    }
    if (row < rows && column < columns) {
        c[row * columns + column] = sum;
    }
}

// The same product with fused multiply-adds; each thread computes four neighbours of a row, read and written as one
// access. Rows and inner are any, columns a multiple of 4, b and c 16-byte aligned. Grid x block: columns / 4 along x,
// rows along y.
extern "C" __global__ void matmul_fused_x4(u32 rows, u32 inner, u32 columns, const float *a, const float4_t *b,
                                           float4_t *c) {
    u32 column = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y;
    u32 groups = columns / 4;
    if (row >= rows || column >= groups) {
        return;
    }
    float4_t sum = {0.0f, 0.0f, 0.0f, 0.0f};
    for (u32 k = 0; k < inner; k++) {
        float factor = a[row * inner + k];
        float4_t other = b[k * groups + column];
        sum.x = fma_rn(factor, other.x, sum.x);
        sum.y = fma_rn(factor, other.y, sum.y);
        sum.z = fma_rn(factor, other.z, sum.z);
        sum.w = fma_rn(factor, other.w, sum.w);
    }
    c[row * groups + column] = sum;
}
