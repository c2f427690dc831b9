/* One expert, for the processor that TARGET names, whose registers hold LANES numbers: expert.c
   includes this once for each.

   Weights are stored as they are read, from the first to the last: 64 rows side by side, the bias
   before the columns. What is multiplied with what is in policies/expert_graph.py. */

typedef float NAME(lanes) __attribute__((vector_size(4 * LANES)));
typedef float NAME(unaligned) __attribute__((vector_size(4 * LANES), aligned(4)));
typedef int NAME(integers) __attribute__((vector_size(4 * LANES)));
#define lanes NAME(lanes)
#define integers NAME(integers)
#define LOAD(from) ((lanes) * (const NAME(unaligned) *)(from))
#define STORE(to, value) (*(NAME(unaligned) *)(to) = (NAME(unaligned))(value))
#define CHOOSE(where, one, other) \
    ((lanes)(((where) & (integers)(one)) | (~(where) & (integers)(other))))

/* Sums of 64 rows stay in registers while all their columns are read; returns what comes behind. */
TARGET static inline const float *NAME(product)(const float *w, const float *x, float *y, long rows,
                                                long columns) {
    for (long row = 0; row < rows; row += ROWS, y += ROWS) {
        lanes sums[ROWS / LANES];
        UNROLLED for (int n = 0; n < ROWS / LANES; n++) sums[n] = LOAD(w + n * LANES);
        w += ROWS;
        for (long column = 0; column < columns; column++, w += ROWS) {
            UNROLLED for (int n = 0; n < ROWS / LANES; n++) sums[n] +=
                x[column] * LOAD(w + n * LANES);
        }
        UNROLLED for (int n = 0; n < ROWS / LANES; n++) STORE(y + n * LANES, sums[n]);
    }
    return w;
}

/* e^x = 2^k e^r with |r| <= ln(2) / 2 and Cephes' polynomial, within one unit in the last place. */
TARGET static inline lanes NAME(exponential)(lanes x) {
    const lanes low = x * 0.0f - 87.0f, high = x * 0.0f + 88.0f;
    x = CHOOSE(x < low, low, x);
    x = CHOOSE(x > high, high, x);
    const lanes turns = x * 1.44269504f + ROUNDING - ROUNDING;
    const lanes r = x - turns * 0.693359375f + turns * 2.12194440e-4f;
    lanes p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    return p * (lanes)((__builtin_convertvector(turns, integers) + 127) << 23);
}

/* x / (1 + e^-x) */
TARGET static inline lanes NAME(silu)(lanes x) { return x / (1.0f + NAME(exponential)(-x)); }

/* 1 / sqrt(mean of squares + epsilon) of the stream, which has no mean */
TARGET static inline float NAME(factor)(const Expert *e, const float *x, long padded) {
    lanes squares = {0};
    for (long i = 0; i < padded; i += LANES) squares += LOAD(x + i) * LOAD(x + i);
    float sum = 0.0f;
    for (int i = 0; i < LANES; i++) sum += squares[i];
    return 1.0f / sqrtf(sum / (float)e->width + e->epsilon);
}

TARGET static void NAME(evaluate)(const Expert *e, long expert) {
    const long dim = e->dim, moves = (e->steps - 1) * dim, width = e->width, waves = e->waves;
    const long padded = PADDED(width), answers = e->experts + e->chunk;
    /* waves, steps, offset, products, hidden: side by side, as they are multiplied */
    float *moved = e->work + waves, *offset = moved + moves, *products = offset + dim;
    float *hidden = products + e->products, *x = hidden + padded, *wide = x + padded;
    float *bent = wide + padded, *added = bent + padded, *answer = added + padded;
    const double *newest = e->window + moves;
    const float *w = e->weights;
    for (long i = 0; i < dim; i++) offset[i] = (float)newest[i] - w[i];
    w += dim;
    for (long i = 0; i < moves; i++) moved[i] = (float)(e->window[i + dim] - e->window[i]);
    w = NAME(product)(w, offset, answer, waves, dim);
    for (long i = 0; i < waves; i++) e->work[i] = sinf(answer[i]);
    w = NAME(product)(w, e->work, x, 2 * padded, waves + moves + dim);
    for (long block = 0; block < e->blocks; block++) {
        const float factor = NAME(factor)(e, x, padded);
        if (block == 0) { /* W x is there: W (x / std) + shift */
            for (long i = 0; i < padded; i += LANES)
                STORE(bent + i, NAME(silu)(factor * LOAD(wide + i) + LOAD(w + i)));
            w += padded;
        } else {
            for (long i = 0; i < padded; i += LANES) STORE(bent + i, factor * LOAD(x + i));
            w = NAME(product)(w, bent, wide, padded, width);
            for (long i = 0; i < padded; i += LANES) STORE(bent + i, NAME(silu)(LOAD(wide + i)));
        }
        w = NAME(product)(w, bent, added, padded, width);
        for (long i = 0; i < padded; i += LANES) STORE(x + i, LOAD(x + i) + LOAD(added + i));
    }
    const float factor = NAME(factor)(e, x, padded);
    for (long i = 0; i < padded; i += LANES)
        STORE(hidden + i, NAME(silu)(factor * LOAD(x + i) * LOAD(w + i) + LOAD(w + padded + i)));
    w += 2 * padded;
    for (long i = 0; i < e->products; i++) products[i] = offset[i / dim] * offset[i % dim];
    const long seen = moves + dim + e->products + width;
    w += expert * PADDED(answers) * (1 + seen);
    NAME(product)(w, moved, answer, answers, seen);
    double largest = answer[0], sum = 0.0;
    for (long i = 1; i < e->experts; i++) largest = answer[i] > largest ? answer[i] : largest;
    for (long i = 0; i < e->experts; i++) sum += exp(answer[i] - largest);
    const double total = largest + log(sum);
    for (long i = 0; i < e->experts; i++) e->log_gating[i] = answer[i] - total;
    for (long i = 0; i < e->chunk; i++) e->mean[i] = answer[e->experts + i];
}

#undef lanes
#undef integers
#undef LOAD
#undef STORE
#undef CHOOSE
#undef TARGET
#undef NAME
#undef LANES
