
/*
 * Copyright (C) Spaces for nginx contributors
 *
 * What a Space needs to begin: room in the zone, and on the disk if it is
 * recorded.  It is looked for before its source is told to talk; who is first
 * may still take it away until the first audio is there.
 */


#include "ngx_http_spaces_file.h"
#include "ngx_http_spaces_handlers.h"
#include "ngx_http_spaces_ingest.h"
#include "ngx_http_spaces_load.h"
#include "ngx_http_spaces_tick.h"


typedef struct {
    ngx_http_request_t  *request;    /* NULL: it is gone */
    ngx_thread_task_t    task;

    off_t                free;       /* bytes, -1 on error */
    unsigned             busy:1;

    char                 name[NGX_MAX_PATH];
} ngx_http_spaces_disk_t;


static ngx_int_t ngx_http_spaces_ingest_scanned(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_ingest_need(ngx_http_request_t *r);
static ngx_int_t ngx_http_spaces_ingest_disk(ngx_http_request_t *r);
static void ngx_http_spaces_ingest_disk_task(void *data, ngx_log_t *log);
static void ngx_http_spaces_ingest_disk_done(ngx_event_t *ev);
static ngx_int_t ngx_http_spaces_ingest_disk_low(ngx_http_request_t *r);
static void ngx_http_spaces_ingest_disk_leave(void *data);


ngx_int_t
ngx_http_spaces_ingest_room(ngx_http_request_t *r)
{
    if (ngx_http_spaces_is_scanned(r)) {
        return ngx_http_spaces_ingest_need(r);
    }

    /* nginx has just started: what a crash left may be of this very Space */

    return ngx_http_spaces_await(r, ngx_http_spaces_is_scanned,
                                 ngx_http_spaces_ingest_scanned,
                                 ngx_http_spaces_ingest_scanned);
}


static ngx_int_t
ngx_http_spaces_ingest_scanned(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    ngx_http_spaces_load_room(r);

    rc = ngx_http_spaces_ingest_admit(r);

    return rc == NGX_DECLINED ? ngx_http_spaces_ingest_need(r) : rc;
}


static ngx_int_t
ngx_http_spaces_ingest_need(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    if (ctx->in_room || ctx->space->state != NGX_HTTP_SPACES_SCHEDULED) {
        return ngx_http_spaces_ingest_begin(r);
    }

    if (!ngx_http_spaces_zone_has_room(smcf->zone, ctx->space)) {
        return ngx_http_spaces_ingest_full(r);
    }

    return ctx->space->record ? ngx_http_spaces_ingest_disk(r)
                              : ngx_http_spaces_ingest_begin(r);
}


static ngx_int_t
ngx_http_spaces_ingest_disk(ngx_http_request_t *r)
{
    ngx_str_t                     path;
    ngx_pool_cleanup_t           *cln;
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_disk_t       *disk;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    path = ngx_http_spaces_live_path(&smcf->path, &ctx->id, ".opus", r->pool);

    if (path.data == NULL || path.len >= NGX_MAX_PATH) {
        return NGX_ERROR;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    /* a thread may be at work in it when the request is gone */

    disk = ngx_calloc(sizeof(ngx_http_spaces_disk_t), r->connection->log);
    if (disk == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(disk->name, path.data, path.len);

    disk->request = r;
    disk->task.ctx = disk;
    disk->task.handler = ngx_http_spaces_ingest_disk_task;
    disk->task.event.data = disk;
    disk->task.event.handler = ngx_http_spaces_ingest_disk_done;

    cln->handler = ngx_http_spaces_ingest_disk_leave;
    cln->data = disk;

    if (ngx_thread_task_post(smcf->thread_pool, &disk->task) != NGX_OK) {
        return NGX_ERROR;
    }

    disk->busy = 1;
    ngx_http_spaces_tick_hold();

    return NGX_HTTP_SPACES_LATER;
}


static void
ngx_http_spaces_ingest_disk_task(void *data, ngx_log_t *log)
{
    ngx_http_spaces_disk_t *disk = data;

    if (ngx_http_spaces_free_disk(disk->name, &disk->free) != NGX_OK) {
        disk->free = -1;
    }
}


static void
ngx_http_spaces_ingest_disk_done(ngx_event_t *ev)
{
    ngx_http_spaces_disk_t *disk = ev->data;

    ngx_int_t                     rc;
    ngx_connection_t             *c;
    ngx_http_request_t           *r;
    ngx_http_spaces_main_conf_t  *smcf;

    disk->busy = 0;
    ngx_http_spaces_tick_let_go();

    r = disk->request;

    if (r == NULL) {
        ngx_free(disk);
        return;
    }

    c = r->connection;
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    ngx_http_set_log_request(c->log, r);

    /* a disk that fails is told of by who can not write there */

    rc = (disk->free != -1 && disk->free < smcf->min_free)
         ? ngx_http_spaces_ingest_disk_low(r) : ngx_http_spaces_ingest_begin(r);

    ngx_http_spaces_continue(r, rc);
    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_spaces_ingest_disk_low(ngx_http_request_t *r)
{
    ngx_http_spaces_ctx_t        *ctx;
    ngx_http_spaces_main_conf_t  *smcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_spaces_module);
    smcf = ngx_http_get_module_main_conf(r, ngx_http_spaces_module);

    ngx_http_spaces_log_error(NGX_LOG_CRIT, r->connection->log, 0,
                              "space %V can't be recorded: less than "
                              "\"spaces_min_free\" is left under \"%V\"; free "
                              "some space, or lower it", &ctx->id,
                              &smcf->path);

    return ngx_http_spaces_ingest_no_space(r);
}


static void
ngx_http_spaces_ingest_disk_leave(void *data)
{
    ngx_http_spaces_disk_t *disk = data;

    disk->request = NULL;

    if (!disk->busy) {
        ngx_free(disk);
    }
}
