/* host/app/preview.c - libchafa chooses what the terminal can: sixels, Kitty's or iTerm's pictures,
 * or coloured characters. */
#include "host/app/preview.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host/app/say.h"

#if MIKU_CHAFA

#include <chafa.h>

const char *preview_lacks(void)
{
    const char *terminal = getenv("TERM");
    if (!isatty(STDOUT_FILENO))
        return "standard output is no terminal";
    if (terminal == NULL || terminal[0] == 0 || strcmp(terminal, "dumb") == 0)
        return "this terminal (TERM) can draw nothing";
    return NULL;
}

/* The largest box of the picture's shape: the terminal's width, half its height. */
static void measure(const struct miku_picture *picture, gint *columns, gint *rows)
{
    struct winsize size = { .ws_row = 0 };
    const int known =
        ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 && size.ws_row > 1;
    *columns = known ? size.ws_col - 1 : 79;
    *rows = known ? size.ws_row / 2 : 20;
    /* a cell is about twice as high as it is wide */
    chafa_calc_canvas_geometry(picture->width, picture->height, columns, rows, 0.5f, TRUE, FALSE);
}

void preview_say(const struct miku_picture *picture)
{
    gint columns, rows;
    if (preview_lacks() != NULL)
        return;
    measure(picture, &columns, &rows);
    gchar **environment = g_get_environ();
    ChafaTermInfo *terminal = chafa_term_db_detect(chafa_term_db_get_default(), environment);
    ChafaSymbolMap *symbols = chafa_symbol_map_new();
    ChafaCanvasConfig *config = chafa_canvas_config_new();
    chafa_symbol_map_add_by_tags(symbols, CHAFA_SYMBOL_TAG_BLOCK | CHAFA_SYMBOL_TAG_SPACE);
    chafa_canvas_config_set_symbol_map(config, symbols);
    chafa_canvas_config_set_geometry(config, columns, rows);
    chafa_canvas_config_set_canvas_mode(
        config, chafa_term_info_have_seq(terminal, CHAFA_TERM_SEQ_SET_COLOR_FGBG_DIRECT)
                    ? CHAFA_CANVAS_MODE_TRUECOLOR
                    : CHAFA_CANVAS_MODE_INDEXED_240);
    if (chafa_term_info_have_seq(terminal, CHAFA_TERM_SEQ_BEGIN_KITTY_IMMEDIATE_IMAGE_V1))
        chafa_canvas_config_set_pixel_mode(config, CHAFA_PIXEL_MODE_KITTY);
    else if (chafa_term_info_have_seq(terminal, CHAFA_TERM_SEQ_BEGIN_SIXELS))
        chafa_canvas_config_set_pixel_mode(config, CHAFA_PIXEL_MODE_SIXELS);
    ChafaCanvas *canvas = chafa_canvas_new(config);
    chafa_canvas_draw_all_pixels(canvas, CHAFA_PIXEL_RGB8, picture->rgb, picture->width,
                                 picture->height, picture->width * 3);
    GString *text = chafa_canvas_print(canvas, terminal);
    g_string_append_c(text, '\n');
    say_raw(text->str, text->len);
    g_string_free(text, TRUE);
    chafa_canvas_unref(canvas);
    chafa_canvas_config_unref(config);
    chafa_symbol_map_unref(symbols);
    chafa_term_info_unref(terminal);
    g_strfreev(environment);
}

#else

const char *preview_lacks(void) { return "this build has no libchafa"; }

void preview_say(const struct miku_picture *picture) { (void)picture; }

#endif
