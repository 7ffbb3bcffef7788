/* flosim report: report.html of a run folder made anew, or several runs in one page. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "report/run_page.h"
#include "util/fs.h"

// clang-format off
static const char help[] =
    "NAME\n"
    "    flosim report - show a run, or compare several, in a page of HTML\n"
    "\n"
    "SYNOPSIS\n"
    "    flosim report [--out FILE] RUN\n"
    "    flosim report [--out FILE] RUN RUN...\n"
    "\n"
    "DESCRIPTION\n"
    "    One RUN, a run folder: its report is made anew from the folder's files alone, as the run itself made it:\n"
    "    accuracy and loss, time and traffic of the rounds, who did what when, faults and recoveries, the ledger, what\n"
    "    was expected, and how to repeat the run. A run that was broken off has a report of what is there.\n"
    "\n"
    "    Several (up to 8): one page with their curves over one another, their figures with the difference from the\n"
    "    first, and the settings in which they differ.\n"
    "\n"
    "    The page needs no network and no script. The same files give the same bytes.\n"
    "\n"
    "OPTIONS\n"
    "    -o, --out FILE    the page; else report.html in the run's folder, comparison.html here for several\n"
    "    -h, --help        this text\n"
    "\n"
    "EXIT STATUS\n"
    "    0  the page was written\n"
    "    2  bad options, or a folder that is none of a run\n"
    "\n"
    "EXAMPLES\n"
    "    flosim report runs/quickstart-20260101-120000\n"
    "    flosim report --out fedavg-fedprox.html runs/fedavg runs/fedprox\n";
// clang-format on

static int make(const char *const *runs, size_t n, const char *path)
{
    struct error err = ERROR_INIT;
    char *own = n == 1 && !path ? fs_join(runs[0], "report.html") : NULL;
    const char *out = path ? path : n == 1 ? own : "comparison.html";
    int status = n == 1 && !out ? ERR_MEMORY
                 : n == 1       ? run_page_write(runs[0], out, &err)
                                : run_page_compare(runs, n, out, &err);

    if (status == OK)
        printf("%s\n", out);
    else
        fprintf(stderr, "flosim report: %s\n", err.message);
    free(own);
    return status == OK ? 0 : status_exit_code(status);
}

static int run(int argc, char **argv)
{
    static const struct option longs[] = {
        {"out", required_argument, NULL, 'o'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    const char *path = NULL;

    for (int c; (c = getopt_long(argc, argv, "o:h", longs, NULL)) != -1;) {
        if (c == 'h')
            return fputs(help, stdout) < 0;
        if (c == '?') {
            fputs("Try `flosim report --help`.\n", stderr);
            return 2;
        }
        path = optarg;
    }
    if (optind < argc)
        return make((const char *const *)argv + optind, (size_t)(argc - optind), path);
    fputs("flosim report: no run folder given\nTry `flosim report --help`.\n", stderr);
    return 2;
}

const struct command command_report = {
    .name = "report",
    .summary = "show a run, or compare several, in a page of HTML",
    .help = help,
    .run = run,
};
