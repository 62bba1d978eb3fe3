/* review_agree.c - how far two reviewers agree beyond chance, over the rows that both judged. */
#include "prep/review_int.h"

#include <math.h>
#include <stdlib.h>

#define KAPPA_MAX 16
#define PEOPLE_SHOWN 6 /* pairs among the first so many */

ReviewKappa review_kappa(const int64_t *table, int k)
{
    double      n = 0, row[KAPPA_MAX] = { 0 }, col[KAPPA_MAX] = { 0 }, po = 0, pe = 0, a = 0, b = 0;
    ReviewKappa out = { .agree = NAN, .kappa = NAN, .low = NAN, .high = NAN };
    BUG_ON(k < 1 || k > KAPPA_MAX);
    for (int i = 0; i < k * k; i++)
        n += (double)table[i];
    out.n = (int64_t)n;
    if (n == 0)
        return out;
    for (int i = 0; i < k; i++)
        for (int j = 0; j < k; j++) {
            row[i] += (double)table[i * k + j] / n;
            col[j] += (double)table[i * k + j] / n;
        }
    for (int i = 0; i < k; i++) {
        po += (double)table[i * k + i] / n;
        pe += row[i] * col[i];
    }
    out.agree = po;
    if (pe > 1 - 1e-12)
        return out;
    const double kappa = (po - pe) / (1 - pe);
    /* Fleiss, Cohen, Everitt 1969, "Large sample standard errors of kappa and weighted kappa": var = (A + B - C) / ((1 - pe)^2 n) */
    for (int i = 0; i < k; i++)
        for (int j = 0; j < k; j++) {
            const double p = (double)table[i * k + j] / n;
            if (i == j)
                a += p * pow(1 - (row[i] + col[i]) * (1 - kappa), 2);
            else
                b += p * pow(col[i] + row[j], 2) * pow(1 - kappa, 2);
        }
    const double c = pow(kappa - pe * (1 - kappa), 2), variance = (a + b - c) / (pow(1 - pe, 2) * n), half = 1.959963984540054 * sqrt(MAX(variance, 0));
    out.kappa = kappa;
    out.low = MAX(kappa - half, -1);
    out.high = MIN(kappa + half, 1);
    return out;
}

static Json *pair_json(const Review *r, int a, int b, const int64_t table[4])
{
    ReviewKappa k = review_kappa(table, 2);
    Json       *j = json_obj_new();
    json_set(j, "a", json_str_new(map_key(r->people, (size_t)a)));
    json_set(j, "b", json_str_new(map_key(r->people, (size_t)b)));
    json_set(j, "rows", json_int_new(k.n));
    json_set(j, "agree", json_num_new(k.agree));
    json_set(j, "kappa", json_num_new(k.kappa));
    json_set(j, "low", json_num_new(k.low));
    json_set(j, "high", json_num_new(k.high));
    return j;
}

Json *review_agreement(const Review *r)
{
    int64_t table[PEOPLE_SHOWN][PEOPLE_SHOWN][4] = { 0 };
    int     people = (int)MIN(map_count(r->people), (size_t)PEOPLE_SHOWN);
    Json   *out = json_arr_new();
    for (size_t i = 0; i < map_count(r->last); i++) {
        uint32_t row;
        int      verdict[PEOPLE_SHOWN];
        memcpy(&row, map_key(r->last, i).p, sizeof row);
        for (int a = 0; a < people; a++)
            verdict[a] = review_verdict_of(r, row, a);
        for (int a = 0; a < people; a++)
            for (int b = a + 1; b < people; b++)
                if (verdict[a] >= 0 && verdict[b] >= 0)
                    table[a][b][(verdict[a] == REVIEW_REJECT) * 2 + (verdict[b] == REVIEW_REJECT)]++;
    }
    for (int a = 0; a < people; a++)
        for (int b = a + 1; b < people; b++)
            if (table[a][b][0] + table[a][b][1] + table[a][b][2] + table[a][b][3])
                json_push(out, pair_json(r, a, b, table[a][b]));
    return out;
}
