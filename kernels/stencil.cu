// One step of the heat equation by the explicit five-point and seven-point formulas:
// next = here + k * (sum of the neighbours - neighbours * here). Cells at the rim keep their value.
#include "cuda.h"

constexpr u32 TILE = 16;

// Two dimensions, width x height floats, row-major. Blocks of 16 x 16 threads, over a tile with a rim of one cell in
// shared memory. Stable for k <= 1/4.
extern "C" __global__ void heat_2d(u32 width, u32 height, float k, const float *now, float *next) {
    __shared__ float tile[TILE + 2][TILE + 2];
    u32 x = blockIdx.x * TILE + threadIdx.x, y = blockIdx.y * TILE + threadIdx.y;
    u32 column = threadIdx.x + 1, row = threadIdx.y + 1;
    bool is_cell = x < width && y < height;
    if (is_cell) {
        u32 at = y * width + x;
        tile[row][column] = now[at];
        if (threadIdx.x == 0 && x > 0) {
            tile[row][0] = now[at - 1];
        }
        if (threadIdx.x == TILE - 1 && x + 1 < width) {
            tile[row][TILE + 1] = now[at + 1];
        }
        if (threadIdx.y == 0 && y > 0) {
            tile[0][column] = now[at - width];
        }
        if (threadIdx.y == TILE - 1 && y + 1 < height) {
            tile[TILE + 1][column] = now[at + width];
        }
    }
    __syncthreads();
    if (!is_cell) {
        return;
    }
    float here = tile[row][column];
    bool is_rim = x == 0 || y == 0 || x + 1 == width || y + 1 == height;
    if (!is_rim) {
        float around = tile[row][column - 1] + tile[row][column + 1] + tile[row - 1][column] + tile[row + 1][column];
        here = here + k * (around - 4.0f * here);
    }
    next[y * width + x] = here;
}

// Three dimensions, width x height x depth floats, x fastest; one thread per cell. Stable for k <= 1/6.
extern "C" __global__ void heat_3d(u32 width, u32 height, u32 depth, float k, const float *now, float *next) {
    u32 x = blockIdx.x * blockDim.x + threadIdx.x;
    u32 y = blockIdx.y * blockDim.y + threadIdx.y;
    u32 z = blockIdx.z * blockDim.z + threadIdx.z;
    if (x >= width || y >= height || z >= depth) {
        return;
    }
    u32 layer = width * height, at = z * layer + y * width + x;
    float here = now[at];
    bool is_rim = x == 0 || y == 0 || z == 0 || x + 1 == width || y + 1 == height || z + 1 == depth;
    if (!is_rim) {
        float around = now[at - 1] + now[at + 1] + now[at - width] + now[at + width] + now[at - layer] + now[at + layer];
        here = here + k * (around - 6.0f * here);
    }
    next[at] = here;
}
