#include "codec/advert.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

static void cut_line_end(char *line)
{
    line[strcspn(line, "\n")] = '\0';
}

/* The first "model name" of /proc/cpuinfo; architectures without it give "". */
static void read_model_name(char *name, size_t size)
{
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[512];

    name[0] = '\0';
    while (file && !name[0] && fgets(line, sizeof line, file)) {
        const char *value = strncmp(line, "model name", 10) ? NULL : strchr(line, ':');
        if (!value)
            continue;
        value += strspn(value, ": \t");
        snprintf(name, size, "%s", value);
        cut_line_end(name);
    }
    if (file)
        fclose(file);
}

void hw_info_of_this_machine(struct hw_info *hw)
{
    struct utsname machine;

    memset(hw, 0, sizeof *hw);
    if (!uname(&machine))
        snprintf(hw->arch, sizeof hw->arch, "%.31s", machine.machine);
    snprintf(hw->cpu_core_count, sizeof hw->cpu_core_count, "%ld", sysconf(_SC_NPROCESSORS_ONLN));
    read_model_name(hw->model_name, sizeof hw->model_name);
}
