/* schedule.c - table of schedules. To add one: a shape function and a row, and its name in train_options. */
#include "train/schedule.h"

#include <math.h>

static double cosine(double x, double floor_share) { return floor_share + (1 - floor_share) * 0.5 * (1 + cos(3.14159265358979323846 * x)); }
static double linear(double x, double floor_share) { (void)floor_share; return 1 - x; }
static double constant(double x, double floor_share) { (void)x; (void)floor_share; return 1; }

static double (*const shape[])(double x, double floor_share) = {
    [SCHEDULE_COSINE] = cosine, [SCHEDULE_LINEAR] = linear, [SCHEDULE_CONSTANT] = constant,
};

double schedule_lr(const TrainCfg *c, int64_t step, int64_t total)
{
    const int64_t warm = (int64_t)ceil(c->warmup * (double)total);
    if (step <= warm)
        return c->lr * (double)step / (double)warm;
    return c->lr * shape[c->schedule]((double)(step - warm - 1) / (double)MAX(total - warm, 1), c->lr_floor);
}
