/* review_page.h - the page of a review (prep/review.h) on the loopback address. Its files are src/serve/console/review.*; what they ask for:
 *   GET  /api/facts                     review_facts
 *   GET  /api/rows?from=&n=&FILTER      review_rows; FILTER: parts (bits), kind, pass, action, least, most, look, reviewer, label, column, value, text,
 *                                       sort, down (1: the greatest first), turn
 *   GET  /api/row?id=                   review_row
 *   POST /api/act                       {"action", "row", "reviewer", "text"?, "row_new"?, "edit"?} -> {"row"}; answered when it is on disk
 * Errors are {"error": "sentence"} with 400 (cannot be done), 500 (the disk).
 * Main struct: none of its own; a Review and an Http. */
#ifndef HONE_SERVE_REVIEW_PAGE_H
#define HONE_SERVE_REVIEW_PAGE_H

#include "prep/review.h"
#include "serve/http.h"

int  review_page_open(Http **h, Review *r, int64_t port, Err *e); /* the review must outlive the page */
/* What POST /api/act does with a body of any bytes. */
void review_page_act(Review *r, Str body, HttpAnswer *a);

#endif
