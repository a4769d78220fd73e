/* The next token from its logits. */
#include <math.h>
#include <string.h>

#include "base/grown.h"
#include "base/rng.h"
#include "include/weir/generate.h"

static weir_status sampling_check(const struct weir_sampling *s, const float *logits, int64_t n)
{
    if (!(s->temperature >= 0 && s->temperature < HUGE_VAL))
        return WEIR_FAIL(WEIR_ERR_USAGE, "the temperature is %g, it must be finite and not negative", s->temperature);
    if (n < 1)
        return WEIR_FAIL(WEIR_ERR_USAGE, "there are %lld logits to draw from, it must be at least 1", (long long)n);
    if (s->top_k < 0)
        return WEIR_FAIL(WEIR_ERR_USAGE, "top k is %lld, it must not be negative", (long long)s->top_k);
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(logits[i]))
            return WEIR_FAIL(WEIR_ERR_NUMERIC, "the logit of token %lld is %g: not finite", (long long)i, logits[i]);
    return WEIR_OK;
}

static int64_t largest_find(const float *logits, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        best = logits[i] > logits[best] ? i : best;
    return best;
}

/* The k-th largest of x[0..n), 1 <= k <= n; reorders x (Hoare's "Find", 1961). */
static float kth_largest(float *x, int64_t n, int64_t k)
{
    int64_t low = 0, high = n - 1;
    while (low < high) {
        float pivot = x[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (x[i] > pivot)
                i++;
            while (x[j] < pivot)
                j--;
            if (i <= j) {
                float swapped = x[i];
                x[i++] = x[j];
                x[j--] = swapped;
            }
        }
        if (k - 1 <= j)
            high = j;
        else if (k - 1 >= i)
            low = i;
        else
            break;
    }
    return x[k - 1];
}

/* weights[i] = e^((logit - largest) / temperature), 0 for tokens that are not among the top k. */
static void weights_make(const struct weir_sampling *s, const float *logits, int64_t n, float *weights)
{
    int64_t k = s->top_k > 0 && s->top_k < n ? s->top_k : n, spare = k;
    float least = -HUGE_VALF, most = logits[largest_find(logits, n)];
    if (k < n) {
        memcpy(weights, logits, (size_t)n * sizeof *weights);
        least = kth_largest(weights, n, k);
        for (int64_t i = 0; i < n; i++)
            spare -= logits[i] > least;
    }
    for (int64_t i = 0; i < n; i++) { /* of those equal to the k-th the first, as many as there is room for */
        bool taken = logits[i] > least || (logits[i] == least && spare-- > 0);
        weights[i] = taken ? (float)exp(((double)logits[i] - (double)most) / s->temperature) : 0;
    }
}

weir_status weir_token_sample_sized(const struct weir_sampling *given, size_t given_bytes, const float *logits, int64_t n,
                                    uint32_t sample, int64_t position, float *work, int32_t *token_out)
{
    struct weir_sampling own;
    const struct weir_sampling *sampling = &own;
    weir_status status = weir_grown_take("weir_sampling", "give its sizeof", given, given_bytes, &own, sizeof own);
    if (!status)
        status = sampling_check(sampling, logits, n);
    if (status)
        return status;
    int64_t token = largest_find(logits, n);
    if (sampling->temperature > 0) {
        double total = 0, sum = 0;
        weights_make(sampling, logits, n, work);
        for (int64_t i = 0; i < n; i++)
            total += (double)work[i];
        struct weir_rng_block b = weir_rng_philox(weir_rng_key(sampling->seed, "token"), sample, (uint32_t)position, 0, 0);
        double wanted = total * (1 - weir_rng_unit_positive(b.v[0])); /* in [0, total) */
        for (int64_t i = 0; i < n; i++)
            if (work[i] > 0) {
                token = i;
                sum += (double)work[i];
                if (sum > wanted)
                    break;
            }
    }
    *token_out = (int32_t)token;
    return WEIR_OK;
}
