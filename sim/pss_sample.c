#include "sim/pss_sample.h"

#include <inttypes.h>
#include <stdio.h>

int64_t pss_sample_kb(pid_t pid)
{
    char path[64], line[256];
    int64_t kb = 0;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(path, "re");
    while (file && kb == 0 && fgets(line, sizeof line, file))
        if (sscanf(line, "Pss: %" SCNd64 " kB", &kb) != 1)
            kb = 0;
    if (file)
        fclose(file);
    return kb;
}
