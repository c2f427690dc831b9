/* expert.onnx, compiled: the gating and one expert's mean, from a window to a chunk.

   Nothing of Python's is used: vdd_ros/compiled_expert.py calls this through ctypes, and checks all
   sizes before. What is here is much as numpy_expert.py has it, whose calls of small arrays take as
   long as the products. */

#include <math.h>

typedef struct {
    long dim, steps, waves, products, width, blocks, experts, chunk;
    float epsilon;
    const float *weights; /* as `evaluate` reads them, `floats` of them */
    float *work;          /* `scratch` numbers */
    const double *window; /* (steps, dim) */
    double *log_gating;   /* (experts,) */
    double *mean;         /* (chunk,) */
} Expert;

#define ROWS 64
#define PADDED(rows) (((rows) + ROWS - 1) / ROWS * ROWS)
#define ROUNDING 12582912.0f /* 1.5 * 2^23: what is added to it loses its fraction */
#define UNROLLED _Pragma("GCC unroll 16")

#if defined(__x86_64__)
#define TARGET __attribute__((target("avx512f,avx2,fma")))
#define NAME(of) of##_avx512
#define LANES 16
#include "expert_kernel.h"
#define TARGET __attribute__((target("avx2,fma")))
#define NAME(of) of##_avx2
#define LANES 8
#include "expert_kernel.h"
#endif
#define TARGET
#define NAME(of) of##_plain
#define LANES 4
#include "expert_kernel.h"

/* The last of them that this processor can run: 0 for the plain one. */
int level(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return __builtin_cpu_supports("avx512f") ? 2 : 1;
#endif
    return 0;
}

/* How many numbers `weights` and `work` have to have. */
long floats(const Expert *e) {
    const long moves = (e->steps - 1) * e->dim, padded = PADDED(e->width);
    const long blocks = padded + (2 * e->blocks - 1) * padded * (1 + e->width);
    const long heads = e->experts * PADDED(e->experts + e->chunk);
    return e->dim + PADDED(e->waves) * (1 + e->dim) +
           2 * padded * (1 + e->waves + moves + e->dim) + blocks + 2 * padded +
           heads * (1 + moves + e->dim + e->products + e->width);
}

long scratch(const Expert *e) {
    const long answers = PADDED(e->experts + e->chunk), waves = PADDED(e->waves);
    return e->waves + e->steps * e->dim + e->products + 5 * PADDED(e->width) +
           (answers > waves ? answers : waves);
}

void evaluate(const Expert *e, long expert, int level) {
#if defined(__x86_64__)
    if (level) {
        (level == 2 ? evaluate_avx512 : evaluate_avx2)(e, expert);
        return;
    }
#endif
    (void)level;
    evaluate_plain(e, expert);
}
