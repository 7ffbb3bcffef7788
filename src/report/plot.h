/* Curves over one axis, as inline SVG. Colours are classes (c0 ... c7) that the page's style gives in light and dark;
 * lines differ in their dashes, too. A point shows its figures when pointed at. */
#ifndef FLOSIM_REPORT_PLOT_H
#define FLOSIM_REPORT_PLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { PLOT_COLOURS = 8 };

struct plot_line {
    const char *label;
    const double *x, *y; /* [n]; a point that is not finite is a gap */
    size_t n;
    int colour;
};

struct plot_mark { /* a vertical line: something happened there */
    double x;
    const char *what;
};

struct plot {
    const char *id; /* unique in the page, no special characters */
    const char *title, *x_label, *y_label;
    const struct plot_line *lines;
    size_t num_lines;
    const struct plot_mark *marks;
    size_t num_marks;
    bool from_zero; /* the y axis begins at 0 */
    bool bars;      /* of the first line's y, in place of a curve */
};

/* A <figure>; one sentence instead where there is not one point. Curves of more than 1,000 points are drawn as the
 * least and the greatest of each of 400 stretches, and the caption says so. */
void plot_write(FILE *out, const struct plot *plot);

/* Ticks: a step of 1, 2 or 5 times a power of ten, so that at most `most` fit in `range`. */
double plot_step(double range, int most);

#endif
