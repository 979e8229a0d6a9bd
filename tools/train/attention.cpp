// Softmax attention for heads 4 to 16 wide on a CPU, forward and backward, one thread.
//
// q, o and their gradients are [n, s, heads * D], k and v [n, t, heads * D], as the linear layers leave
// them. Keys and values of one head are turned to [D][t] so that all inner loops run along the keys,
// sixteen at a time. Framework kernels spend most of a step here: their tiles are made for wide heads.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

typedef float f16 __attribute__((vector_size(64)));
typedef int32_t i16 __attribute__((vector_size(64)));
enum { LANES = 16 };

static inline f16 splat(float x) { return f16{} + x; }

// e^x for x <= 0 or near it: 2^n times a polynomial on [-ln2/2, ln2/2], relative error below 3e-7.
static inline f16 exponential(f16 x)
{
    x = x < -87.0f ? splat(-87.0f) : x;
    const f16 shift = splat(12582912.0f); // 1.5 * 2^23: adding it rounds to an integer
    f16 n = x * 1.44269504f + shift;
    const i16 bits = (i16)n;
    n -= shift;
    const f16 r = x - n * 0.693145752f - n * 1.42860677e-6f;
    f16 p = r * 1.38888889e-3f + 8.33333333e-3f;
    p = p * r + 4.16666667e-2f;
    p = p * r + 1.66666667e-1f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    return (f16)((i16)p + (bits << 23));
}

static inline float total(f16 x)
{
    float s = 0;
    for (int i = 0; i < LANES; i++)
        s += x[i];
    return s;
}

struct head { // one head of one image, its keys and values turned
    int t, blocks;
    std::vector<f16> k, v;
};

static void turn(const float *x, int t, int stride, int D, int blocks, std::vector<f16> &y)
{
    y.assign((size_t)D * blocks, f16{});
    float *out = (float *)y.data();
    for (int j = 0; j < t; j++)
        for (int d = 0; d < D; d++)
            out[(size_t)d * blocks * LANES + j] = x[(size_t)j * stride + d];
}

template <int D>
static void forward(const float *q, const float *k, const float *v, float *o, float *lse, int n, int heads, int s, int t)
{
    const int stride = heads * D, blocks = (t + LANES - 1) / LANES;
    const float scale = 1 / std::sqrt((float)D);
    std::vector<f16> K, V, P(blocks);
    for (int b = 0; b < n; b++)
        for (int h = 0; h < heads; h++) {
            turn(k + (size_t)b * t * stride + h * D, t, stride, D, blocks, K);
            turn(v + (size_t)b * t * stride + h * D, t, stride, D, blocks, V);
            for (int i = 0; i < s; i++) {
                const float *qi = q + ((size_t)b * s + i) * stride + h * D;
                f16 top = splat(-1e30f);
                float qs[D];
                for (int d = 0; d < D; d++)
                    qs[d] = qi[d] * scale;
                for (int j = 0; j < blocks; j++) {
                    f16 x{};
                    for (int d = 0; d < D; d++)
                        x += qs[d] * K[d * blocks + j];
                    P[j] = x;
                    top = x > top ? x : top;
                }
                for (int j = t; j < blocks * LANES; j++)
                    ((float *)P.data())[j] = -1e30f;
                float m = top[0];
                for (int l = 1; l < LANES; l++)
                    m = top[l] > m ? top[l] : m;
                f16 sum{}, acc[D] = {};
                for (int j = 0; j < blocks; j++) {
                    const f16 e = exponential(P[j] - m);
                    sum += e;
                    for (int d = 0; d < D; d++)
                        acc[d] += e * V[d * blocks + j];
                }
                const float all = total(sum);
                float *oi = o + ((size_t)b * s + i) * stride + h * D;
                for (int d = 0; d < D; d++)
                    oi[d] = total(acc[d]) / all;
                lse[((size_t)b * heads + h) * s + i] = m + std::log(all);
            }
        }
}

template <int D>
static void backward(const float *q, const float *k, const float *v, const float *o, const float *lse, const float *go,
                     float *gq, float *gk, float *gv, int n, int heads, int s, int t)
{
    const int stride = heads * D, blocks = (t + LANES - 1) / LANES;
    const float scale = 1 / std::sqrt((float)D);
    std::vector<f16> K, V, GK, GV;
    for (int b = 0; b < n; b++)
        for (int h = 0; h < heads; h++) {
            const size_t off = (size_t)b * t * stride + h * D;
            turn(k + off, t, stride, D, blocks, K);
            turn(v + off, t, stride, D, blocks, V);
            GK.assign((size_t)D * blocks, f16{});
            GV.assign((size_t)D * blocks, f16{});
            for (int i = 0; i < s; i++) {
                const size_t at = ((size_t)b * s + i) * stride + h * D;
                const float l = lse[((size_t)b * heads + h) * s + i];
                float qs[D], g[D], delta = 0;
                for (int d = 0; d < D; d++) {
                    qs[d] = q[at + d] * scale;
                    g[d] = go[at + d];
                    delta += g[d] * o[at + d];
                }
                f16 acc[D] = {};
                for (int j = 0; j < blocks; j++) {
                    f16 x{}, y{};
                    for (int d = 0; d < D; d++) {
                        x += qs[d] * K[d * blocks + j];
                        y += g[d] * V[d * blocks + j];
                    }
                    // keys behind the last are zeros: their gradients fall into padding nobody reads
                    const f16 p = exponential(x - l), w = p * (y - delta);
                    for (int d = 0; d < D; d++) {
                        acc[d] += w * K[d * blocks + j];
                        GK[d * blocks + j] += w * qs[d];
                        GV[d * blocks + j] += p * g[d];
                    }
                }
                for (int d = 0; d < D; d++)
                    gq[at + d] = total(acc[d]) * scale;
            }
            for (int j = 0; j < t; j++)
                for (int d = 0; d < D; d++) {
                    gk[off + (size_t)j * stride + d] = ((float *)GK.data())[(size_t)d * blocks * LANES + j];
                    gv[off + (size_t)j * stride + d] = ((float *)GV.data())[(size_t)d * blocks * LANES + j];
                }
        }
}

extern "C" int attend_forward(const float *q, const float *k, const float *v, float *o, float *lse, int n, int heads,
                              int s, int t, int d)
{
    switch (d) {
    case 4: forward<4>(q, k, v, o, lse, n, heads, s, t); return 0;
    case 8: forward<8>(q, k, v, o, lse, n, heads, s, t); return 0;
    case 12: forward<12>(q, k, v, o, lse, n, heads, s, t); return 0;
    case 16: forward<16>(q, k, v, o, lse, n, heads, s, t); return 0;
    }
    return 1;
}

extern "C" int attend_backward(const float *q, const float *k, const float *v, const float *o, const float *lse,
                               const float *go, float *gq, float *gk, float *gv, int n, int heads, int s, int t, int d)
{
    switch (d) {
    case 4: backward<4>(q, k, v, o, lse, go, gq, gk, gv, n, heads, s, t); return 0;
    case 8: backward<8>(q, k, v, o, lse, go, gq, gk, gv, n, heads, s, t); return 0;
    case 12: backward<12>(q, k, v, o, lse, go, gq, gk, gv, n, heads, s, t); return 0;
    case 16: backward<16>(q, k, v, o, lse, go, gq, gk, gv, n, heads, s, t); return 0;
    }
    return 1;
}
