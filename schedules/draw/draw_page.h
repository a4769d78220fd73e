/* The page of drawings in HTML: schedules/draw/page.html as a string, which the build makes. */
#ifndef WEIR_SCHEDULES_DRAW_DRAW_PAGE_H
#define WEIR_SCHEDULES_DRAW_DRAW_PAGE_H

extern const char weir_draw_page[];

#endif
