#include "report/plot.h"

#include <float.h>
#include <math.h>

#include "report/html.h"

enum {
    WIDTH = 480,
    HEIGHT = 250,
    LEFT = 58,
    RIGHT = 14,
    TOP = 12,
    BOTTOM = 40,
    MAX_POINTS = 1000,
    STRETCHES = 400,
    MAX_DOTS = 60
};

struct axis {
    double low, high, step;
};

struct area {
    struct axis x, y;
};

double plot_step(double range, int most)
{
    double raw = range / most, power = pow(10, floor(log10(raw)));

    if (!(range > 0) || !isfinite(power) || !(power > 0))
        return 1;
    return raw <= power ? power : raw <= 2 * power ? 2 * power : raw <= 5 * power ? 5 * power : 10 * power;
}

static bool is_point(const struct plot_line *line, size_t i)
{
    return isfinite(line->x[i]) && isfinite(line->y[i]) && fabs(line->y[i]) < 1e300 && fabs(line->x[i]) < 1e300;
}

/* false: there is not one point. */
static bool find_ranges(const struct plot *plot, struct area *area)
{
    *area = (struct area){.x = {DBL_MAX, -DBL_MAX, 1}, .y = {DBL_MAX, -DBL_MAX, 1}};
    for (size_t k = 0; k < plot->num_lines; k++)
        for (size_t i = 0; i < plot->lines[k].n; i++) {
            const struct plot_line *line = &plot->lines[k];
            if (!is_point(line, i))
                continue;
            area->x.low = fmin(area->x.low, line->x[i]);
            area->x.high = fmax(area->x.high, line->x[i]);
            area->y.low = fmin(area->y.low, line->y[i]);
            area->y.high = fmax(area->y.high, line->y[i]);
        }
    return area->x.low <= area->x.high;
}

static bool make_axes(const struct plot *plot, struct area *area)
{
    struct axis *x = &area->x, *y = &area->y;

    if (!find_ranges(plot, area))
        return false;
    if (plot->from_zero)
        y->low = fmin(0, y->low);
    if (plot->bars) {
        x->low -= 0.5;
        x->high += 0.5;
    }
    if (x->high <= x->low)
        x->high = x->low + 1;
    if (y->high <= y->low) {
        double spread = fmax(fabs(y->high) * 0.1, 1e-9);
        y->high += spread;
        y->low -= plot->from_zero && y->low >= 0 ? 0 : spread;
    }
    x->step = fmax(plot_step(x->high - x->low, 7), plot->bars ? 1 : 0);
    y->step = plot_step(y->high - y->low, 5);
    y->low = floor(y->low / y->step + 1e-9) * y->step;
    y->high = ceil(y->high / y->step - 1e-9) * y->step;
    return true;
}

static double at_x(const struct area *area, double x)
{
    return LEFT + (x - area->x.low) / (area->x.high - area->x.low) * (WIDTH - LEFT - RIGHT);
}

static double at_y(const struct area *area, double y)
{
    return HEIGHT - BOTTOM - (y - area->y.low) / (area->y.high - area->y.low) * (HEIGHT - TOP - BOTTOM);
}

static void put_ticks(FILE *out, const struct area *area)
{
    for (int i = 0; i <= 20; i++) {
        double y = area->y.low + i * area->y.step;
        if (y > area->y.high + area->y.step / 2)
            break;
        y = fabs(y) < area->y.step / 1e6 ? 0 : y;
        fprintf(out,
                "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.6g</text>\n",
                LEFT, at_y(area, y), WIDTH - RIGHT, LEFT - 6, at_y(area, y) + 4, y);
    }
    double first = ceil(area->x.low / area->x.step - 1e-9) * area->x.step;
    for (int i = 0; i <= 20; i++) {
        double x = first + i * area->x.step;
        if (x > area->x.high + area->x.step / 1e6)
            break;
        fprintf(out,
                "<path class=\"axis\" d=\"M%.1f %dv4\"/><text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.6g</text>\n",
                at_x(area, x), HEIGHT - BOTTOM, at_x(area, x), HEIGHT - BOTTOM + 16, x);
    }
    fprintf(out, "<path class=\"axis\" d=\"M%d %dH%d\"/>\n", LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT);
}

static void put_labels(FILE *out, const struct plot *plot)
{
    fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\" class=\"label\">", (LEFT + WIDTH - RIGHT) / 2,
            HEIGHT - 6);
    html_text(out, plot->x_label);
    fprintf(out, "</text>\n<text transform=\"translate(13 %d) rotate(-90)\" text-anchor=\"middle\" class=\"label\">",
            (TOP + HEIGHT - BOTTOM) / 2);
    html_text(out, plot->y_label);
    fputs("</text>\n", out);
}

static void put_marks(FILE *out, const struct plot *plot, const struct area *area)
{
    for (size_t i = 0; i < plot->num_marks; i++) {
        double x = plot->marks[i].x;
        if (!isfinite(x) || x < area->x.low || x > area->x.high)
            continue;
        fprintf(out, "<g class=\"mark\"><path d=\"M%.1f %dV%d\"/><path class=\"head\" d=\"M%.1f %dl-4 -7h8z\"/><title>",
                at_x(area, x), TOP, HEIGHT - BOTTOM, at_x(area, x), TOP + 4);
        html_text(out, plot->marks[i].what);
        fputs("</title></g>\n", out);
    }
}

static void put_dots(FILE *out, const struct plot *plot, const struct plot_line *line, const struct area *area)
{
    for (size_t i = 0; i < line->n && line->n <= MAX_DOTS; i++) {
        if (!is_point(line, i))
            continue;
        fprintf(out, "<circle class=\"dot c%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\"><title>", line->colour,
                at_x(area, line->x[i]), at_y(area, line->y[i]));
        html_text(out, line->label);
        fprintf(out, ": %.6g at ", line->y[i]);
        html_text(out, plot->x_label);
        fprintf(out, " %.6g</title></circle>\n", line->x[i]);
    }
}

/* Returns whether the pen is down. */
static bool put_point(FILE *out, const struct plot_line *line, const struct area *area, size_t i, bool down)
{
    if (!is_point(line, i))
        return false;
    fprintf(out, "%c%.1f %.1f", down ? 'L' : 'M', at_x(area, line->x[i]), at_y(area, line->y[i]));
    return true;
}

/* The least and the greatest of a stretch, in their order. */
static bool put_stretch(FILE *out, const struct plot_line *line, const struct area *area, size_t from, size_t to,
                        bool down)
{
    size_t low = from, high = from;

    for (size_t i = from; i < to; i++) {
        if (!is_point(line, i))
            continue;
        if (!is_point(line, low) || line->y[i] < line->y[low])
            low = i;
        if (!is_point(line, high) || line->y[i] > line->y[high])
            high = i;
    }
    down = put_point(out, line, area, low < high ? low : high, down);
    return low == high ? down : put_point(out, line, area, low < high ? high : low, down);
}

static void put_curve(FILE *out, const struct plot_line *line, const struct area *area)
{
    size_t stretches = line->n > MAX_POINTS ? STRETCHES : line->n;
    bool down = false;

    fprintf(out, "<path class=\"curve c%d\" d=\"", line->colour);
    for (size_t i = 0; i < stretches; i++)
        down = put_stretch(out, line, area, i * line->n / stretches, (i + 1) * line->n / stretches, down);
    fputs("\"/>\n", out);
}

static void put_bars(FILE *out, const struct plot_line *line, const struct area *area)
{
    double width = fmax(1, 0.7 * (at_x(area, 1) - at_x(area, 0)));

    for (size_t i = 0; i < line->n; i++) {
        if (!is_point(line, i))
            continue;
        fprintf(out,
                "<rect class=\"bar c%d\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>round %.0f: %.6g "
                "s</title></rect>\n",
                line->colour, at_x(area, line->x[i]) - width / 2, at_y(area, line->y[i]), width,
                at_y(area, 0) - at_y(area, line->y[i]), line->x[i], line->y[i]);
    }
}

static void put_key(FILE *out, const struct plot *plot)
{
    if (plot->num_lines < 2)
        return;
    fputs("<ul class=\"key\">", out);
    for (size_t i = 0; i < plot->num_lines; i++) {
        fprintf(out,
                "<li><svg class=\"swatch\" viewBox=\"0 0 24 8\" width=\"24\" height=\"8\" aria-hidden=\"true\"><path "
                "class=\"curve c%d\" d=\"M0 4H24\"/></svg>",
                plot->lines[i].colour);
        html_text(out, plot->lines[i].label);
        fputs("</li>", out);
    }
    fputs("</ul>\n", out);
}

/* What the picture shows, for whoever does not see it. */
static void put_description(FILE *out, const struct plot *plot)
{
    fprintf(out, "<desc id=\"%s-d\">", plot->id);
    for (size_t k = 0; k < plot->num_lines; k++) {
        const struct plot_line *line = &plot->lines[k];
        size_t first = 0, last = line->n;

        while (first < line->n && !is_point(line, first))
            first++;
        while (last > first && !is_point(line, last - 1))
            last--;
        if (first == last)
            continue;
        html_text(out, line->label);
        fprintf(out, ": from %.6g to %.6g. ", line->y[first], line->y[last - 1]);
    }
    fputs("</desc>\n", out);
}

static bool is_thinned(const struct plot *plot)
{
    for (size_t i = 0; i < plot->num_lines; i++)
        if (plot->lines[i].n > MAX_POINTS)
            return true;
    return false;
}

static bool draws_bars(const struct plot *plot)
{
    return plot->bars && plot->lines[0].n <= 200;
}

static void put_svg(FILE *out, const struct plot *plot, const struct area *area)
{
    fprintf(out,
            "<svg viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\" aria-labelledby=\"%s-t %s-d\"><title "
            "id=\"%s-t\">",
            WIDTH, HEIGHT, WIDTH, HEIGHT, plot->id, plot->id, plot->id);
    html_text(out, plot->title);
    fputs("</title>\n", out);
    put_description(out, plot);
    put_ticks(out, area);
    put_labels(out, plot);
    for (size_t i = 0; i < plot->num_lines; i++) {
        if (draws_bars(plot) && i == 0) {
            put_bars(out, &plot->lines[0], area);
            continue;
        }
        put_curve(out, &plot->lines[i], area);
        put_dots(out, plot, &plot->lines[i], area);
    }
    put_marks(out, plot, area);
    fputs("</svg>\n", out);
}

void plot_write(FILE *out, const struct plot *plot)
{
    struct area area;

    fputs("<figure><figcaption>", out);
    html_text(out, plot->title);
    fputs("</figcaption>\n", out);
    if (make_axes(plot, &area)) {
        put_key(out, plot);
        put_svg(out, plot, &area);
        if (is_thinned(plot))
            fprintf(out,
                    "<p class=\"note\">More than %d points: the least and the greatest of each of %d stretches are "
                    "drawn.</p>\n",
                    MAX_POINTS, STRETCHES);
    } else {
        fputs("<p class=\"none\">The run has no such figures.</p>\n", out);
    }
    fputs("</figure>\n", out);
}
