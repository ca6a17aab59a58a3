
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_move_task.h"
#include "ngx_http_spaces_file.h"


#define ngx_http_spaces_is_there(name)  (access(name, F_OK) == 0)
#define ngx_http_spaces_is_full(err)    ((err) == ENOSPC || (err) == EDQUOT)


static void ngx_http_spaces_hold_task(void *data, ngx_log_t *log);
static ngx_int_t ngx_http_spaces_move_decide(ngx_http_spaces_move_t *move);
static void ngx_http_spaces_extend_task(void *data, ngx_log_t *log);
static void ngx_http_spaces_amend_task(void *data, ngx_log_t *log);
static void ngx_http_spaces_purge_task(void *data, ngx_log_t *log);
static void ngx_http_spaces_lapse_task(void *data, ngx_log_t *log);
static void ngx_http_spaces_forget_task(void *data, ngx_log_t *log);
static ngx_int_t ngx_http_spaces_move_from_live(ngx_http_spaces_move_t *move);
static void ngx_http_spaces_settle_task(void *data, ngx_log_t *log);
static void ngx_http_spaces_settle_held(ngx_http_spaces_move_t *move);
static ngx_int_t ngx_http_spaces_settle_reason(ngx_http_spaces_move_t *move);
static void ngx_http_spaces_settle_available(ngx_http_spaces_move_t *move);
static ngx_int_t ngx_http_spaces_move_to_held(ngx_http_spaces_move_t *move);
static void ngx_http_spaces_move_read(ngx_http_spaces_move_t *move,
    char *name);
static ngx_int_t ngx_http_spaces_move_write(ngx_http_spaces_move_t *move,
    char *name);
static void ngx_http_spaces_move_failed(ngx_http_spaces_move_t *move,
    const char *failed);


/* in the order of ngx_http_spaces_move_e */

static ngx_http_spaces_move_task_pt  ngx_http_spaces_move_tasks[] = {
    ngx_http_spaces_hold_task,
    ngx_http_spaces_extend_task,
    ngx_http_spaces_amend_task,
    ngx_http_spaces_purge_task,
    ngx_http_spaces_lapse_task,
    ngx_http_spaces_forget_task,
    ngx_http_spaces_settle_task
};


ngx_http_spaces_move_task_pt
ngx_http_spaces_move_task(ngx_http_spaces_move_e kind)
{
    return ngx_http_spaces_move_tasks[kind];
}


static void
ngx_http_spaces_hold_task(void *data, ngx_log_t *log)
{
    ngx_http_spaces_move_t  *move = data;

    if (!ngx_http_spaces_is_there(move->paths.recording)) {

        if (ngx_http_spaces_is_there(move->paths.held_json)) {

            /* somebody was first: it is held as they said, and all of it */

            if (ngx_http_spaces_move_to_held(move) == NGX_OK) {
                ngx_http_spaces_move_read(move, move->paths.held_json);
            }

            return;
        }

        move->rc = NGX_DECLINED;
        return;
    }

    if (ngx_http_spaces_move_decide(move) == NGX_OK) {
        (void) ngx_http_spaces_move_to_held(move);
    }
}


/*
 * A description in held/ is the decision.  On a full disk it is the one that
 * there is, whose words follow.
 */

static ngx_int_t
ngx_http_spaces_move_decide(ngx_http_spaces_move_t *move)
{
    if (ngx_http_spaces_write_file(move->paths.held_json, move->document.data,
                                   move->document.len)
        == NGX_OK)
    {
        return NGX_OK;
    }

    if (ngx_http_spaces_is_full(ngx_errno)) {
        (void) rename(move->paths.recording_json, move->paths.held_json);
    }

    return ngx_http_spaces_move_write(move, move->paths.held_json);
}


static void
ngx_http_spaces_extend_task(void *data, ngx_log_t *log)
{
    ngx_http_spaces_move_t  *move = data;

    if (!ngx_http_spaces_is_there(move->paths.held_json)) {
        move->rc = NGX_DECLINED;
        return;
    }

    if (ngx_http_spaces_move_write(move, move->paths.held_json) == NGX_OK) {
        ngx_http_spaces_sync_folder(move->paths.held);
    }
}


/* of what is held only the words: until when it is, is not for them to say */

static void
ngx_http_spaces_amend_task(void *data, ngx_log_t *log)
{
    ngx_http_spaces_move_t   *move = data;
    ngx_http_spaces_space_t  *space;

    if (ngx_http_spaces_is_there(move->paths.recording)) {
        (void) ngx_http_spaces_move_write(move, move->paths.recording_json);
        return;
    }

    if (!ngx_http_spaces_is_there(move->paths.held_json)) {
        move->rc = NGX_DECLINED;
        return;
    }

    ngx_http_spaces_move_read(move, move->paths.held_json);

    if (move->failed) {
        return;
    }

    space = ngx_http_spaces_move_parse(move);
    move->size = 0;

    if (space == NULL) {
        move->rc = NGX_DECLINED;
        return;
    }

    space->title = move->space->title;
    space->topics = move->space->topics;
    space->language = move->space->language;

    move->document = ngx_http_spaces_space_document(space, move->pool);

    if (move->document.data == NULL) {
        move->rc = NGX_DECLINED;
        return;
    }

    (void) ngx_http_spaces_move_write(move, move->paths.held_json);
}


/* the description goes last: while it is there, it is known what is left */

static void
ngx_http_spaces_purge_task(void *data, ngx_log_t *log)
{
    ngx_http_spaces_move_t  *move = data;

    if (ngx_http_spaces_is_there(move->paths.held_json)) {

        /* whoever goes on with it finds its time over */

        if (ngx_http_spaces_move_write(move, move->paths.held_json)
            != NGX_OK)
        {
            return;
        }

    } else if (ngx_http_spaces_is_there(move->paths.recording)) {

        /* not held yet: what Redis says is older than this */

        move->rc = NGX_DECLINED;
        return;
    }

    if (unlink(move->paths.held) == -1 && ngx_errno != NGX_ENOENT) {
        ngx_http_spaces_move_failed(move, "removal of held/<id>.opus");
        return;
    }

    if ((unlink(move->paths.held_wave) == -1 && ngx_errno != NGX_ENOENT)
        || (unlink(move->paths.recording_wave) == -1
            && ngx_errno != NGX_ENOENT))
    {
        ngx_http_spaces_move_failed(move, "removal of <id>.wave");
        return;
    }

    ngx_http_spaces_sync_folder(move->paths.held);

    if (unlink(move->paths.held_json) == -1 && ngx_errno != NGX_ENOENT) {
        ngx_http_spaces_move_failed(move, "removal of held/<id>.json");
    }
}


/* a Redis that lost its last words may know of an earlier day */

static void
ngx_http_spaces_lapse_task(void *data, ngx_log_t *log)
{
    ngx_http_spaces_move_t   *move = data;
    ngx_http_spaces_space_t  *space;

    if (ngx_http_spaces_is_there(move->paths.held_json)) {

        ngx_http_spaces_move_read(move, move->paths.held_json);

        if (move->failed) {
            return;
        }

        space = ngx_http_spaces_move_parse(move);

        if (space && space->hold_until > ngx_http_spaces_now()) {
            return;
        }

        move->size = 0;
    }

    ngx_http_spaces_purge_task(move, log);

    move->purged = (move->rc == NGX_OK && move->failed == NULL);
}


/*
 * A Space without a recording; but for audio that could not be published when
 * it ended, which the next start would do: that is held like any other.
 */

static void
ngx_http_spaces_forget_task(void *data, ngx_log_t *log)
{
    ngx_http_spaces_move_t   *move = data;
    ngx_http_spaces_paths_t  *paths;

    paths = &move->paths;

    if (ngx_http_spaces_is_there(paths->recording)) {

        /* it was published since */

        ngx_http_spaces_hold_task(data, log);
        return;
    }

    if (!ngx_http_spaces_is_there(paths->live)) {
        (void) unlink(paths->recording_json);
        (void) unlink(paths->live_wave);
        (void) unlink(paths->live_json);

        move->gone = 1;
        move->action.len = 0;
        move->space->recording = NGX_HTTP_SPACES_NONE;
        return;
    }

    if (ngx_http_spaces_move_decide(move) == NGX_OK) {
        (void) ngx_http_spaces_move_from_live(move);
    }
}


/* of what was never published, once that is decided */

static ngx_int_t
ngx_http_spaces_move_from_live(ngx_http_spaces_move_t *move)
{
    ngx_http_spaces_paths_t  *paths;

    paths = &move->paths;

    (void) unlink(paths->recording_json);

    if (ngx_http_spaces_move_file(paths->live, paths->held) != NGX_OK) {
        ngx_http_spaces_move_failed(move, "rename() to held/<id>.opus");
        return NGX_ERROR;
    }

    (void) rename(paths->live_wave, paths->held_wave);
    (void) unlink(paths->live_json);

    ngx_http_spaces_sync_folder(paths->held);
    ngx_http_spaces_sync_folder(paths->live);

    return NGX_OK;
}


/*
 * A decision is on the disk before it is carried out: a description in held/
 * says that the audio belongs there.
 */

static void
ngx_http_spaces_settle_task(void *data, ngx_log_t *log)
{
    ngx_http_spaces_move_t   *move = data;
    ngx_http_spaces_paths_t  *paths;

    paths = &move->paths;

    if (ngx_http_spaces_is_there(paths->live)) {

        if (!ngx_http_spaces_is_there(paths->held_json)) {

            /* the recovery's */

            move->rc = NGX_DECLINED;
            return;
        }

        if (ngx_http_spaces_move_from_live(move) != NGX_OK) {
            return;
        }
    }

    if (ngx_http_spaces_is_there(paths->held_json)
        || ngx_http_spaces_is_there(paths->held))
    {
        ngx_http_spaces_settle_held(move);
        return;
    }

    if (ngx_http_spaces_is_there(paths->recording)) {
        ngx_http_spaces_settle_available(move);
        return;
    }

    (void) unlink(paths->recording_wave);
    (void) unlink(paths->recording_json);

    /* what another node has it need not have here */

    if (move->known == NULL
        || !ngx_http_spaces_store_is_here(move->smcf, move->known))
    {
        move->rc = NGX_DECLINED;
        return;
    }

    if (ngx_http_spaces_is_held(move->known)) {
        move->space = move->known;
        move->purged = 1;
        return;
    }

    if (move->known->recording != NGX_HTTP_SPACES_AVAILABLE) {
        move->rc = NGX_DECLINED;
        return;
    }

    move->found = "Redis had a recording that isn't there any more";

    move->space = move->known;
    move->space->recording = NGX_HTTP_SPACES_NONE;
    move->space->bytes = 0;
}


static void
ngx_http_spaces_settle_held(ngx_http_spaces_move_t *move)
{
    if (!ngx_http_spaces_is_there(move->paths.held_json)) {

        if (move->known == NULL
            || move->known->recording < NGX_HTTP_SPACES_DELETED)
        {
            move->found = "nothing is known of held/<id>.opus, which is left "
                          "as it is";
            move->rc = NGX_DECLINED;
            return;
        }

        if (ngx_http_spaces_move_write(move, move->paths.held_json)
            != NGX_OK)
        {
            return;
        }
    }

    ngx_http_spaces_move_read(move, move->paths.held_json);

    if (move->failed || ngx_http_spaces_settle_reason(move) != NGX_OK) {
        return;
    }

    (void) ngx_http_spaces_move_to_held(move);

    /* of what was never published this may be left */

    (void) rename(move->paths.live_wave, move->paths.held_wave);
    (void) unlink(move->paths.live_json);
}


/* a decision on a full disk that got no further: what it was is known */

static ngx_int_t
ngx_http_spaces_settle_reason(ngx_http_spaces_move_t *move)
{
    ngx_http_spaces_space_t  *space;

    space = ngx_http_spaces_move_parse(move);

    if (space == NULL || space->recording != NGX_HTTP_SPACES_AVAILABLE) {
        return NGX_OK;
    }

    space->held_at = ngx_http_spaces_now();
    space->recording = NGX_HTTP_SPACES_DELETED;

    if (space->expires_at <= space->held_at) {
        space->held_at = space->expires_at;
        space->recording = NGX_HTTP_SPACES_EXPIRED;
    }

    space->hold_until = space->held_at + space->hold * 1000;

    move->document = ngx_http_spaces_space_document(space, move->pool);

    if (move->document.data == NULL
        || move->document.len > NGX_HTTP_SPACES_DOCUMENT)
    {
        move->rc = NGX_DECLINED;
        return NGX_ERROR;
    }

    move->size = move->document.len;
    ngx_memcpy(move->buffer, move->document.data, move->size);

    return ngx_http_spaces_move_write(move, move->paths.held_json);
}


static void
ngx_http_spaces_settle_available(ngx_http_spaces_move_t *move)
{
    if (ngx_http_spaces_is_there(move->paths.recording_json)) {
        ngx_http_spaces_move_read(move, move->paths.recording_json);
        return;
    }

    if (move->known == NULL
        || move->known->recording != NGX_HTTP_SPACES_AVAILABLE)
    {
        move->found = "nothing is known of recordings/<xx>/<id>.opus, which "
                      "is left as it is";
        move->rc = NGX_DECLINED;
        return;
    }

    if (ngx_http_spaces_move_write(move, move->paths.recording_json) == NGX_OK)
    {
        move->rc = NGX_DECLINED;
    }
}


/* the one rename, and what is left of the record before */

static ngx_int_t
ngx_http_spaces_move_to_held(ngx_http_spaces_move_t *move)
{
    if (ngx_http_spaces_is_there(move->paths.recording)
        && ngx_http_spaces_move_file(move->paths.recording, move->paths.held)
           != NGX_OK)
    {
        ngx_http_spaces_move_failed(move, "rename() to held/<id>.opus");
        return NGX_ERROR;
    }

    /* it follows: where it can't it is removed with the audio, at last */

    (void) rename(move->paths.recording_wave, move->paths.held_wave);

    ngx_http_spaces_sync_folder(move->paths.held);

    if (unlink(move->paths.recording_json) == 0) {
        ngx_http_spaces_sync_folder(move->paths.recording);
    }

    /* what a worker that was killed as it published had no time for */

    (void) unlink(move->paths.live_json);

    return NGX_OK;
}


static void
ngx_http_spaces_move_read(ngx_http_spaces_move_t *move, char *name)
{
    move->size = NGX_HTTP_SPACES_DOCUMENT;

    if (ngx_http_spaces_read_file(name, move->buffer, &move->size) != NGX_OK) {
        ngx_http_spaces_move_failed(move, "reading of <id>.json");
    }
}


ngx_http_spaces_space_t *
ngx_http_spaces_move_parse(ngx_http_spaces_move_t *move)
{
    ngx_str_t  document;

    document.data = move->buffer;
    document.len = move->size;

    return ngx_http_spaces_space_parse(&document, move->pool);
}


static ngx_int_t
ngx_http_spaces_move_write(ngx_http_spaces_move_t *move, char *name)
{
    ngx_err_t  err;

    if (ngx_http_spaces_write_file(name, move->document.data,
                                   move->document.len)
        == NGX_OK)
    {
        return NGX_OK;
    }

    err = ngx_errno;

    if (ngx_http_spaces_is_full(err)
        && ngx_http_spaces_rewrite_file(name, name, move->document.data,
                                        move->document.len)
           == NGX_OK)
    {
        return NGX_OK;
    }

    ngx_set_errno(err);
    ngx_http_spaces_move_failed(move, "writing of <id>.json");

    return NGX_ERROR;
}


static void
ngx_http_spaces_move_failed(ngx_http_spaces_move_t *move, const char *failed)
{
    move->err = ngx_errno;
    move->failed = failed;
}
