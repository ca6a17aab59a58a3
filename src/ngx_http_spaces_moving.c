
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_moving.h"
#include "ngx_http_spaces_tick.h"


typedef struct {
    ngx_http_request_t         *request;
    ngx_http_spaces_move_t     *move;      /* NULL: it is made */
    ngx_http_spaces_moving_pt   step;
} ngx_http_spaces_moving_t;


static void ngx_http_spaces_moving_cleanup(void *data);
static void ngx_http_spaces_moving_moved(void *data, ngx_int_t rc,
    ngx_http_spaces_space_t *space);


ngx_int_t
ngx_http_spaces_moving(ngx_http_request_t *r, ngx_http_spaces_move_e kind,
    ngx_http_spaces_space_t *space, const char *action, ngx_str_t *by,
    ngx_http_spaces_moving_pt step)
{
    ngx_pool_cleanup_t           *cln;
    ngx_http_spaces_moving_t     *moving;
    ngx_http_spaces_main_conf_t  *smcf;

    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_spaces_moving_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    moving = cln->data;

    moving->request = r;
    moving->step = step;
    moving->move = ngx_http_spaces_move(smcf, kind, space, action, by,
                                        ngx_http_spaces_moving_moved, moving);
    if (moving->move == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_spaces_moving_cleanup;

    ngx_http_spaces_tick_hold();

    return NGX_HTTP_SPACES_LATER;
}


static void
ngx_http_spaces_moving_cleanup(void *data)
{
    ngx_http_spaces_moving_t  *moving = data;

    if (moving->move) {
        ngx_http_spaces_tick_let_go();
        ngx_http_spaces_move_leave(moving->move);
    }
}


static void
ngx_http_spaces_moving_moved(void *data, ngx_int_t rc,
    ngx_http_spaces_space_t *space)
{
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_spaces_moving_t  *moving = data;

    moving->move = NULL;
    ngx_http_spaces_tick_let_go();

    r = moving->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    switch (rc) {

    case NGX_OK:
        rc = moving->step(r, space);
        break;

    case NGX_DECLINED:
        rc = moving->step(r, NULL);
        break;

    case NGX_BUSY:
        rc = ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NO_STORAGE,
                                     "the recording is being moved, and that "
                                     "takes long: try again");
        break;

    case NGX_ABORT:
        rc = ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NO_REDIS,
                                     "Redis does not answer; nothing was "
                                     "done, try again");
        break;

    default: /* NGX_ERROR */
        rc = ngx_http_spaces_problem(r, NGX_HTTP_SPACES_NO_STORAGE,
                                     "the disk failed, and nothing was done: "
                                     "try again");
    }

    ngx_http_spaces_continue(r, rc);
    ngx_http_run_posted_requests(c);
}
