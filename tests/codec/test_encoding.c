#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "codec/encoding.h"
#include "codec/safetensors.h"

static struct layout two_floats(void)
{
    struct layout layout;
    struct error err = ERROR_INIT;

    layout_init(&layout);
    cr_assert_eq(layout_add(&layout, "fc.bias", TENSOR_PARAMETER, false, 1, (int64_t[]){2}, &err), OK);
    return layout;
}

Test(encoding, every_row_has_a_name_and_knows_its_own)
{
    for (size_t i = 0; encodings[i]; i++) {
        cr_assert_eq(encoding_find(encodings[i]->name), encodings[i]);
        cr_assert_not(encodings[i]->recognises(span_of(NULL, 0)));
        cr_assert_not(encodings[i]->recognises(span_of("", 0)));
    }
    cr_assert_null(encoding_find("morse"));
}

Test(encoding, every_spoken_row_gives_back_what_it_got)
{
    struct layout layout = two_floats();
    const float weights[2] = {1.5F, -0x1p-140F};

    for (size_t i = 0; encodings[i]; i++) {
        struct error err = ERROR_INIT;
        struct blob *image;
        float back[2];

        if (!encodings[i]->encode)
            continue;
        cr_assert_eq(encodings[i]->encode(&layout, weights, &image, &err), OK, "%s", err.message);
        cr_assert(encodings[i]->recognises(blob_span(image)));
        cr_assert_eq(weights_decode(&layout, blob_span(image), back, &err), OK, "%s", err.message);
        cr_assert_arr_eq(back, weights, sizeof weights);
        blob_unref(image);
    }
    layout_fini(&layout);
}

Test(encoding, pickles_are_known_but_not_read)
{
    struct layout layout = two_floats();
    struct error err = ERROR_INIT;
    float back[2];

    for (char protocol = 2; protocol <= 5; protocol++) {
        char image[16] = {(char)0x80, protocol, '}'};

        cr_assert_eq(weights_decode(&layout, span_of(image, sizeof image), back, &err), ERR_UNIMPLEMENTED);
        cr_assert(strstr(err.message, "pickle"), "%s", err.message);
    }
    layout_fini(&layout);
}

Test(encoding, safetensors_wins_where_both_could_be_meant)
{
    /* A header of 0x280 bytes begins like a pickle of protocol 2. */
    char image[8 + 0x280] = {(char)0x80, 2};

    image[8] = '{';
    cr_assert(encoding_find("safetensors")->recognises(span_of(image, sizeof image)));
    cr_assert_eq(encodings[0], encoding_find("safetensors"), "safetensors must be asked first");
}

Test(encoding, anything_else_is_invalid)
{
    struct layout layout = two_floats();
    struct error err = ERROR_INIT;
    float back[2];

    cr_assert_eq(weights_decode(&layout, span_of("\x80\x01", 2), back, &err), ERR_INVALID);
    cr_assert_eq(weights_decode(&layout, span_of("hello, world", 12), back, &err), ERR_INVALID);
    cr_assert_eq(weights_decode(&layout, span_of("", 0), back, &err), ERR_INVALID);
    cr_assert_eq(weights_decode(&layout, span_of(NULL, 0), back, &err), ERR_INVALID);
    layout_fini(&layout);
}
