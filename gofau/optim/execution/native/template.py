"""The C around a step's arithmetic: types, and the loop over many tensors with many threads.

``gofau_step`` takes the tensors' sizes, the pointers to their streams (parameter, gradient and
buffers, one tensor after the other), pointers to their step counters (or null), the
hyperparameters, and a bound per tensor to which its weights are clipped (or null for all). The
counters are advanced first; then threads take pieces of work until none is left. So 62 tensors need
only one parallel region, and the other cores do not wait for a slow one.
"""

from typing import NamedTuple

import torch

PLAIN = "#define LOAD(x) (x)\n#define STORE(x) (x)"
BFLOAT16 = """\
static inline T LOAD(S x) {
    const uint32_t bits = (uint32_t)x << 16;
    T y;
    memcpy(&y, &bits, sizeof y);
    return y;
}
static inline S STORE(T y) { /* to the nearest, ties to even */
    uint32_t bits;
    memcpy(&bits, &y, sizeof bits);
    return (S)(y != y ? 0x7fc0u : (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}"""


class Type(NamedTuple):
    """C types: of the arithmetic, of memory, and an integer as wide as the first; and the macros
    that convert between the first two. Short floats are computed in float, as in torch's fused
    optimizers."""

    compute: str
    stored: str
    integer: str
    access: str


TYPES = {
    torch.float32: Type("float", "float", "int32_t", PLAIN),
    torch.float64: Type("double", "double", "int64_t", PLAIN),
    torch.float16: Type("float", "_Float16", "int32_t", PLAIN),
    torch.bfloat16: Type("float", "uint16_t", "int32_t", BFLOAT16),
}


TEMPLATE = """\
#include <math.h>
#include <stdint.h>
#include <string.h>

/* Elements per piece of work: some hundred kilobytes over all streams, within an L2 cache. */
#define GRAIN 32768

typedef {compute} T;
typedef {stored} S;
typedef {integer} I;
{access}
#if defined(__FP_FAST_FMA) && defined(__FP_FAST_FMAF)
#define FMA(a, b, c) (sizeof(T) == 4 ? fmaf(a, b, c) : fma(a, b, c))
#else
#define FMA(a, b, c) ((a) * (b) + (c))
#endif

/* exp(r) - 1 for |r| <= (ln 2)/2: Taylor's polynomial, to r^8. */
static inline float short_expm1(float r) {{
    float q = FMA(r, 1.0f / 40320, 1.0f / 5040);
    q = FMA(q, r, 1.0f / 720);
    q = FMA(q, r, 1.0f / 120);
    q = FMA(q, r, 1.0f / 24);
    q = FMA(q, r, 1.0f / 6);
    q = FMA(q, r, 0.5f);
    return r * FMA(r, q, 1.0f);
}}

/* Below this bound n is 0 in what follows, and short_expm1 gives the same bits; a margin below
   (ln 2)/2 for the rounding of the values that the bound was computed from. */
#define SMALL 0.34

/* The library's is a call per number. x = n ln 2 + r with |r| <= (ln 2)/2; 2^n is made of its
   exponent's bits, halved so that n = 128 is in range. */
static inline float quick_expm1(float x) {{
    const float y = x > 89.0f ? 89.0f : (x < -18.0f ? -18.0f : x);
    const float n = rintf(y * 1.44269504f);
    const float r = FMA(n, -1.90465421e-9f, FMA(n, -0.693147182f, y));
    const float e = short_expm1(r);
    const int32_t bits = ((int32_t)n + 126) << 23;
    float half;
    memcpy(&half, &bits, sizeof half);
    return n == 0 ? e : 2 * FMA(e, half, half - 0.5f);
}}

/* As (s + s/(s + 1))/2 of s = exp(|x|) - 1, where nothing cancels; 1 + 1/(s + 1) for s = inf. */
static inline float quick_sinh(float x) {{
    const float s = quick_expm1(fabsf(x));
    return copysignf(0.5f * s * (1 + 1 / (1 + s)), x);
}}

/* A choice that is the same for the whole loop, as bits: a branch would keep it from vectors. */
static inline T pick(I mask, T a, T b) {{
    I x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    x = (x & mask) | (y & ~mask);
    memcpy(&a, &x, sizeof a);
    return a;
}}

/* ``small`` is a constant wherever it is called: one loop with it, one without. */
static inline __attribute__((always_inline)) void
loop(int64_t n, {parameters}, double t, const double *restrict h, const int small) {{
    {scalars}
    #pragma omp simd
    for (int64_t i = 0; i < n; i++) {{
        {loads}
        {body}
        {stores}
    }}
}}

static __attribute__((noinline)) void
piece(int64_t n, {parameters}, double t, const double *restrict h) {{
    {scalars}
    if ({small}) loop(n, {passed}, t, h, 1);
    else loop(n, {passed}, t, h, 0);
}}

/* torch.clamp(x, -bound, bound): what is not a number stays. The bound is rounded as torch does. */
static __attribute__((noinline)) void clip(int64_t n, S *restrict x, double bound) {{
    const S rounded = STORE((T)bound);
    const T most = LOAD(rounded);
    #pragma omp simd
    for (int64_t i = 0; i < n; i++) {{
        const T v = LOAD(x[i]);
        x[i] = STORE(v < -most ? -most : v > most ? most : v);
    }}
}}

void gofau_step(int64_t count, const int64_t *sizes, void *const *data, float *const *steps,
                const double *h, const double *bounds, int32_t threads) {{
    int64_t next = 0; /* pieces are taken in order by whichever thread is free */
    for (int64_t k = 0; k < count; k++)
        if (steps[k]) *steps[k] += 1;
    #pragma omp parallel num_threads(threads) if (threads > 1)
    {{
        int64_t tensor = 0, before = 0;
        for (;;) {{
            const int64_t mine = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED);
            int64_t pieces;
            while (tensor < count &&
                   mine >= before + (pieces = (sizes[tensor] + GRAIN - 1) / GRAIN)) {{
                before += pieces;
                tensor++;
            }}
            if (tensor >= count) break;
            const int64_t at = (mine - before) * GRAIN, left = sizes[tensor] - at;
            void *const *x = data + tensor * {streams};
            const double t = steps[tensor] ? *steps[tensor] : 0;
            const int64_t n = left < GRAIN ? left : GRAIN;
            piece(n, {arguments}, t, h);
            /* Now, while the weights are in the cache. */
            if (bounds && bounds[tensor] < INFINITY) clip(n, (S *)x[0] + at, bounds[tensor]);
        }}
    }}
}}
"""
