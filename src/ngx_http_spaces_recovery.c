
/*
 * Copyright (C) Spaces for nginx contributors
 */


#include "ngx_http_spaces_recovery.h"
#include "ngx_http_spaces_file.h"
#include "ngx_http_spaces_room.h"
#include "ngx_http_spaces_store.h"

#include "spaces_ogg_tail.h"


/* how often what is left to do is looked at, ms */
#define NGX_HTTP_SPACES_RECOVERY_PACE  250


/* a Space that was found */

typedef struct ngx_http_spaces_found_s  ngx_http_spaces_found_t;

struct ngx_http_spaces_found_s {
    ngx_http_spaces_found_t       *next;

    u_char                         id[NGX_HTTP_SPACES_ID_LEN];
    size_t                         document_len;
    u_char                         document[NGX_HTTP_SPACES_DOCUMENT];

    spaces_ogg_tail_t              tail;
    int64_t                        modified;   /* ms since the epoch */
    ngx_err_t                      err;

    unsigned                       published:1; /* only Redis is to be told */
};


typedef struct {
    ngx_http_spaces_main_conf_t   *smcf;
    ngx_pool_t                    *pool;
    ngx_event_t                    timer;
    ngx_thread_task_t             *task;

    ngx_http_spaces_found_t       *found;      /* by the thread, then to do */
    ngx_http_spaces_found_t       *saving;
    ngx_uint_t                     asked;      /* Redis for what is live */
    ngx_uint_t                     answers;    /* that it owes */
    ngx_uint_t                     waiting;    /* another nginx has it all */
    ngx_err_t                      err;
} ngx_http_spaces_recovery_t;


static void ngx_http_spaces_recovery_task(void *data, ngx_log_t *log);
static void ngx_http_spaces_recovery_orphan(ngx_http_spaces_recovery_t *rec,
    int dir, char *name, ngx_log_t *log);
static void ngx_http_spaces_recovery_look(ngx_http_spaces_recovery_t *rec,
    ngx_pool_t *pool, ngx_str_t *id);
static ngx_int_t ngx_http_spaces_recovery_mend(ngx_http_spaces_found_t *found,
    char *name);
static void ngx_http_spaces_recovery_done(ngx_event_t *ev);
static void ngx_http_spaces_recovery_handler(ngx_event_t *ev);
static ngx_int_t ngx_http_spaces_recovery_still(
    ngx_http_spaces_recovery_t *rec, ngx_http_spaces_found_t *found,
    ngx_pool_t *pool);
static ngx_int_t ngx_http_spaces_recovery_revive(
    ngx_http_spaces_recovery_t *rec, ngx_http_spaces_found_t *found);
static ngx_int_t ngx_http_spaces_recovery_save(ngx_http_spaces_recovery_t *rec,
    ngx_http_spaces_found_t *found);
static void ngx_http_spaces_recovery_saved(void *data, ngx_uint_t ok);
static void ngx_http_spaces_recovery_ask(ngx_http_spaces_recovery_t *rec);
static void ngx_http_spaces_recovery_live(void *data, redisReply *reply);
static ngx_int_t ngx_http_spaces_recovery_ask_space(
    ngx_http_spaces_recovery_t *rec, ngx_str_t *id);
static void ngx_http_spaces_recovery_live_space(void *data,
    redisReply *reply);
static ngx_int_t ngx_http_spaces_recovery_reopen(
    ngx_http_spaces_recovery_t *rec, ngx_http_spaces_space_t *space,
    ngx_pool_t *pool);


ngx_int_t
ngx_http_spaces_recovery_start(ngx_http_spaces_main_conf_t *smcf)
{
    ngx_atomic_uint_t            pid;
    ngx_thread_task_t           *task;
    ngx_http_spaces_shm_t       *sh;
    ngx_http_spaces_recovery_t  *rec;

    sh = smcf->zone->sh;
    pid = sh->recovery;

    if (sh->recovered || (pid && ngx_http_spaces_alive(pid))
        || !ngx_atomic_cmp_set(&sh->recovery, pid, ngx_pid))
    {
        return NGX_OK;
    }

    task = ngx_thread_task_alloc(ngx_cycle->pool,
                                 sizeof(ngx_http_spaces_recovery_t));
    if (task == NULL) {
        sh->recovery = 0;
        return NGX_ERROR;
    }

    rec = task->ctx;
    rec->task = task;
    rec->smcf = smcf;
    rec->pool = ngx_cycle->pool;

    rec->timer.handler = ngx_http_spaces_recovery_handler;
    rec->timer.data = rec;
    rec->timer.log = ngx_cycle->log;
    rec->timer.cancelable = 1;

    task->handler = ngx_http_spaces_recovery_task;
    task->event.handler = ngx_http_spaces_recovery_done;
    task->event.data = rec;

    if (ngx_thread_task_post(smcf->thread_pool, task) != NGX_OK) {

        /* another may begin, or this one once more */

        sh->recovery = 0;
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* in a thread, with memory of its own */

static void
ngx_http_spaces_recovery_task(void *data, ngx_log_t *log)
{
    DIR                         *dir;
    char                         folder[NGX_MAX_PATH];
    size_t                       len;
    ngx_str_t                    id;
    ngx_pool_t                  *pool;
    struct dirent               *entry;
    ngx_http_spaces_found_t     *found;
    ngx_http_spaces_recovery_t  *rec = data;

    /* what is left may still be written */

    rec->waiting = (ngx_http_spaces_zone_lock(rec->smcf->zone) != NGX_OK);

    if (rec->waiting) {
        return;
    }

    while (rec->found) {
        found = rec->found;
        rec->found = found->next;
        free(found);
    }

    ngx_sprintf((u_char *) folder, "%V/live%Z", &rec->smcf->path);

    dir = opendir(folder);
    if (dir == NULL) {
        rec->err = ngx_errno;
        return;
    }

    while ((entry = readdir(dir)) != NULL) {

        len = ngx_strlen(entry->d_name);
        id.data = (u_char *) entry->d_name;
        id.len = NGX_HTTP_SPACES_ID_LEN;

        if (len != NGX_HTTP_SPACES_ID_LEN + sizeof(".json") - 1
            || !ngx_http_spaces_valid_id(&id))
        {
            continue;
        }

        if (ngx_strcmp(entry->d_name + id.len, ".opus") == 0) {
            ngx_http_spaces_recovery_orphan(rec, dirfd(dir), entry->d_name,
                                            log);
            continue;
        }

        if (ngx_strcmp(entry->d_name + id.len, ".json") != 0) {
            continue;
        }

        pool = ngx_create_pool(4096, log);
        if (pool == NULL) {
            continue;
        }

        ngx_http_spaces_recovery_look(rec, pool, &id);

        ngx_destroy_pool(pool);
    }

    (void) closedir(dir);
}


/* audio without a description: a beginning that was cut short, or a riddle */

static void
ngx_http_spaces_recovery_orphan(ngx_http_spaces_recovery_t *rec, int dir,
    char *name, ngx_log_t *log)
{
    char                          path[NGX_MAX_PATH];
    ngx_str_t                     id;
    ngx_http_spaces_found_t       found;
    ngx_http_spaces_room_info_t   info;

    id.data = (u_char *) name;
    id.len = NGX_HTTP_SPACES_ID_LEN;

    (void) snprintf(path, sizeof(path), "%.20s.json", name);

    if (faccessat(dir, path, F_OK, 0) == 0
        || ngx_http_spaces_zone_info(rec->smcf->zone, &id, &info) == NGX_OK)
    {
        return;
    }

    ngx_sprintf((u_char *) path, "%V/live/%s%Z", &rec->smcf->path, name);

    ngx_memzero(&found.tail, sizeof(spaces_ogg_tail_t));

    if (ngx_http_spaces_recovery_mend(&found, path) == NGX_OK) {
        ngx_log_error(NGX_LOG_CRIT, log, 0,
                      "nothing is known of \"%s\", which has audio: it is "
                      "left as it is", path);
    }
}


static void
ngx_http_spaces_recovery_look(ngx_http_spaces_recovery_t *rec,
    ngx_pool_t *pool, ngx_str_t *id)
{
    char                         *live, *live_json, *recording_json;
    char                         *live_wave, *recording_wave;
    char                         *held_json, *held_wave;
    ngx_str_t                    *path;
    ngx_http_spaces_found_t      *found;
    ngx_http_spaces_room_info_t   info;

    if (ngx_http_spaces_zone_info(rec->smcf->zone, id, &info) == NGX_OK) {

        /*
         * It lives: another worker died before it had told Redis of all; or
         * it was let go, and somebody still looks at what it was
         */

        if (info.state == NGX_HTTP_SPACES_ROOM_FAILED) {
            rec->waiting = 1;
        }

        return;
    }

    path = &rec->smcf->path;

    live = (char *) ngx_http_spaces_live_path(path, id, ".opus", pool).data;
    live_json = (char *) ngx_http_spaces_live_path(path, id, ".json",
                                                   pool).data;
    recording_json = (char *) ngx_http_spaces_recording_path(path, id, ".json",
                                                             pool).data;

    live_wave = (char *) ngx_http_spaces_live_path(path, id, ".wave",
                                                   pool).data;
    recording_wave = (char *) ngx_http_spaces_recording_path(path, id, ".wave",
                                                             pool).data;

    held_json = (char *) ngx_http_spaces_held_path(path, id, ".json",
                                                   pool).data;
    held_wave = (char *) ngx_http_spaces_held_path(path, id, ".wave",
                                                   pool).data;

    if (live == NULL || live_json == NULL || live_wave == NULL
        || recording_json == NULL || recording_wave == NULL
        || held_json == NULL || held_wave == NULL)
    {
        return;
    }

    if (access(held_json, F_OK) == 0) {

        /* deleted by a worker that got no further: reconcile moves the audio */

        if (access(live, F_OK) == -1) {
            (void) rename(live_wave, held_wave);
            (void) unlink(live_json);
        }

        return;
    }

    found = malloc(sizeof(ngx_http_spaces_found_t));

    if (found == NULL) {
        return;
    }

    ngx_memzero(found, sizeof(ngx_http_spaces_found_t));
    ngx_memcpy(found->id, id->data, NGX_HTTP_SPACES_ID_LEN);

    found->document_len = NGX_HTTP_SPACES_DOCUMENT;

    switch (ngx_http_spaces_recovery_mend(found, live)) {

    case NGX_OK:
        if (ngx_http_spaces_read_file(live_json, found->document,
                                      &found->document_len)
            != NGX_OK)
        {
            found->err = ngx_errno;
        }

        break;

    case NGX_DECLINED:

        /* no file: published, or begun and nothing more */

        if (ngx_http_spaces_read_file(recording_json, found->document,
                                      &found->document_len)
            != NGX_OK)
        {
            (void) unlink(live_wave);
            (void) unlink(live_json);
            free(found);
            return;
        }

        (void) rename(live_wave, recording_wave);

        found->published = 1;
        break;

    default: /* NGX_ERROR */
        break;
    }

    found->next = rec->found;
    rec->found = found;
}


/* NGX_DECLINED if there is no file, or no audio in it: then it is removed */

static ngx_int_t
ngx_http_spaces_recovery_mend(ngx_http_spaces_found_t *found, char *name)
{
    int          fd, rc;
    ngx_int_t    result;
    struct stat  st;

    fd = open(name, O_RDWR|O_CLOEXEC);

    if (fd == -1) {
        found->err = ngx_errno;

        if (found->err == NGX_ENOENT) {
            found->err = 0;
            return NGX_DECLINED;
        }

        return NGX_ERROR;
    }

    result = NGX_ERROR;

    /* before the cut, which would make it now */

    if (fstat(fd, &st) == 0) {
        found->modified = (int64_t) st.st_mtim.tv_sec * 1000
                          + st.st_mtim.tv_nsec / 1000000;

        rc = spaces_ogg_tail_find(fd, &found->tail);

        if (rc == 0 && spaces_ogg_tail_cut(fd, &found->tail) == 0) {
            result = NGX_OK;

        } else if (rc == 1 && unlink(name) == 0) {
            result = NGX_DECLINED;
        }
    }

    if (result == NGX_ERROR) {
        found->err = ngx_errno;
    }

    (void) close(fd);

    return result;
}


static void
ngx_http_spaces_recovery_done(ngx_event_t *ev)
{
    ngx_http_spaces_found_t     *found, **link;
    ngx_http_spaces_recovery_t  *rec = ev->data;

    rec->smcf->zone->sh->waiting = rec->waiting;

    if (rec->waiting) {
        ngx_add_timer(&rec->timer, NGX_HTTP_SPACES_RECOVERY_PACE);
        return;
    }

    if (rec->err) {
        ngx_log_error(NGX_LOG_CRIT, ngx_cycle->log, rec->err,
                      "the recordings that were live under \"%V\" can't be "
                      "looked for", &rec->smcf->path);
    }

    for (link = &rec->found; *link; /* void */ ) {
        found = *link;

        if (found->err == 0) {
            link = &found->next;
            continue;
        }

        ngx_log_error(NGX_LOG_CRIT, ngx_cycle->log, found->err,
                      "live/%*s.opus under \"%V\" can't be recovered, and is "
                      "left as it is", (size_t) NGX_HTTP_SPACES_ID_LEN,
                      found->id, &rec->smcf->path);

        *link = found->next;
        free(found);
    }

    ngx_http_spaces_recovery_handler(&rec->timer);

    if (!ngx_exiting) {
        rec->smcf->zone->sh->scanned = 1;
    }
}


/* one at a time: rooms at once, Redis when it is there */

static void
ngx_http_spaces_recovery_handler(ngx_event_t *ev)
{
    ngx_int_t                     rc;
    ngx_http_spaces_found_t      *found, **link;
    ngx_http_spaces_recovery_t   *rec = ev->data;
    ngx_http_spaces_main_conf_t  *smcf;

    smcf = rec->smcf;

    if (ngx_exiting
        || (rec->waiting
            && ngx_thread_task_post(smcf->thread_pool, rec->task) != NGX_OK))
    {
        /* the reaper of some worker will begin once more */

        smcf->zone->sh->recovery = 0;
        return;
    }

    if (rec->waiting) {
        return;
    }

    for (link = &rec->found; *link; /* void */ ) {
        found = *link;

        if (found->published
            || ngx_http_spaces_recovery_revive(rec, found) != NGX_OK)
        {
            link = &found->next;
            continue;
        }

        *link = found->next;
        free(found);
    }

    if (ngx_http_spaces_redis_ready(smcf->redis)) {

        /* Redis says live of all that it has not been told the end of */

        if (!rec->asked && rec->answers == 0
            && rec->found == NULL && rec->saving == NULL)
        {
            ngx_http_spaces_recovery_ask(rec);
        }

        if (rec->saving == NULL) {

            for (link = &rec->found; *link; link = &(*link)->next) {
                found = *link;

                if (!found->published) {
                    continue;
                }

                rc = ngx_http_spaces_recovery_save(rec, found);

                if (rc == NGX_OK) {
                    *link = found->next;
                    rec->saving = found;

                } else if (rc == NGX_DECLINED) {
                    *link = found->next;
                    free(found);
                }

                break;
            }
        }
    }

    if (rec->found || rec->saving || !rec->asked || rec->answers) {
        ngx_add_timer(&rec->timer, NGX_HTTP_SPACES_RECOVERY_PACE);
        return;
    }

    smcf->zone->sh->recovered = 1;
}


/*
 * Whether the audio is where it was found: NGX_DECLINED if it was deleted
 * since, NGX_BUSY while that is going on
 */

static ngx_int_t
ngx_http_spaces_recovery_still(ngx_http_spaces_recovery_t *rec,
    ngx_http_spaces_found_t *found, ngx_pool_t *pool)
{
    ngx_str_t        id, name;
    ngx_file_info_t  fi;

    id.data = found->id;
    id.len = NGX_HTTP_SPACES_ID_LEN;

    if (ngx_http_spaces_zone_is_claimed(rec->smcf->zone, &id)) {
        return NGX_BUSY;
    }

    name = found->published
           ? ngx_http_spaces_recording_path(&rec->smcf->path, &id, ".opus",
                                            pool)
           : ngx_http_spaces_live_path(&rec->smcf->path, &id, ".opus", pool);

    if (name.data == NULL) {
        return NGX_ERROR;
    }

    return ngx_file_info(name.data, &fi) == NGX_FILE_ERROR
           && ngx_errno == NGX_ENOENT
           ? NGX_DECLINED : NGX_OK;
}


/* a room for a file, as if its host had just dropped when it was written */

static ngx_int_t
ngx_http_spaces_recovery_revive(ngx_http_spaces_recovery_t *rec,
    ngx_http_spaces_found_t *found)
{
    int64_t                    now, away;
    ngx_int_t                  rc;
    ngx_str_t                  document;
    ngx_pool_t                *pool;
    spaces_opus_head_t         head;
    spaces_playout_state_t    *state;
    ngx_http_spaces_room_t    *room;
    ngx_http_spaces_zone_t    *zone;
    ngx_http_spaces_space_t   *space;

    zone = rec->smcf->zone;

    pool = ngx_create_pool(NGX_HTTP_SPACES_DOCUMENT, ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_spaces_recovery_still(rec, found, pool);

    if (rc != NGX_OK) {
        ngx_destroy_pool(pool);
        return rc == NGX_DECLINED ? NGX_OK : NGX_ERROR;
    }

    document.data = found->document;
    document.len = found->document_len;

    space = ngx_http_spaces_space_parse(&document, pool);

    if (space == NULL) {
        ngx_log_error(NGX_LOG_CRIT, ngx_cycle->log, 0,
                      "live/%*s.json under \"%V\" is no description of a "
                      "Space: the recording beside it is left as it is",
                      (size_t) NGX_HTTP_SPACES_ID_LEN, found->id,
                      &rec->smcf->path);
        ngx_destroy_pool(pool);
        return NGX_OK;
    }

    ngx_memzero(&head, sizeof(spaces_opus_head_t));
    head.channels = 2;
    head.pre_skip = found->tail.pre_skip;

    rc = ngx_http_spaces_zone_open(zone, space, &document, &head, &room);

    ngx_destroy_pool(pool);

    if (rc == NGX_BUSY) {
        /* a worker that lives has it */
        return NGX_OK;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    now = ngx_http_spaces_monotonic();
    away = ngx_max(ngx_http_spaces_now() - found->modified, 0);

    state = &room->playout[0];

    state->head = (uint64_t) found->tail.end;
    state->granule = found->tail.granule;
    state->serial = found->tail.serial;
    state->sequence = found->tail.sequence + 1;
    state->toc = SPACES_OPUS_NO_TOC;
    state->floor = SPACES_PLAYOUT_NOBODY;
    state->started = 1;
    state->finished = found->tail.eos;

    /* the time away is silence in the recording */

    state->epoch = now - away
                   - found->tail.granule / (SPACES_OPUS_RATE / 1000);

    room->written = state->head;
    room->vacant = now - away;

    ngx_memory_barrier();

    room->state = NGX_HTTP_SPACES_ROOM_LIVE;

    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "space %*s is recovered at %L ms of its recording",
                  (size_t) NGX_HTTP_SPACES_ID_LEN, found->id,
                  found->tail.granule / (SPACES_OPUS_RATE / 1000));

    (void) ngx_http_spaces_room_own(rec->smcf, room);

    return NGX_OK;
}


/* a recording whose end Redis was never told */

static ngx_int_t
ngx_http_spaces_recovery_save(ngx_http_spaces_recovery_t *rec,
    ngx_http_spaces_found_t *found)
{
    ngx_int_t                 rc;
    ngx_str_t                 document;
    ngx_pool_t               *pool;
    ngx_http_spaces_space_t  *space;

    pool = ngx_create_pool(NGX_HTTP_SPACES_DOCUMENT, ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_spaces_recovery_still(rec, found, pool);

    if (rc != NGX_OK) {
        ngx_destroy_pool(pool);
        return rc;
    }

    document.data = found->document;
    document.len = found->document_len;

    space = ngx_http_spaces_space_parse(&document, pool);

    if (space) {
        rc = ngx_http_spaces_store_save(rec->smcf, space,
                                        ngx_http_spaces_recovery_saved, rec);

    } else {
        ngx_log_error(NGX_LOG_CRIT, ngx_cycle->log, 0,
                      "the description of recording %*s under \"%V\" is "
                      "broken: Redis is not told of its end",
                      (size_t) NGX_HTTP_SPACES_ID_LEN, found->id,
                      &rec->smcf->path);
        rc = NGX_DECLINED;
    }

    ngx_destroy_pool(pool);

    return rc;
}


static void
ngx_http_spaces_recovery_saved(void *data, ngx_uint_t ok)
{
    ngx_str_t                    id, name;
    ngx_http_spaces_found_t     *found;
    ngx_http_spaces_recovery_t  *rec = data;

    found = rec->saving;
    rec->saving = NULL;

    if (!ok) {
        found->next = rec->found;
        rec->found = found;
        return;
    }

    id.data = found->id;
    id.len = NGX_HTTP_SPACES_ID_LEN;

    name = ngx_http_spaces_live_path(&rec->smcf->path, &id, ".json",
                                     rec->pool);

    if (name.data) {
        (void) ngx_delete_file(name.data);
    }

    free(found);
}


/* what Redis thinks is live, and no room knows of: never recorded, or empty */

static void
ngx_http_spaces_recovery_ask(ngx_http_spaces_recovery_t *rec)
{
    ngx_str_t    argv[2];
    ngx_pool_t  *pool;

    pool = ngx_create_pool(2 * NGX_MAX_PATH, ngx_cycle->log);
    if (pool == NULL) {
        return;
    }

    ngx_str_set(&argv[0], "SMEMBERS");
    argv[1] = ngx_http_spaces_live_key(rec->smcf, pool);

    if (argv[1].data
        && ngx_http_spaces_redis_command(rec->smcf->redis, 2, argv,
                                         ngx_http_spaces_recovery_live, rec))
    {
        rec->answers = 1;
        rec->asked = 1;
    }

    ngx_destroy_pool(pool);
}


static void
ngx_http_spaces_recovery_live(void *data, redisReply *reply)
{
    size_t                        i;
    ngx_str_t                     id;
    ngx_http_spaces_recovery_t   *rec = data;
    ngx_http_spaces_room_info_t   info;

    rec->answers--;

    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY) {

        /* what is no set will be none when it is asked for again */

        rec->asked = ngx_http_spaces_redis_refused(rec->smcf->redis);
        return;
    }

    for (i = 0; i < reply->elements; i++) {

        if (reply->element[i]->type != REDIS_REPLY_STRING) {
            continue;
        }

        id.data = (u_char *) reply->element[i]->str;
        id.len = reply->element[i]->len;

        if (!ngx_http_spaces_valid_id(&id)
            || ngx_http_spaces_zone_info(rec->smcf->zone, &id, &info)
               == NGX_OK)
        {
            continue;
        }

        if (ngx_http_spaces_recovery_ask_space(rec, &id) != NGX_OK) {
            rec->asked = 0;
            return;
        }
    }
}


static ngx_int_t
ngx_http_spaces_recovery_ask_space(ngx_http_spaces_recovery_t *rec,
    ngx_str_t *id)
{
    ngx_int_t    rc;
    ngx_str_t    argv[2];
    ngx_pool_t  *pool;

    pool = ngx_create_pool(2 * NGX_MAX_PATH, ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    ngx_str_set(&argv[0], "HGETALL");
    argv[1] = ngx_http_spaces_space_key(rec->smcf, pool, id);

    if (argv[1].data
        && ngx_http_spaces_redis_command(rec->smcf->redis, 2, argv,
                                         ngx_http_spaces_recovery_live_space,
                                         rec))
    {
        rec->answers++;
        rc = NGX_OK;
    }

    ngx_destroy_pool(pool);

    return rc;
}


static void
ngx_http_spaces_recovery_live_space(void *data, redisReply *reply)
{
    ngx_pool_t                  *pool;
    ngx_http_spaces_space_t     *space;
    ngx_http_spaces_recovery_t  *rec = data;

    rec->answers--;

    if (reply == NULL && ngx_http_spaces_redis_refused(rec->smcf->redis)) {

        /* it isn't a Space, and others are not to wait behind it */

        return;
    }

    pool = ngx_create_pool(NGX_HTTP_SPACES_DOCUMENT, ngx_cycle->log);

    if (reply == NULL || pool == NULL) {

        /* Redis is gone again: all of them once more, when it is back */

        rec->asked = 0;

        if (pool) {
            ngx_destroy_pool(pool);
        }

        return;
    }

    space = ngx_http_spaces_store_space(reply, pool);

    if (space && space->state == NGX_HTTP_SPACES_LIVE
        && ngx_http_spaces_store_is_here(rec->smcf, space)
        && ngx_http_spaces_recovery_reopen(rec, space, pool) != NGX_OK)
    {
        rec->asked = 0;
    }

    ngx_destroy_pool(pool);
}


/* a room without audio, whose host is awaited from now on */

static ngx_int_t
ngx_http_spaces_recovery_reopen(ngx_http_spaces_recovery_t *rec,
    ngx_http_spaces_space_t *space, ngx_pool_t *pool)
{
    ngx_int_t                rc;
    ngx_str_t                document;
    spaces_opus_head_t       head;
    ngx_http_spaces_room_t  *room;

    document = ngx_http_spaces_space_document(space, pool);
    if (document.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&head, sizeof(spaces_opus_head_t));
    head.channels = 2;
    head.pre_skip = 312;
    head.input_rate = SPACES_OPUS_RATE;

    rc = ngx_http_spaces_zone_open(rec->smcf->zone, space, &document, &head,
                                   &room);

    if (rc == NGX_OK) {
        (void) ngx_http_spaces_room_own(rec->smcf, room);
    }

    /* who is busy with it has it */

    return rc == NGX_BUSY ? NGX_OK : rc;
}
