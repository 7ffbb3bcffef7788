#include "data/labels.h"

int labels_check(const int32_t *labels, size_t n, const struct label_places *places, int32_t *num_classes,
                 struct error *err)
{
    int32_t limit = *num_classes > 0 ? *num_classes : DATA_MAX_CLASSES;
    int32_t largest = 0;

    for (size_t i = 0; i < n; i++) {
        if (labels[i] < 0 || labels[i] >= limit)
            return FAIL(err, ERR_INVALID, "byte %llu: label %d of item %zu is not between 0 and %d",
                        (unsigned long long)(places->first_byte + i * places->width), labels[i], i, limit - 1);
        largest = labels[i] > largest ? labels[i] : largest;
    }
    if (*num_classes == 0)
        *num_classes = largest + 1;
    return OK;
}
